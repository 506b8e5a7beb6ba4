//! When things happen: the next connection is tried ([`ConnectPace`]), a message is due on each connection
//! at a rate of its own ([`MessagePace`]), or somewhere in the whole run ([`Arrivals`]), whose
//! rate may follow a [`Profile`] or be searched for ([`RateSearch`]).

pub mod arrivals;
mod bytes;
mod connect;
mod message;
pub mod profile;
mod ramp;
pub mod search;

pub use arrivals::{Arrivals, Spacing};
pub use bytes::BytePace;
pub use connect::ConnectPace;
pub use message::{Due, Instants, MessagePace};
pub use profile::{Piece, Profile, ProfileError};
pub use search::{
    CONFIDENCE, Ending, Found, Limit, Next, Observation, Purpose, RateSearch, Slice, Terms,
};
