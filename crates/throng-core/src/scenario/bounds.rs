//! Numbers of a scenario within their bounds: read the same on the command line and in files.

use crate::units::written::{
    Count, Span, bandwidth_text, bytes_text, count_text, duration_text, written,
};
use crate::units::{self, Bandwidth, UnitError};
use std::num::NonZeroU16;
use std::time::Duration;

/// More connections than this can't be numbered with 24-bit slots in 32-bit tables on one machine, nor
/// held in any memory there is (half a terabyte).
pub(super) const MAX_CONNECTIONS: u32 = 100_000_000;
/// The most threads on a side.
const MAX_WORKERS: u32 = 1024;
/// The largest socket buffer, in bytes. The kernel takes an int, and doubles it.
const MAX_BUFFER: u64 = 0x3fff_ffff;

/// A number of connections: 1 to 100 million.
///
/// # Errors
/// Not a count, or out of bounds.
pub fn connections(text: &str) -> Result<u32, UnitError> {
    match units::count(text)? {
        0 => Err(UnitError::OutOfBounds("at least 1 is needed".into())),
        n if n > MAX_CONNECTIONS => Err(UnitError::OutOfBounds("at most 100m are possible".into())),
        n => Ok(n),
    }
}

/// The same, or none at all.
pub(super) fn up_to_connections(text: &str) -> Result<u32, UnitError> {
    match units::count(text)? {
        0 => Ok(0),
        _ => connections(text),
    }
}

/// A number of messages: at least 1.
///
/// # Errors
/// Not a count, or 0.
pub fn requests(text: &str) -> Result<u32, UnitError> {
    match units::count(text)? {
        0 => Err(UnitError::OutOfBounds("at least 1 is needed".into())),
        n => Ok(n),
    }
}

/// A number of exchanges on a connection: 1 to 65,535.
///
/// # Errors
/// Not a count, or out of bounds.
pub fn exchanges(text: &str) -> Result<NonZeroU16, UnitError> {
    let n = u16::try_from(units::count(text)?).ok();
    n.and_then(NonZeroU16::new)
        .ok_or_else(|| UnitError::OutOfBounds("1 to 65,535 are possible".into()))
}

/// A number of threads: 1 to 1,024.
///
/// # Errors
/// Not a whole number, or out of bounds.
pub fn workers(text: &str) -> Result<u32, UnitError> {
    match text.parse() {
        Ok(n @ 1..=MAX_WORKERS) => Ok(n),
        _ => {
            let bounds = format!("a whole number from 1 to {MAX_WORKERS} is needed");
            Err(UnitError::OutOfBounds(bounds))
        }
    }
}

/// A duration above 0.
///
/// # Errors
/// Not a duration, or 0.
pub fn positive(text: &str) -> Result<Duration, UnitError> {
    match units::duration(text)? {
        Duration::ZERO => Err(UnitError::OutOfBounds("it must be longer than 0".into())),
        d => Ok(d),
    }
}

/// A bandwidth above 0.
///
/// # Errors
/// Not a bandwidth, or 0.
pub fn upstream(text: &str) -> Result<Bandwidth, UnitError> {
    match text.parse::<Bandwidth>()? {
        b if b.is_zero() => Err(UnitError::OutOfBounds("it must be more than 0".into())),
        b => Ok(b),
    }
}

/// The size of a socket buffer: 1 byte to 1 GiB.
///
/// # Errors
/// Not a size, or out of bounds.
pub fn buffer(text: &str) -> Result<u64, UnitError> {
    match units::bytes(text)? {
        n @ 1..=MAX_BUFFER => Ok(n),
        _ => Err(UnitError::OutOfBounds(
            "a buffer has 1 byte to 1 GiB".into(),
        )),
    }
}

written! {
    /// A number of [connections](connections()).
    pub(super) Connections: u32 = Count::WHAT, connections, count_text;
    /// A number of [messages](requests()).
    pub(super) Requests: u32 = Count::WHAT, requests, count_text;
    /// A number of [exchanges](exchanges()).
    pub(super) Exchanges: NonZeroU16 = Count::WHAT, exchanges, |n: NonZeroU16| count_text(n.get().into());
    /// A number of [threads](workers()). It is written without a unit, as it is read.
    pub(super) Workers: u32 = "a whole number", workers, |n: u32| n.to_string();
    /// A [duration above 0](positive()).
    pub(crate) Positive: Duration = Span::WHAT, positive, duration_text;
    /// A [bandwidth above 0](upstream()).
    pub(super) Upstream: Bandwidth = Bandwidth::WHAT, upstream, bandwidth_text;
    /// The [size of a socket buffer](buffer()).
    pub(super) Buffer: u64 = "a size such as 4096 or \"64k\"", buffer, bytes_text;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::written::Written;

    #[test]
    fn what_is_out_of_bounds_is_reported_with_the_bounds() {
        for (error, says) in [
            (connections("0").unwrap_err(), "at least 1"),
            (requests("0").unwrap_err(), "at least 1"),
            (connections("200m").unwrap_err(), "at most 100m"),
            (workers("0").unwrap_err(), "from 1 to 1024"),
            (workers("2000").unwrap_err(), "from 1 to 1024"),
            (positive("0").unwrap_err(), "longer than 0"),
            (upstream("0").unwrap_err(), "more than 0"),
            (buffer("2g").unwrap_err(), "1 GiB"),
        ] {
            assert!(error.to_string().contains(says), "{error}");
        }
        assert_eq!(connections("100m"), Ok(MAX_CONNECTIONS));
        assert_eq!(buffer("64k"), Ok(65_536));
    }

    #[test]
    fn a_thousand_threads_are_written_as_they_are_read() {
        for n in 1..=MAX_WORKERS {
            assert_eq!(Workers::read(&Workers::text(n)), Ok(n));
        }
    }
}
