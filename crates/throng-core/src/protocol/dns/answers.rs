//! The stream of answers on one connection: which query each one answers, and its result.

use super::rcode::Rcode;

/// Length, id and flags: the part of an answer that is read.
const LOOKED_AT: u8 = 6;
/// A message's header (RFC 1035, section 4.1.1); no message is shorter.
const HEADER: u16 = 12;
/// Bits of the third byte of a header: the message is an answer, and it was truncated.
const QR: u8 = 0x80;
const TC: u8 = 0x02;
/// The value of `seen` once the stream has turned out not to be DNS.
const TOO_SHORT: u8 = 0xfe;
const NO_ANSWER: u8 = 0xff;

/// A complete answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The id of the query that it answers.
    pub id: u16,
    /// The result of the query.
    pub rcode: Rcode,
    /// Whether the server left something out.
    pub truncated: bool,
    /// Its length in bytes, without the two bytes of the length.
    pub bytes: u16,
}

/// Why a stream can't be answers of a name server. It does not recover, so the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotDns {
    /// A message of this many bytes, which is shorter than a header.
    #[error(
        "the peer does not speak DNS over TCP: a message of {0} bytes, {HEADER} are the fewest"
    )]
    TooShort(u16),
    /// A message that says it is a query.
    #[error("the peer does not answer DNS queries: it sent a query itself")]
    NotAnAnswer,
}

/// The state of a connection between slices of received bytes: 8 bytes, and no buffer. An answer may be split anywhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answers {
    /// The length and id of the present answer, and byte 3 of its header joined with the rcode, as far as received.
    length: u16,
    id: u16,
    /// The missing bytes of the present answer, once `seen` is complete.
    left: u16,
    flags: u8,
    /// How many of the bytes in `seen` were received.
    seen: u8,
}

impl Answers {
    /// Reads `bytes`, and calls `each` for every answer that they complete.
    ///
    /// # Errors
    /// The stream can't be DNS. `each` was called for the answers before that place. Every later call fails, too.
    pub fn feed(&mut self, mut bytes: &[u8], mut each: impl FnMut(Answer)) -> Result<(), NotDns> {
        loop {
            if self.seen == LOOKED_AT {
                let skip = bytes.len().min(usize::from(self.left));
                self.left -= skip as u16;
                bytes = &bytes[skip..];
                if self.left > 0 {
                    return Ok(());
                }
                each(Answer {
                    id: self.id,
                    rcode: Rcode::from_bits(self.flags),
                    truncated: self.flags & 0xf0 != 0,
                    bytes: self.length,
                });
                *self = Answers::default();
            }
            let Some((&byte, rest)) = bytes.split_first() else {
                return self.broken().map_or(Ok(()), Err);
            };
            bytes = rest;
            self.look_at(byte)?;
        }
    }

    fn look_at(&mut self, byte: u8) -> Result<(), NotDns> {
        match self.seen {
            0 | 1 => self.length = self.length << 8 | u16::from(byte),
            2 | 3 => self.id = self.id << 8 | u16::from(byte),
            // Only the truncation bit of this byte is needed later. It is kept beside the rcode.
            4 => self.flags = (byte & TC) << 4,
            5 => self.flags |= byte & 0x0f,
            _ => {}
        }
        match self.seen {
            1 if self.length < HEADER => self.seen = TOO_SHORT,
            4 if byte & QR == 0 => self.seen = NO_ANSWER,
            0..LOOKED_AT => self.seen += 1,
            _ => {}
        }
        self.left = self.length.wrapping_sub(4);
        self.broken().map_or(Ok(()), Err)
    }

    fn broken(&self) -> Option<NotDns> {
        match self.seen {
            TOO_SHORT => Some(NotDns::TooShort(self.length)),
            NO_ANSWER => Some(NotDns::NotAnAnswer),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Answers of NSD 4.6.1 to nine queries on one connection.
    const PIPELINED: &[u8] = include_bytes!("../../../tests/corpus/dns/pipelined.bin");
    const TRUNCATED: &[u8] = include_bytes!("../../../tests/corpus/dns/truncated.bin");
    const TOO_SHORT: &[u8] = include_bytes!("../../../tests/corpus/dns/too_short.bin");
    const A_QUERY: &[u8] = include_bytes!("../../../tests/corpus/dns/a_query.bin");
    const HTTP: &[u8] = include_bytes!("../../../tests/corpus/dns/http.bin");

    fn read(bytes: &[u8]) -> (Vec<Answer>, Result<(), NotDns>) {
        let mut all = vec![];
        let end = Answers::default().feed(bytes, |answer| all.push(answer));
        (all, end)
    }

    #[test]
    fn a_real_servers_answers_are_read() {
        let (all, end) = read(PIPELINED);
        assert_eq!(end, Ok(()));
        let seen: Vec<_> = all
            .iter()
            .map(|a| (a.id, a.rcode.number(), a.truncated, a.bytes))
            .collect();
        assert_eq!(
            seen,
            [
                (1, 0, false, 78),
                (2, 0, false, 101),
                (3, 0, false, 84),
                (0xfffe, 3, false, 87),
                (5, 5, false, 29),
                (6, 0, false, 58),
                (7, 0, false, 106),
                (8, 0, false, 79),
                (9, 5, false, 12),
            ]
        );
    }

    #[test]
    fn a_truncated_answer_is_reported_as_such() {
        let (all, _) = read(TRUNCATED);
        assert_eq!((all[0].truncated, all[0].rcode.number()), (true, 0));
    }

    #[test]
    fn the_longest_answer_is_skipped_without_keeping_it() {
        assert!(size_of::<Answers>() <= 8);
        let mut longest = vec![0xff, 0xff, 0x12, 0x34, 0x84, 0];
        longest.resize(2 + 65535, 0x55);
        longest.extend(&PIPELINED[..80]);
        let (all, end) = read(&longest);
        assert_eq!(end, Ok(()));
        assert_eq!((all.len(), all[0].id, all[0].bytes), (2, 0x1234, 65535));
    }

    #[test]
    fn what_can_not_be_dns_is_refused_for_good() {
        for (bytes, answers, error) in [
            (TOO_SHORT, 1, NotDns::TooShort(11)),
            (A_QUERY, 0, NotDns::NotAnAnswer),
            (HTTP, 0, NotDns::NotAnAnswer),
            (&[0, 0][..], 0, NotDns::TooShort(0)),
        ] {
            let mut state = Answers::default();
            let mut all = 0;
            assert_eq!(state.feed(bytes, |_| all += 1), Err(error));
            assert_eq!(all, answers);
            for more in [&[][..], PIPELINED] {
                let again = state.feed(more, |a| panic!("{a:?} after {error}"));
                assert_eq!(again, Err(error));
            }
        }
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_stream_is_split(
            mut cuts in prop::collection::vec(0..PIPELINED.len() + TOO_SHORT.len(), 0..40),
        ) {
            let stream = [PIPELINED, TOO_SHORT].concat();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let mut state = Answers::default();
            let mut all = vec![];
            let mut end = Ok(());
            let mut from = 0;
            for to in cuts {
                end = state.feed(&stream[from..to], |answer| all.push(answer));
                from = to;
            }
            prop_assert_eq!((all, end), read(&stream));
        }
    }
}
