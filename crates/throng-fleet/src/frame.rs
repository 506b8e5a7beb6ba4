//! Messages on a stream of bytes: one on each line.

use crate::message::MessageError;
use std::io::{self, BufRead, Write};

/// Writes a message.
///
/// # Errors
/// Those of `to`.
pub(crate) fn write(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    to.write_all(message)?;
    to.write_all(b"\n")?;
    to.flush()
}

/// Reads the next message of at most `most` bytes into `line`; `None` at the end of the stream. A longer one is skipped, without
/// being kept in memory, and is an error of its own: those that follow can be read.
///
/// # Errors
/// Those of `from`.
pub(crate) fn read(
    from: &mut impl BufRead,
    line: &mut Vec<u8>,
    most: usize,
) -> io::Result<Option<Result<(), MessageError>>> {
    line.clear();
    let mut too_long = false;
    loop {
        let bytes = match from.fill_buf() {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        if bytes.is_empty() {
            // What has no end of line is a message that was cut off.
            return Ok(None);
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let part = &bytes[..end.unwrap_or(bytes.len())];
        too_long |= line.len() + part.len() > most;
        if !too_long {
            line.extend_from_slice(part);
        }
        let taken = part.len() + usize::from(end.is_some());
        from.consume(taken);
        if end.is_some() {
            return Ok(Some(match too_long {
                true => Err(MessageError::TooLong(most)),
                false => Ok(()),
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// What is read of `text`, with a buffer of three bytes: messages, or `None` for one that is too long.
    fn all(text: &str, most: usize) -> Vec<Option<String>> {
        let mut from = BufReader::with_capacity(3, text.as_bytes());
        let (mut line, mut found) = (Vec::new(), Vec::new());
        while let Some(read) = read(&mut from, &mut line, most).unwrap() {
            found.push(read.ok().map(|()| String::from_utf8(line.clone()).unwrap()));
        }
        found
    }

    #[test]
    fn a_message_that_is_too_long_is_skipped_and_the_next_one_read() {
        let read = all("ab\nabcdefgh\ncd\nabcd\n", 4);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(read, [text("ab"), None, text("cd"), text("abcd")]);
    }

    #[test]
    fn a_message_without_an_end_was_cut_off() {
        assert_eq!(all("ab\ncd", 9), [Some("ab".to_owned())]);
        assert!(all("", 9).is_empty());
    }
}
