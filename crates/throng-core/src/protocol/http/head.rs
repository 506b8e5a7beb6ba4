//! The head of an HTTP/1.1 message: assembles it from pieces, and reads its fields. httparse parses it.

use crate::partials::{Partials, Slot};

/// The longest head, in bytes.
pub const MAX_HEAD: usize = 16 * 1024;
/// The most header fields of a head.
pub const MAX_FIELDS: usize = 64;

/// Whether a head is complete, and where it ends.
pub(crate) enum Gathered<T> {
    /// It is incomplete. The bytes so far are kept.
    Part,
    /// It is complete: what `parse` returned, and how many of the given bytes belong to the head.
    Whole(T, usize),
    /// It is longer than [`MAX_HEAD`].
    TooLong,
}

/// Adds `bytes` to a head that arrives in pieces. `parse` receives the head so far, and returns its result and the size
/// of the head once it is complete.
pub(crate) fn gather<T, E>(
    half: &mut Slot,
    partials: &mut Partials,
    bytes: &[u8],
    parse: impl FnOnce(&[u8]) -> Result<Option<(T, usize)>, E>,
) -> Result<Gathered<T>, E> {
    let had = partials.at(half).len();
    let added = &bytes[..bytes.len().min(MAX_HEAD - had.min(MAX_HEAD))];
    let found = if had == 0 {
        parse(added)?
    } else {
        partials.append(half, added);
        // A head ends with the end of a line. Its first bytes are checked one by one, so that another protocol is
        // recognized at once.
        if had < 16 || added.contains(&b'\n') {
            let found = parse(partials.at(half));
            if !matches!(found, Ok(None)) {
                partials.drop_at(half);
            }
            found?
        } else {
            None
        }
    };
    match found {
        Some((found, size)) => Ok(Gathered::Whole(found, size.saturating_sub(had))),
        None if had + added.len() >= MAX_HEAD => {
            partials.drop_at(half);
            Ok(Gathered::TooLong)
        }
        None => {
            if had == 0 {
                partials.append(half, added);
            }
            Ok(Gathered::Part)
        }
    }
}

/// The last head, and what it says. Peers repeat themselves, and a head that is the same to the byte need not be parsed again.
#[derive(Debug)]
pub(crate) struct Last<T> {
    bytes: Vec<u8>,
    said: Option<T>,
}

impl<T> Default for Last<T> {
    fn default() -> Last<T> {
        Last {
            bytes: Vec::new(),
            said: None,
        }
    }
}

impl<T: Copy> Last<T> {
    /// What `parse` returns for these bytes, which begin with a head.
    #[inline]
    pub(crate) fn or<E>(
        &mut self,
        bytes: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<Option<(T, usize)>, E>,
    ) -> Result<Option<(T, usize)>, E> {
        if let Some(said) = self.said
            && bytes.starts_with(&self.bytes)
        {
            return Ok(Some((said, self.bytes.len())));
        }
        let found = parse(bytes)?;
        if let Some((said, size)) = found {
            self.bytes.clear();
            self.bytes.extend_from_slice(&bytes[..size]);
            self.said = Some(said);
        }
        Ok(found)
    }
}

/// The values of the header fields called `name`, without the blanks around them.
pub(crate) fn values<'a>(
    fields: &'a [httparse::Header<'a>],
    name: &str,
) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value.trim_ascii())
}

/// The members of the comma-separated lists in the header fields called `name`.
pub(crate) fn members<'a>(
    fields: &'a [httparse::Header<'a>],
    name: &str,
) -> impl Iterator<Item = &'a [u8]> {
    values(fields, name)
        .flat_map(|value| value.split(|b| *b == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
}

/// Whether one of those members is `token`, in any case.
pub(crate) fn lists(fields: &[httparse::Header], name: &str, token: &str) -> bool {
    members(fields, name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_that_is_the_same_to_the_byte_is_not_parsed_again() {
        let mut last = Last::default();
        let mut parsed = 0;
        let mut or = |bytes: &[u8]| {
            last.or(bytes, |bytes| {
                parsed += 1;
                let end = bytes.iter().position(|b| *b == b'.');
                match bytes[0] {
                    b'!' => Err(()),
                    first => Ok(end.map(|end| (first, end + 1))),
                }
            })
        };
        for (bytes, said) in [
            (&b"ab.rest"[..], Ok(Some((b'a', 3)))),
            (b"ab.other rest", Ok(Some((b'a', 3)))),
            (b"ab.", Ok(Some((b'a', 3)))),
            // Only the first part of it, and one that differs.
            (b"ab", Ok(None)),
            (b"b.", Ok(Some((b'b', 2)))),
            (b"!.", Err(())),
            (b"b.", Ok(Some((b'b', 2)))),
        ] {
            assert_eq!(or(bytes), said);
        }
        assert_eq!(parsed, 4);
    }
}
