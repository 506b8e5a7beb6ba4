//! Message markers (`TCPKaliMsgTS-`, 16 hexadecimal digits, `.`): when a message was sent, in the message itself.

use super::pattern::Pattern;
use crate::behaviour::At;
use crate::partials::{Partials, Slot};
use crate::stats::Measured;
use std::time::Duration;

/// What follows the head of a marker: the digits and a full stop.
const DIGITS: usize = 17;
/// Clocks that differ by at most this many microseconds agree: a marker that seems to be newer than now by that is of now.
pub(super) const CLOCKS_AGREE_US: u64 = 1000;

/// Finds message markers and how old they are.
#[derive(Debug)]
pub(super) struct Markers {
    head: Pattern,
    unix_us: u64,
    /// The digits of a marker that has not arrived whole. The first byte stands for the head.
    partials: Partials,
}

impl Markers {
    /// `unix_us`: when the run began, in microseconds since 1970.
    pub fn new(unix_us: u64) -> Markers {
        Markers {
            head: Pattern::new(b"TCPKaliMsgTS-").expect("a text"),
            unix_us,
            partials: Partials::default(),
        }
    }

    /// Returns how many markers end in `bytes`, the next piece of a stream. The last piece ended with `matched` bytes
    /// of a head, or with the beginning of a marker, which is in `partial`.
    pub fn received(
        &mut self,
        matched: &mut u16,
        partial: &mut Slot,
        bytes: &[u8],
        at: &At,
        measured: &mut Measured,
    ) -> u32 {
        let mut found = 0;
        let mut rest = bytes;
        if !partial.is_empty() {
            let missing = 1 + DIGITS - self.partials.at(partial).len();
            let (now, later) = rest.split_at(missing.min(rest.len()));
            self.partials.append(partial, now);
            rest = later;
            if now.len() < missing {
                return 0;
            }
            found += self.record(&self.partials.at(partial)[1..], at, measured);
            self.partials.drop_at(partial);
        }
        while let Some(after) = self.head.next(matched, rest) {
            rest = &rest[after..];
            let Some((digits, later)) = rest.split_at_checked(DIGITS) else {
                self.partials.append(partial, b"-");
                self.partials.append(partial, rest);
                return found;
            };
            found += self.record(digits, at, measured);
            rest = later;
        }
        found
    }

    /// A connection is gone.
    pub fn closed(&mut self, partial: &mut Slot) {
        self.partials.drop_at(partial);
    }

    /// Records the age of a message. Returns the number of messages: 0 if this is not a marker.
    fn record(&self, digits: &[u8], at: &At, measured: &mut Measured) -> u32 {
        let digits = digits
            .strip_suffix(b".")
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|d| d.is_ascii_hexdigit()));
        let Some(us) = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()) else {
            return 0;
        };
        let now_us = self.unix_us + at.now.0 / 1000;
        match us <= now_us.saturating_add(CLOCKS_AGREE_US) {
            true => {
                let age = Duration::from_micros(now_us.saturating_sub(us));
                measured.marked.record(age);
            }
            false => at.counters.markers_ahead.add(1),
        }
        1
    }
}
