//! Reads event streams (`text/event-stream`, HTML Living Standard, section 9.2): where events end, their numbers, and when
//! they were sent if they say so.

use crate::time::Time;

/// What is known of an event stream: 24 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Events {
    /// When the last event ended; before the first one, when the stream was asked for.
    pub last: Time,
    /// The number that is read, as far as it was read.
    number: u64,
    /// The number of the last event that had one.
    id: u32,
    at: Place,
    flags: u8,
}

/// The event has data. Without, it is none.
const DATA: u8 = 1;
/// The last byte was CR: an LF belongs to it.
const CR: u8 = 2;
/// `number` has digits.
const DIGITS: u8 = 4;
/// An event had a number.
const NUMBERED: u8 = 8;
/// An event has ended.
const BEGUN: u8 = 16;

/// Where in a line the next byte is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// At its start.
    #[default]
    Start,
    /// Behind this many bytes of `id`.
    Id(u8),
    /// Behind this many bytes of `data`.
    Data(u8),
    /// In the value of `id`: behind the colon, or behind what else.
    IdColon,
    IdNumber,
    /// The same for `data`.
    DataColon,
    DataNumber,
    /// In data, behind a number if there is one.
    DataRest,
    /// In what does not matter.
    Rest,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An event ended.
    Event {
        /// Whether it is the first one of the stream.
        first: bool,
    },
    /// Events are missing between the numbers of two.
    Missed(u64),
    /// Data begins with a number. Of throng's server it is when the event was sent: microseconds since 1970.
    Stamp(u64),
}

impl Events {
    /// A stream that was asked for at `sent`.
    pub fn new(sent: Time) -> Events {
        Events {
            last: sent,
            ..Events::default()
        }
    }

    /// Reads the next bytes. Passes what is found to `found`.
    pub fn read(&mut self, mut bytes: &[u8], mut found: impl FnMut(&mut Time, Found)) {
        while let [byte, rest @ ..] = bytes {
            bytes = rest;
            let after_cr = self.flags & CR != 0;
            self.flags &= !CR;
            match *byte {
                b'\n' if after_cr => {}
                b'\n' => self.line(&mut found),
                b'\r' => {
                    self.flags |= CR;
                    self.line(&mut found);
                }
                byte => {
                    self.byte(byte);
                    if matches!(self.at, Place::Rest | Place::DataRest) {
                        let end = memchr::memchr2(b'\n', b'\r', bytes);
                        bytes = &bytes[end.unwrap_or(bytes.len())..];
                    }
                }
            }
        }
    }

    /// A byte of a line.
    fn byte(&mut self, byte: u8) {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'));
        self.at = match (self.at, byte) {
            (Place::Start, b'i') => Place::Id(1),
            (Place::Id(1), b'd') => Place::Id(2),
            (Place::Id(2), b':') => Place::IdColon,
            (Place::IdColon, b' ') => Place::IdNumber,
            (Place::Start, b'd') => Place::Data(1),
            (Place::Data(1), b'a') => Place::Data(2),
            (Place::Data(2), b't') => Place::Data(3),
            (Place::Data(3), b'a') => Place::Data(4),
            (Place::Data(4), b':') => {
                self.flags |= DATA;
                Place::DataColon
            }
            (Place::DataColon, b' ') => Place::DataNumber,
            (Place::IdColon | Place::IdNumber, _) => match digit {
                Some(digit) if self.take(digit) => Place::IdNumber,
                _ => Place::Rest,
            },
            (Place::DataColon | Place::DataNumber, _) => match digit {
                Some(digit) if self.take(digit) => Place::DataNumber,
                // Too long for a time, or the end of it.
                Some(_) => Place::Rest,
                None => Place::DataRest,
            },
            _ => Place::Rest,
        };
    }

    /// Takes a digit. Returns whether the number is not too long.
    fn take(&mut self, digit: u64) -> bool {
        let longer = self.number.checked_mul(10);
        match longer.and_then(|number| number.checked_add(digit)) {
            Some(number) => {
                self.number = number;
                self.flags |= DIGITS;
                true
            }
            None => false,
        }
    }

    /// The end of a line.
    fn line(&mut self, found: &mut impl FnMut(&mut Time, Found)) {
        let number = (self.flags & DIGITS != 0).then_some(self.number);
        match (self.at, number) {
            (Place::Start, _) if self.flags & DATA != 0 => {
                let first = self.flags & BEGUN == 0;
                self.flags = (self.flags | BEGUN) & !DATA;
                found(&mut self.last, Found::Event { first });
            }
            (Place::Data(4), _) => self.flags |= DATA,
            (Place::IdNumber, Some(number)) => self.numbered(number, found),
            (Place::DataNumber | Place::DataRest, Some(number)) => {
                found(&mut self.last, Found::Stamp(number));
            }
            _ => {}
        }
        self.at = Place::Start;
        self.number = 0;
        self.flags &= !DIGITS;
    }

    /// An event has this number.
    fn numbered(&mut self, number: u64, found: &mut impl FnMut(&mut Time, Found)) {
        // Numbers that no counter reaches count nothing.
        let Ok(number) = u32::try_from(number) else {
            return;
        };
        let missed = u64::from(number).saturating_sub(u64::from(self.id) + 1);
        if self.flags & NUMBERED != 0 && missed > 0 {
            found(&mut self.last, Found::Missed(missed));
        }
        self.id = number;
        self.flags |= NUMBERED;
    }
}

/// Whether a `Content-Type` is that of event streams, whatever its parameters (RFC 9110, section 8.3.1).
pub(super) fn is_event_stream(value: &[u8]) -> bool {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value[..end]
        .trim_ascii_end()
        .eq_ignore_ascii_case(b"text/event-stream")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> Vec<Found> {
        let (mut events, mut all) = (Events::new(Time(0)), Vec::new());
        for piece in pieces {
            events.read(piece, |_, found| all.push(found));
        }
        all
    }

    const FIRST: Found = Found::Event { first: true };
    const EVENT: Found = Found::Event { first: false };

    #[test]
    fn a_stream_is_remembered_in_24_bytes() {
        assert_eq!(size_of::<Events>(), 24);
    }

    #[test]
    fn events_end_with_an_empty_line_if_they_have_data() {
        for (stream, expected) in [
            ("data: a\n\ndata\n\n", vec![FIRST, EVENT]),
            (
                "data: a\r\n\r\ndata:b\r\rdata:\n\n",
                vec![FIRST, EVENT, EVENT],
            ),
            (": comment\n\nevent: x\n\nretry: 5\n\n\n\n", vec![]),
            ("data: a\ndata: b\nevent: x\n\n", vec![FIRST]),
            ("dat: a\n\ndatas: a\n\nxdata: a\n\n", vec![]),
            ("data: a\n", vec![]),
            ("data: 17\n\n", vec![Found::Stamp(17), FIRST]),
            ("data:17 xxx\n\n", vec![Found::Stamp(17), FIRST]),
            ("data: x17\n\n", vec![FIRST]),
            ("data: 99999999999999999999999\n\n", vec![FIRST]),
        ] {
            assert_eq!(read(&[stream.as_bytes()]), expected, "{stream:?}");
        }
    }

    #[test]
    fn numbers_that_are_left_out_are_missed() {
        for (stream, missed) in [
            ("id: 1\ndata: a\n\nid: 2\ndata: a\n\n", vec![]),
            ("id: 7\ndata: a\n\nid:11\ndata: a\n\n", vec![3]),
            ("id: 7\ndata: a\n\nid: 3\ndata: a\n\nid: 5\n", vec![1]),
            ("id: a1\n\nid: 9\n\nid: 1x\n\nid\n\nid: 10\n", vec![]),
            ("id: 1\n\nid: 99999999999\n\nid: 3\n", vec![1]),
        ] {
            let found = read(&[stream.as_bytes()]).into_iter();
            let found: Vec<u64> = found
                .filter_map(|found| match found {
                    Found::Missed(n) => Some(n),
                    _ => None,
                })
                .collect();
            assert_eq!(found, missed, "{stream:?}");
        }
    }

    proptest! {
        #[test]
        fn any_stream_is_read_alike_however_it_is_cut(
            bytes in prop::collection::vec(prop::sample::select(b"id:data 0129\r\n\r\nx".to_vec()), 0..80),
        ) {
            let singly: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(read(&[&bytes]), read(&singly));
        }
    }
}
