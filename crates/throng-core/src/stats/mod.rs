//! Counts and measurements of workers, and their sums.
//!
//! Each worker has its own [`Counters`], which only it writes and every thread may read at any time. A [`Tally`] is
//! such a reading, or the sum of several. Each count counts one kind of event, so that counts can be checked against
//! each other: attempted = established + failed + in flight, and established (or accepted) = open + closed. A
//! protocol's counts are defined in its folder.

mod by_address;
mod causes;
pub(crate) mod counter;
mod counts;
mod durations;
mod encoded;
mod measured;
mod packed;
mod packed_sum;

pub use by_address::{AddressCounters, OfAddress};
pub use causes::{Closed, FailCause};
pub use counter::{Counted, Counter};
pub(crate) use counter::{PerKind, kinds, occurred};
pub use counts::{Counters, Tally, UnknownCount};
pub use durations::Durations;
pub use measured::{Measured, Sample};
pub use packed::{PackedDurations, PackedError};
pub use packed_sum::PackedSum;
