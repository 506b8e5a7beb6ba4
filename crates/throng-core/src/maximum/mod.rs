//! How many connections can be held, found by itself (`-c max`): [`Search`] is told what is seen of a run, and says how many
//! connections are to be held at most, until it knows the number. It has no sockets and no clock.
//!
//! The number to hold moves ahead of what is held. Where it gets no further for a while, it backs off, comes back and tries to
//! get beyond: only where it stops again there is a limit. Then it holds that number. A server that closes connections to make room for new ones is
//! tried number by number (`narrowing.rs`). docs/maximum.md describes the search, and
//! [`Maximum`] is its result. How many keep objectives is another search (`keeping.rs`).

mod ending;
mod found;
mod keeping;
mod narrowing;
mod search;
mod seen;
mod standing;
#[cfg(test)]
mod tests;
mod way;

pub use ending::Ending;
pub use found::{Beyond, KnownBy, Maximum, Whose};
pub use keeping::{Keeping, Tried, keeping_terms};
pub use search::{Event, Search, Terms};
pub use seen::Seen;
pub use way::{Step, Way};
