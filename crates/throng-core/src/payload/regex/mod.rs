//! Random strings from a regular expression, for `\{re …}`.
//!
//! regex-syntax parses it. The crate rand_regex (0.19) could draw, but nothing else here: not the white space, `.` and
//! negated classes of tcpkali's dialect, the bounds (shortest, longest, mean, work) and the errors with their places.
//! It also allocates a string for each draw, and takes a random number per letter: alone, 26 ns for `[a-z]{8}`, 75 ns
//! for `[a-zA-Z0-9]{32}`, where rendering the whole message takes 20 and 31 ns here. And it joins nested alternations:
//! `aa|(bb|cc)` gives `aa` one time in three instead of every second time.

mod class;
mod error;
mod program;

use super::dice::Dice;
pub use error::RegexError;
use error::refused;
use program::{Bounds, Node};
use regex_syntax::ast::{self, Ast, ErrorKind, GroupKind, RepetitionKind, RepetitionRange};

/// How often `*` and `+` repeat at most; as in tcpkali.
const MOST_REPEATS: u32 = 16;

/// The longest string that a regular expression may be able to give, in bytes. Longer data belongs in a file, and this
/// bound keeps one message from stalling a worker.
pub const LONGEST: u64 = 1 << 20;

/// How deep groups and repetitions may nest.
const DEEPEST: u32 = 100;

/// A regular expression, compiled for drawing strings that match it.
///
/// Literals, classes (`[a-z0-9]`, `[^"]`, `[[:alpha:]]`, `\d \w \s`, set operations), groups, `|`, `?`, `*`,
/// `+`, `{n}`, `{n,}`, `{n,m}`. As tcpkali has it:
///
/// - `*` is `{0,16}`, `+` is `{1,16}`; `{n,}` is `{n,n+16}`. Each count is as likely as any other, and so is each
///   branch of an alternation and each member of a class.
/// - `.` stands for itself: `\{re [a-z]{3}.example.org}`.
/// - White space beside `[ ] ( ) { } ? * + |` and at the beginning is ignored; write `[ ]` for a space there.
///
/// Strings are bytes. A negated class (`[^…]`, `\D \W \S`) gives printable ASCII. What cannot be drawn (anchors,
/// look-around, Unicode classes) is refused, and so is what could be longer than 1 MiB.
#[derive(Clone, Debug)]
pub struct Regex {
    node: Node,
    bounds: Bounds,
}

impl Regex {
    /// Compiles `pattern`. See [above](Self) for what it may hold.
    ///
    /// # Errors
    /// What it may not hold, with its place.
    pub fn new(pattern: &str) -> Result<Regex, RegexError> {
        let (dense, places) = without_space(pattern);
        let place = |at: usize| places.get(at).copied().unwrap_or(pattern.len());
        let ast = ast::parse::ParserBuilder::new()
            .nest_limit(DEEPEST)
            .build()
            .parse(&dense)
            .map_err(|e| {
                let (what, right) = explain(e.kind());
                RegexError {
                    at: place(e.span().start.offset),
                    what,
                    right: right.into(),
                }
            })?;
        let node = compile(&ast).map_err(|mut e| {
            e.at = place(e.at);
            e
        })?;
        let bounds = node.bounds();
        if bounds.longest.max(bounds.steps) > LONGEST {
            return Err(RegexError {
                at: 0,
                what: "it repeats too often".into(),
                right: format!("strings of up to {LONGEST} bytes are possible"),
            });
        }
        Ok(Regex { node, bounds })
    }

    /// The length of the shortest string in bytes.
    pub fn shortest(&self) -> u64 {
        self.bounds.shortest
    }

    /// The length of the longest string in bytes.
    pub fn longest(&self) -> u64 {
        self.bounds.longest
    }

    /// The mean length of the strings in bytes.
    pub fn mean(&self) -> f64 {
        self.bounds.mean
    }

    /// Appends a random string that matches.
    #[inline]
    pub fn draw(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        self.node.draw(dice, out);
    }

    /// Appends a random string that matches and is not empty, if there is any.
    pub(super) fn draw_some(&self, dice: &mut Dice, out: &mut Vec<u8>) {
        let before = out.len();
        // Bounded, for an expression whose strings are nearly always empty.
        for _ in 0..64 {
            self.draw(dice, out);
            if out.len() > before {
                return;
            }
        }
        self.node.draw_longest(out);
    }
}

/// `pattern` without the white space that is ignored, and the original offset of each byte.
fn without_space(pattern: &str) -> (String, Vec<usize>) {
    let mut dense = String::with_capacity(pattern.len());
    let mut places = Vec::with_capacity(pattern.len());
    let mut in_literal = false;
    let mut counting = false;
    let mut classes = 0u32;
    let mut chars = pattern.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let mut keep = |at: usize, c: char| {
            dense.push(c);
            places.extend(std::iter::repeat_n(at, c.len_utf8()));
        };
        match c {
            '\\' => {
                keep(at, c);
                if let Some((at, c)) = chars.next() {
                    keep(at, c);
                }
                in_literal = true;
                continue;
            }
            '[' => {
                keep(at, c);
                classes += 1;
                // A bracket right at the beginning of a class is one of its members.
                if let Some((at, c)) = chars.next_if(|(_, c)| *c == '^') {
                    keep(at, c);
                }
                if let Some((at, c)) = chars.next_if(|(_, c)| *c == ']') {
                    keep(at, c);
                }
                continue;
            }
            ']' if classes > 0 => {
                classes -= 1;
                in_literal = false;
            }
            _ if classes > 0 => {}
            '{' => (counting, in_literal) = (true, false),
            '}' => (counting, in_literal) = (false, false),
            '(' | ')' | '?' | '*' | '+' | '|' => in_literal = false,
            _ if c.is_ascii_whitespace() || c == '\x0b' => {
                if !in_literal || counting {
                    continue;
                }
            }
            _ => in_literal = !counting,
        }
        keep(at, c);
    }
    (dense, places)
}

fn compile(ast: &Ast) -> Result<Node, RegexError> {
    let at = ast.span().start.offset;
    Ok(match ast {
        Ast::Empty(_) => Node::empty(),
        Ast::Dot(_) => Node::bytes(b"."),
        Ast::Literal(literal) => match literal.byte() {
            Some(byte) => Node::bytes(&[byte]),
            None => Node::bytes(literal.c.encode_utf8(&mut [0; 4]).as_bytes()),
        },
        Ast::ClassPerl(perl) => Node::class(class::perl(perl).members(at)?),
        Ast::ClassBracketed(class) => Node::class(class::bracketed(class)?.members(at)?),
        Ast::ClassUnicode(_) => return Err(class::no_unicode(at)),
        Ast::Assertion(_) => {
            return Err(refused(
                at,
                "anchors and word boundaries have no meaning in a random string",
                r"leave it out, or write \^ or \$ for the character itself",
            ));
        }
        Ast::Flags(_) => return Err(no_flags(at)),
        Ast::Group(group) => match &group.kind {
            GroupKind::NonCapturing(flags) if !flags.items.is_empty() => return Err(no_flags(at)),
            _ => compile(&group.ast)?,
        },
        Ast::Repetition(repetition) => {
            let (least, most) = match &repetition.op.kind {
                RepetitionKind::ZeroOrOne => (0, 1),
                RepetitionKind::ZeroOrMore => (0, MOST_REPEATS),
                RepetitionKind::OneOrMore => (1, MOST_REPEATS),
                RepetitionKind::Range(RepetitionRange::Exactly(n)) => (*n, *n),
                RepetitionKind::Range(RepetitionRange::AtLeast(n)) => {
                    (*n, n.saturating_add(MOST_REPEATS))
                }
                RepetitionKind::Range(RepetitionRange::Bounded(n, m)) => (*n, *m),
            };
            compile(&repetition.ast)?.repeated(least, most)
        }
        Ast::Alternation(branches) => Node::any(compile_all(&branches.asts)?),
        Ast::Concat(parts) => Node::sequence(compile_all(&parts.asts)?),
    })
}

fn compile_all(asts: &[Ast]) -> Result<Vec<Node>, RegexError> {
    asts.iter().map(compile).collect()
}

fn no_flags(at: usize) -> RegexError {
    refused(
        at,
        "flags are not supported",
        "leave them out, and write [Aa] for a letter in either case",
    )
}

/// What the parser found wrong, and what would be right.
fn explain(kind: &ErrorKind) -> (String, &'static str) {
    let right = match kind {
        ErrorKind::ClassUnclosed => "add ], or write \\[ for a bracket itself",
        ErrorKind::ClassRangeInvalid => "write the character that comes first in ASCII first",
        ErrorKind::ClassRangeLiteral => "a range goes from one character to another, as in [a-z]",
        ErrorKind::GroupUnclosed => "add ), or write \\( for a parenthesis itself",
        ErrorKind::GroupUnopened => "add ( before it, or write \\) for a parenthesis itself",
        ErrorKind::RepetitionMissing => {
            "write what to repeat before it, or a \\ for the character itself"
        }
        ErrorKind::RepetitionCountInvalid => "write the smaller number first, as in {2,5}",
        ErrorKind::RepetitionCountUnclosed
        | ErrorKind::RepetitionCountDecimalEmpty
        | ErrorKind::DecimalEmpty
        | ErrorKind::DecimalInvalid => "write {n} or {n,m} with numbers, as in [a-z]{8}",
        ErrorKind::NestLimitExceeded(_) => "write it with fewer groups inside each other",
        ErrorKind::EscapeUnexpectedEof => "write \\\\ for one",
        ErrorKind::EscapeUnrecognized => "write \\\\ for a backslash itself",
        ErrorKind::UnsupportedLookAround | ErrorKind::UnsupportedBackreference => {
            "write what the string is made of"
        }
        ErrorKind::UnicodeClassInvalid => "write a class of ASCII characters, as in [a-z]",
        _ => "write literals, classes, groups, |, ?, *, +, {n} or {n,m}",
    };
    // The library's messages are for programmers; the frequent ones are rephrased here.
    let what = match kind {
        ErrorKind::ClassRangeInvalid => "the range of a class goes backwards".into(),
        ErrorKind::RepetitionMissing => "there is nothing to repeat".into(),
        ErrorKind::RepetitionCountInvalid => "the range of a count goes backwards".into(),
        ErrorKind::RepetitionCountUnclosed
        | ErrorKind::RepetitionCountDecimalEmpty
        | ErrorKind::DecimalEmpty
        | ErrorKind::DecimalInvalid => "there is no count between { and }".into(),
        ErrorKind::NestLimitExceeded(n) => format!("groups nest deeper than {n}"),
        ErrorKind::EscapeUnexpectedEof => "a backslash ends it".into(),
        ErrorKind::GroupUnopened => "a group ends that was not opened".into(),
        other => one_line(&other.to_string()),
    };
    (what, right)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
