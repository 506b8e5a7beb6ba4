//! Storms: many connections are lost at once, and come back. docs/storms.md defines what is told of them.
//!
//! `dropping.rs` is what a load drops on purpose, `watch.rs` finds storms in the counts of a run, `window.rs` searches for the
//! window over which connections have to come back, `rate.rs` for the most new connections per second.

mod dropping;
mod rate;
mod watch;
mod window;

pub use dropping::{Dropping, Share};
pub use rate::{
    BrokeBy, ConnectRate, ConnectRateEnding, ConnectRateSearch, ConnectRateTrial, LATE,
};
pub use watch::StormWatch;
pub use window::{WindowEnding, WindowFound, WindowSearch, WindowTrial};
