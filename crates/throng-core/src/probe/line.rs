//! Bytes into lines.

use super::wire::LONGEST_LINE;

/// What has arrived of a line that is not complete yet.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Adds `bytes`. Returns the lines that are complete now, without their ends; `None` if one is longer than any can be,
    /// or not ASCII.
    pub fn feed(&mut self, bytes: &[u8]) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        let mut bytes = bytes;
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.rest.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            if self.rest.len() > LONGEST_LINE || !self.rest.is_ascii() {
                return None;
            }
            let line = std::mem::take(&mut self.rest);
            lines.push(String::from_utf8(line).ok()?);
        }
        self.rest.extend_from_slice(bytes);
        (self.rest.len() <= LONGEST_LINE).then_some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_wherever_the_bytes_are_cut() {
        let text = b"one\n\ntwo three\nrest";
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            let mut all = lines.feed(&text[..cut]).unwrap();
            all.extend(lines.feed(&text[cut..]).unwrap());
            assert_eq!(all, ["one", "", "two three"]);
        }
    }

    #[test]
    fn what_is_no_line_is_refused() {
        assert!(Lines::default().feed(&[0xff, b'\n']).is_none());
        let mut lines = Lines::default();
        assert!(lines.feed(&vec![b'x'; LONGEST_LINE]).is_some());
        assert!(lines.feed(b"x").is_none());
    }
}
