//! What a worker counts and measures, and what that adds up to.
//!
//! Each worker has [`Counters`] of its own, which it alone writes and anybody may read at any time; a
//! [`Tally`] is such a reading, or the sum of several. Each count is of one thing, so that they can
//! be checked against each other: attempted = established + failed + in flight, and
//! established (or accepted) = open + closed by somebody. A protocol's counts are defined in its folder.

mod causes;
pub(crate) mod counter;
mod counts;
mod durations;
mod measured;
mod packed;

pub use causes::{Closed, FailCause};
pub use counter::Counter;
pub(crate) use counter::kinds;
pub use counts::{Counters, Tally, UnknownCount};
pub use durations::Durations;
pub use measured::{Measured, Sample};
pub use packed::{PackedDurations, PackedError};
