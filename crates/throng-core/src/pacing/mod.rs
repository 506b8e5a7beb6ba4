//! When things happen: the next connection is tried ([`ConnectPace`]), a message is due on each connection
//! at a rate of its own ([`MessagePace`]), or somewhere in the whole run ([`Arrivals`]), whose
//! rate may follow a [`Profile`].

mod arrivals;
mod connect;
mod message;
mod profile;
mod ramp;

pub use arrivals::{Arrivals, Spacing};
pub use connect::ConnectPace;
pub use message::{Due, MessagePace};
pub use profile::{Piece, Profile, ProfileError};
