//! Headers as they arrive: in one piece as a rule, or cut anywhere.

use super::counts::Counters;
use super::read::{Header, Read, Tlv, read};
use crate::protocol::proxy_protocol::Version;
use std::collections::HashMap;

/// What the first bytes of a connection are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Begins {
    /// With a part of a header.
    Part,
    /// With a header, of which these were the last bytes; what comes from this one on is the client's.
    Header(Header, usize),
    /// With no header, or a wrong one.
    Wrong,
}

/// The first parts of headers, by the numbers of their connections.
#[derive(Debug, Default)]
pub(crate) struct Parts(HashMap<u32, Vec<u8>>);

impl Parts {
    /// More of the header of connection `id` arrived, and perhaps what follows it. Counts what it is.
    pub fn take(&mut self, id: u32, bytes: &[u8], counts: &Counters) -> Begins {
        let mut part = self.0.remove(&id).unwrap_or_default();
        let had = part.len();
        let found = match had {
            0 => read(bytes),
            _ => {
                part.extend_from_slice(bytes);
                read(&part)
            }
        };
        match found {
            Read::Incomplete => {
                if had == 0 {
                    part.extend_from_slice(bytes);
                }
                self.0.insert(id, part);
                Begins::Part
            }
            Read::Malformed(why) => {
                counts.refused(why);
                Begins::Wrong
            }
            Read::Header(header) => {
                count(&header, counts);
                let rest = header.len - had;
                Begins::Header(header, rest)
            }
        }
    }

    /// Connection `id` needs no header any more.
    pub fn forget(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// Whether no connection has sent a part of its header.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn count(header: &Header, counts: &Counters) {
    counts.taken.add(1);
    counts.unnamed.add(header.addresses.is_none().into());
    counts.binary.add((header.version == Version::V2).into());
    for (which, _) in &header.tlvs {
        counts.tlv(*which);
        // A wrong one is no header.
        counts.checksums.add((*which == Tlv::Crc32c).into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proxy_protocol::Malformed;
    use crate::stats::Counters;

    const LINE: &[u8] = b"PROXY TCP4 10.0.0.1 10.0.0.9 1024 80\r\n";

    #[test]
    fn a_header_may_be_cut_anywhere() {
        let all = [LINE, b"GET /"].concat();
        for cut in 1..all.len() {
            let (counters, mut parts) = (Counters::default(), Parts::default());
            let counts = &counters.proxy_protocol;
            let (a, b) = all.split_at(cut);
            let first = parts.take(7, a, counts);
            let rest = match cut < LINE.len() {
                true => {
                    assert_eq!(first, Begins::Part);
                    match parts.take(7, b, counts) {
                        Begins::Header(_, rest) => &b[rest..],
                        other => panic!("{cut}: {other:?}"),
                    }
                }
                false => match first {
                    Begins::Header(_, rest) => &a[rest..],
                    other => panic!("{cut}: {other:?}"),
                },
            };
            let expected = match cut < LINE.len() {
                true => &all[LINE.len()..],
                false => &all[LINE.len()..cut],
            };
            assert_eq!(rest, expected);
            assert!(parts.is_empty());
            assert_eq!(counters.read().proxy_protocol.taken, 1);
        }
    }

    #[test]
    fn parts_of_several_connections_are_kept_apart_and_a_wrong_one_is_counted_by_its_kind() {
        let (counters, mut parts) = (Counters::default(), Parts::default());
        let counts = &counters.proxy_protocol;
        assert_eq!(parts.take(1, b"PRO", counts), Begins::Part);
        assert_eq!(parts.take(2, b"PROX", counts), Begins::Part);
        assert_eq!(parts.take(1, b"M", counts), Begins::Wrong);
        assert!(matches!(
            parts.take(2, &LINE[4..], counts),
            Begins::Header(..)
        ));
        assert_eq!(parts.take(3, b"PROXY", counts), Begins::Part);
        parts.forget(3);
        assert!(parts.is_empty());
        let tally = counters.read().proxy_protocol;
        assert_eq!((tally.taken, tally.refused(Malformed::NoHeader)), (1, 1));
    }
}
