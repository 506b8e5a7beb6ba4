//! Writes answers.

use super::super::status::Status;
use std::time::{Duration, UNIX_EPOCH};

/// The date as answers carry it (RFC 9110, section 6.6.1), made once a second.
#[derive(Debug, Default)]
pub(super) struct Date {
    second: u64,
    text: String,
}

impl Date {
    /// That of a time, in microseconds since 1970.
    pub(super) fn at(&mut self, unix_us: u64) -> &str {
        let second = unix_us / 1_000_000;
        if second != self.second || self.text.is_empty() {
            self.second = second;
            self.text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        &self.text
    }
}

/// How long the body of an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// So many bytes.
    Bytes(u64),
    /// Chunks.
    Chunks,
    /// Nothing is said: it ends with the connection.
    UntilClose,
    /// The status forbids a body.
    None,
}

/// What is in the head of an answer.
pub(super) struct Head<'a> {
    pub status: u16,
    pub date: &'a str,
    pub kind: &'static str,
    pub size: Size,
    /// Whether the connection stays open.
    pub persists: bool,
    /// Whether the client has to be told that it does.
    pub old: bool,
}

impl Head<'_> {
    /// Appends it to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"HTTP/1.1 ");
        match self.status {
            200 => out.extend_from_slice(b"200 OK"),
            code => {
                let status = Status::of(code);
                match status.name().len() == 3 && status.name().as_bytes()[0].is_ascii_digit() {
                    true if status.words().starts_with(status.name()) => {
                        out.extend_from_slice(status.words().as_bytes());
                    }
                    // The reason may be empty (RFC 9112, section 4).
                    _ => {
                        decimal(code.into(), out);
                        out.push(b' ');
                    }
                }
            }
        }
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(self.date.as_bytes());
        match self.size {
            Size::None => {}
            _ => {
                out.extend_from_slice(b"\r\nContent-Type: ");
                out.extend_from_slice(self.kind.as_bytes());
            }
        }
        match self.size {
            Size::Bytes(bytes) => {
                out.extend_from_slice(b"\r\nContent-Length: ");
                decimal(bytes, out);
            }
            Size::Chunks => out.extend_from_slice(b"\r\nTransfer-Encoding: chunked"),
            Size::UntilClose | Size::None => {}
        }
        match (self.persists, self.old) {
            (false, _) => out.extend_from_slice(b"\r\nConnection: close"),
            (true, true) => out.extend_from_slice(b"\r\nConnection: keep-alive"),
            (true, false) => {}
        }
        out.extend_from_slice(b"\r\n\r\n");
    }
}

/// Appends `n` in decimal.
pub(super) fn decimal(n: u64, out: &mut Vec<u8>) {
    let at = out.len();
    let mut left = n;
    loop {
        out.push(b'0' + (left % 10) as u8);
        left /= 10;
        if left == 0 {
            break;
        }
    }
    out[at..].reverse();
}

/// Appends the line before a chunk of `n` bytes.
pub(super) fn chunk_size(n: usize, out: &mut Vec<u8>) {
    let digits = (usize::BITS - n.leading_zeros()).div_ceil(4).max(1);
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[n >> (4 * digit) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// The end of the last chunk.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_say_what_follows() {
        let mut date = Date::default();
        let mut head = |status, size, persists, old| {
            let mut out = Vec::new();
            Head {
                status,
                date: date.at(784_111_777_000_000),
                kind: "text/plain",
                size,
                persists,
                old,
            }
            .write(&mut out);
            String::from_utf8(out).unwrap()
        };
        const DATE: &str = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
        assert_eq!(
            head(200, Size::Bytes(1230), true, false),
            format!(
                "HTTP/1.1 200 OK\r\n{DATE}Content-Type: text/plain\r\nContent-Length: 1230\r\n\r\n"
            )
        );
        assert_eq!(
            head(204, Size::None, true, true),
            format!("HTTP/1.1 204 No Content\r\n{DATE}Connection: keep-alive\r\n\r\n")
        );
        assert_eq!(
            head(599, Size::Chunks, false, false),
            format!(
                "HTTP/1.1 599 \r\n{DATE}Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\
                 Connection: close\r\n\r\n"
            )
        );
    }

    #[test]
    fn numbers_are_written_as_they_are_read() {
        for n in [0, 1, 9, 10, 15, 16, 255, 256, 65536, 1_000_000] {
            let (mut ten, mut sixteen) = (Vec::new(), Vec::new());
            decimal(n, &mut ten);
            chunk_size(n as usize, &mut sixteen);
            assert_eq!(ten, n.to_string().into_bytes());
            assert_eq!(sixteen, format!("{n:x}\r\n").into_bytes());
        }
    }
}
