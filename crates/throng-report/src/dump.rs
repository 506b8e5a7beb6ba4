//! Dumps of traffic in tcpkali's format: a line for each read or write.

use std::io::Write;

/// The direction of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Sent.
    Sent,
    /// Received.
    Received,
}

/// Appends the line for `bytes` of a connection: `Snd(7, 3): [a\r\n]`. The first number identifies the connection;
/// tcpkali prints its file descriptor there. Printable ASCII stays as it is, except the backslash, which is doubled.
/// Line feed and carriage return become `\n` and `\r`, all other bytes `\xHH`.
pub fn line(way: Way, connection: u64, bytes: &[u8], out: &mut Vec<u8>) {
    let name = match way {
        Way::Sent => "Snd",
        Way::Received => "Rcv",
    };
    out.reserve(bytes.len() + 32);
    // Writing to a vector does not fail.
    let _ = write!(out, "{name}({connection}, {}): [", bytes.len());
    for byte in bytes {
        match byte {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b' '..=b'~' => out.push(*byte),
            other => {
                let _ = write!(out, "\\x{other:02x}");
            }
        }
    }
    out.extend_from_slice(b"]\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(way: Way, bytes: &[u8]) -> String {
        let mut out = Vec::new();
        line(way, 7, bytes, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_dump_is_one_line_of_printable_characters() {
        for (bytes, text) in [
            (&b"FOOBARBAZ"[..], "Snd(7, 9): [FOOBARBAZ]\n"),
            (b"", "Snd(7, 0): []\n"),
            (b"a\r\nb\n", "Snd(7, 5): [a\\r\\nb\\n]\n"),
            (
                b"\"\\\t\0\x7f\xff]",
                "Snd(7, 7): [\"\\\\\\x09\\x00\\x7f\\xff]]\n",
            ),
        ] {
            assert_eq!(drawn(Way::Sent, bytes), text);
        }
        assert_eq!(drawn(Way::Received, b"x"), "Rcv(7, 1): [x]\n");
        let all: Vec<u8> = (0..=255).collect();
        let text = drawn(Way::Received, &all);
        assert_eq!(text.lines().count(), 1);
        assert!(text.trim_end().bytes().all(|b| (b' '..=b'~').contains(&b)));
    }

    #[test]
    fn the_patterns_of_tcpkalis_own_test_read_it() {
        let pattern = regex::Regex::new(r"(?m)^Snd\(\d+, (\d+)\): \[(.*)\]$").unwrap();
        let text = drawn(Way::Sent, b"a]\nb");
        let found = pattern.captures(&text).unwrap();
        assert_eq!((&found[1], &found[2]), ("4", r"a]\nb"));
    }
}
