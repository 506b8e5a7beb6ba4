//! Character classes: which bytes are members.

use super::error::{RegexError, refused};
use regex_syntax::ast::{
    ClassAscii, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet,
    ClassSetBinaryOpKind, ClassSetItem, Literal,
};

/// A set of bytes.
#[derive(Clone, Copy)]
pub(super) struct Set([bool; 256]);

impl Set {
    fn of(holds: impl Fn(u8) -> bool) -> Set {
        Set(std::array::from_fn(|b| holds(b as u8)))
    }

    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }

    /// Printable ASCII that is not in the set, if `negated`: what a negated class gives.
    fn negated_if(self, negated: bool) -> Set {
        if negated {
            Set::of(|b| matches!(b, b' '..=b'~') && !self.has(b))
        } else {
            self
        }
    }

    /// The members, in order.
    pub(super) fn members(&self, at: usize) -> Result<Vec<u8>, RegexError> {
        let members: Vec<u8> = (0..=255).filter(|b| self.has(*b)).collect();
        if members.is_empty() {
            return Err(refused(
                at,
                "this class has no member",
                "write one that has; a negated class has printable ASCII only",
            ));
        }
        Ok(members)
    }
}

pub(super) fn no_unicode(at: usize) -> RegexError {
    refused(
        at,
        "classes have ASCII members only",
        "write other characters as alternatives, as in (ä|ö)",
    )
}

pub(super) fn perl(class: &ClassPerl) -> Set {
    let set = match class.kind {
        ClassPerlKind::Digit => Set::of(|b| b.is_ascii_digit()),
        ClassPerlKind::Space => Set::of(|b| b.is_ascii_whitespace() || b == 0x0b),
        ClassPerlKind::Word => Set::of(|b| b.is_ascii_alphanumeric() || b == b'_'),
    };
    set.negated_if(class.negated)
}

fn ascii(class: &ClassAscii) -> Set {
    let set = match class.kind {
        ClassAsciiKind::Alnum => Set::of(|b| b.is_ascii_alphanumeric()),
        ClassAsciiKind::Alpha => Set::of(|b| b.is_ascii_alphabetic()),
        ClassAsciiKind::Ascii => Set::of(|b| b.is_ascii()),
        ClassAsciiKind::Blank => Set::of(|b| b == b' ' || b == b'\t'),
        ClassAsciiKind::Cntrl => Set::of(|b| b.is_ascii_control()),
        ClassAsciiKind::Digit => Set::of(|b| b.is_ascii_digit()),
        ClassAsciiKind::Graph => Set::of(|b| b.is_ascii_graphic()),
        ClassAsciiKind::Lower => Set::of(|b| b.is_ascii_lowercase()),
        ClassAsciiKind::Print => Set::of(|b| matches!(b, b' '..=b'~')),
        ClassAsciiKind::Punct => Set::of(|b| b.is_ascii_punctuation()),
        ClassAsciiKind::Space => Set::of(|b| b.is_ascii_whitespace() || b == 0x0b),
        ClassAsciiKind::Upper => Set::of(|b| b.is_ascii_uppercase()),
        ClassAsciiKind::Word => Set::of(|b| b.is_ascii_alphanumeric() || b == b'_'),
        ClassAsciiKind::Xdigit => Set::of(|b| b.is_ascii_hexdigit()),
    };
    set.negated_if(class.negated)
}

pub(super) fn bracketed(class: &ClassBracketed) -> Result<Set, RegexError> {
    Ok(set(&class.kind)?.negated_if(class.negated))
}

fn set(of: &ClassSet) -> Result<Set, RegexError> {
    match of {
        ClassSet::Item(item) => self::item(item),
        ClassSet::BinaryOp(op) => {
            let (l, r) = (set(&op.lhs)?, set(&op.rhs)?);
            Ok(match op.kind {
                ClassSetBinaryOpKind::Intersection => Set::of(|b| l.has(b) && r.has(b)),
                ClassSetBinaryOpKind::Difference => Set::of(|b| l.has(b) && !r.has(b)),
                ClassSetBinaryOpKind::SymmetricDifference => Set::of(|b| l.has(b) != r.has(b)),
            })
        }
    }
}

fn item(item: &ClassSetItem) -> Result<Set, RegexError> {
    Ok(match item {
        ClassSetItem::Empty(_) => Set::of(|_| false),
        ClassSetItem::Literal(literal) => {
            let member = byte(literal)?;
            Set::of(|b| b == member)
        }
        ClassSetItem::Range(range) => {
            let (from, to) = (byte(&range.start)?, byte(&range.end)?);
            Set::of(|b| (from..=to).contains(&b))
        }
        ClassSetItem::Ascii(class) => ascii(class),
        ClassSetItem::Unicode(class) => return Err(no_unicode(class.span.start.offset)),
        ClassSetItem::Perl(class) => perl(class),
        ClassSetItem::Bracketed(class) => bracketed(class)?,
        ClassSetItem::Union(union) => {
            let mut all = Set::of(|_| false);
            for item in &union.items {
                let one = self::item(item)?;
                all = Set::of(|b| all.has(b) || one.has(b));
            }
            all
        }
    })
}

fn byte(literal: &Literal) -> Result<u8, RegexError> {
    match literal.byte() {
        Some(byte) => Ok(byte),
        None if literal.c.is_ascii() => Ok(literal.c as u8),
        None => Err(no_unicode(literal.span.start.offset)),
    }
}
