//! C escapes in messages.

/// Why an escape could not be read, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}; {right}")]
pub struct EscapeError {
    /// Byte offset of the backslash.
    pub at: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub right: &'static str,
}

/// The bytes of `text` with its C escapes interpreted: `\n \r \t \a \b \f \v \e \0 \\ \" \'`,
/// `\xHH` (one or two digits) and `\ooo` (one to three octal digits).
///
/// # Errors
/// An unknown escape, one cut off by the end, or an octal number above 255.
pub fn unescape(text: &[u8]) -> Result<Vec<u8>, EscapeError> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = 0;
    while let Some(n) = text[rest..].iter().position(|b| *b == b'\\') {
        let at = rest + n;
        out.extend_from_slice(&text[rest..at]);
        let (byte, n) = escape(text, at)?;
        out.push(byte);
        rest = at + n;
    }
    out.extend_from_slice(&text[rest..]);
    Ok(out)
}

/// The byte that the escape at `at`, a backslash, stands for, and the length of the escape.
pub(super) fn escape(text: &[u8], at: usize) -> Result<(u8, usize), EscapeError> {
    let wrong = |what: String, right: &'static str| EscapeError { at, what, right };
    let digits = |from: usize, base: u32, most: usize| -> (u32, usize) {
        text.iter()
            .skip(from)
            .take(most)
            .map_while(|c| char::from(*c).to_digit(base))
            .fold((0, 0), |(value, n), d| (value * base + d, n + 1))
    };
    let Some(&kind) = text.get(at + 1) else {
        return Err(wrong(
            "a backslash ends the text".into(),
            "write \\\\ for one",
        ));
    };
    let byte = match kind {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        b'f' => 12,
        b'v' => 11,
        b'e' => 27,
        b'\\' | b'"' | b'\'' | b'?' => kind,
        b'x' => {
            let (value, n) = digits(at + 2, 16, 2);
            if n == 0 {
                return Err(wrong(
                    "\\x has no digits".into(),
                    "\\x needs one or two hexadecimal digits",
                ));
            }
            return Ok((value as u8, 2 + n));
        }
        b'0'..=b'7' => {
            let (value, n) = digits(at + 1, 8, 3);
            let byte = u8::try_from(value).map_err(|_| {
                wrong(
                    format!("an octal escape of {value}"),
                    "the highest is \\377, which is 255",
                )
            })?;
            return Ok((byte, 1 + n));
        }
        other => {
            return Err(wrong(
                format!("unknown escape \\{}", char::from(other).escape_default()),
                "write \\\\ for a backslash itself",
            ));
        }
    };
    Ok((byte, 2))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_read_as_in_c() {
        for (text, bytes) in [
            ("plain", &b"plain"[..]),
            (r"a\r\nb\t\0", b"a\r\nb\t\0"),
            (r"\x41\x4a\x4", b"AJ\x04"),
            (r"\101\7\08", b"A\x07\x008"),
            (r"\\x", b"\\x"),
            (r#"\"\'"#, b"\"'"),
        ] {
            assert_eq!(unescape(text.as_bytes()).as_deref(), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_wrong_escape_is_reported_with_its_place() {
        for (text, at) in [(r"ab\q", 2), (r"\", 0), (r"x\xzz", 1), (r"\777", 0)] {
            assert_eq!(unescape(text.as_bytes()).unwrap_err().at, at, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_unescape_or_say_why(text: Vec<u8>) {
            if let Err(e) = unescape(&text) {
                prop_assert_eq!(text[e.at], b'\\');
            }
        }
    }
}
