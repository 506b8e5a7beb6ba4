//! How a head says what follows it (RFC 9112, sections 6.1 to 6.3 and 9.3).

use super::body::Body;
use super::head::{lists, members, values};
use super::malformed::Malformed;
use httparse::Header;

/// What a head says about its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    /// Nothing.
    Unsaid,
    /// This many bytes.
    Bytes(u64),
    /// It comes in chunks.
    Chunked,
    /// It is coded in another way, whose end only the connection's end shows.
    Coded,
}

/// What `fields` say about the body; `version` is the minor version of HTTP/1.
///
/// # Errors
/// They contradict each other, or the version.
pub(super) fn length(fields: &[Header], version: u8) -> Result<Length, Malformed> {
    let mut length = None;
    // The same length several times is one length.
    for one in values(fields, "Content-Length").flat_map(|value| value.split(|b| *b == b',')) {
        let one = number(one.trim_ascii()).ok_or(Malformed::BadLength)?;
        if length.replace(one).is_some_and(|other| other != one) {
            return Err(Malformed::TwoLengths);
        }
    }
    let mut codings = members(fields, "Transfer-Encoding").peekable();
    if values(fields, "Transfer-Encoding").next().is_none() {
        return Ok(length.map_or(Length::Unsaid, Length::Bytes));
    }
    if version == 0 || codings.peek().is_none() {
        return Err(Malformed::BadCoding);
    }
    if length.is_some() {
        return Err(Malformed::LengthAndCoding);
    }
    let mut last = Length::Coded;
    for coding in codings {
        // Chunks are the last coding, and are applied once.
        if last == Length::Chunked {
            return Err(Malformed::BadCoding);
        }
        last = match coding.eq_ignore_ascii_case(b"chunked") {
            true => Length::Chunked,
            false => Length::Coded,
        };
    }
    Ok(last)
}

/// A length: digits alone.
fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// Whether the connection stays open after this message.
pub(super) fn persists(fields: &[Header], version: u8) -> bool {
    match version {
        0 => lists(fields, "Connection", "keep-alive") && !lists(fields, "Connection", "close"),
        _ => !lists(fields, "Connection", "close"),
    }
}

/// Whether a line of a whole head ends in LF without CR.
pub(super) fn has_bare_lf(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

impl Length {
    /// The body of a request, which has none unless it says so.
    ///
    /// # Errors
    /// Where it ends is unknown (RFC 9112, section 6.3, item 4).
    pub(super) fn of_request(self) -> Result<Body, Malformed> {
        match self {
            Length::Unsaid => Ok(Body::NONE),
            Length::Bytes(bytes) => Ok(Body::sized(bytes)),
            Length::Chunked => Ok(Body::CHUNKED),
            Length::Coded => Err(Malformed::BadCoding),
        }
    }

    /// The body of an answer that has one.
    pub(super) fn of_answer(self) -> Body {
        match self {
            Length::Bytes(bytes) => Body::sized(bytes),
            Length::Chunked => Body::CHUNKED,
            Length::Unsaid | Length::Coded => Body::UNTIL_CLOSE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[(&'static str, &'static str)], version: u8) -> Result<Length, Malformed> {
        let fields: Vec<Header> = lines
            .iter()
            .map(|(name, value)| Header {
                name,
                value: value.as_bytes(),
            })
            .collect();
        length(&fields, version)
    }

    #[test]
    fn a_length_is_one_number_or_chunks() {
        const CL: &str = "content-length";
        const TE: &str = "Transfer-Encoding";
        for (lines, version, expected) in [
            (&[][..], 1, Ok(Length::Unsaid)),
            (&[(CL, "12")], 1, Ok(Length::Bytes(12))),
            (&[(CL, "5"), (CL, "5")], 1, Ok(Length::Bytes(5))),
            (&[(CL, "5, 5")], 1, Ok(Length::Bytes(5))),
            (&[(CL, "5"), (CL, "6")], 1, Err(Malformed::TwoLengths)),
            (&[(CL, "5,6")], 0, Err(Malformed::TwoLengths)),
            (&[(CL, "")], 1, Err(Malformed::BadLength)),
            (&[(CL, "-1")], 1, Err(Malformed::BadLength)),
            (&[(CL, "+1")], 1, Err(Malformed::BadLength)),
            (&[(CL, "1 2")], 1, Err(Malformed::BadLength)),
            (&[(CL, "0x1")], 1, Err(Malformed::BadLength)),
            (
                &[(CL, "18446744073709551616")],
                1,
                Err(Malformed::BadLength),
            ),
            (&[(TE, "chunked")], 1, Ok(Length::Chunked)),
            (&[(TE, "gzip, Chunked")], 1, Ok(Length::Chunked)),
            (&[(TE, "gzip")], 1, Ok(Length::Coded)),
            (&[(TE, "chunked, gzip")], 1, Err(Malformed::BadCoding)),
            (
                &[(TE, "chunked"), (TE, "chunked")],
                1,
                Err(Malformed::BadCoding),
            ),
            (&[(TE, "")], 1, Err(Malformed::BadCoding)),
            (&[(TE, "chunked")], 0, Err(Malformed::BadCoding)),
            (
                &[(TE, "chunked"), (CL, "5")],
                1,
                Err(Malformed::LengthAndCoding),
            ),
        ] {
            assert_eq!(of(lines, version), expected, "{lines:?}");
        }
        assert_eq!(Length::Coded.of_request(), Err(Malformed::BadCoding));
        assert_eq!(Length::Coded.of_answer(), Body::UNTIL_CLOSE);
    }

    #[test]
    fn lines_that_end_in_lf_alone_are_found() {
        assert!(has_bare_lf(b"GET / HTTP/1.1\r\nA: b\n\r\n"));
        assert!(has_bare_lf(b"\n"));
        assert!(!has_bare_lf(b"GET / HTTP/1.1\r\nA: b\r\n\r\n"));
    }
}
