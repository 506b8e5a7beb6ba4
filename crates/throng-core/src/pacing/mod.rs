//! Pacing: when to try the next connection ([`ConnectPace`]), and when messages are due. A message is due on a
//! connection with a rate of its own ([`MessagePace`]), or anywhere in the whole run ([`Arrivals`]). The rate of the
//! whole run may follow a [`Profile`], and the rate of connections may be searched for ([`RateSearch`]) or changed while the
//! run lasts ([`Tempo`]).

pub mod arrivals;
mod bytes;
mod connect;
mod message;
pub mod profile;
mod ramp;
mod reconnect;
pub mod search;
mod tempo;
mod think;

pub use arrivals::{Arrivals, Spacing};
pub use bytes::BytePace;
pub use connect::{ConnectPace, SYN_WAS_LOST};
pub use message::{Due, Instants, MessagePace};
pub use profile::{LineError, Piece, Profile, ProfileError};
pub use reconnect::{Backoff, ReconnectPolicy};
pub use search::{
    CONFIDENCE, Ending, Found, Limit, Next, Observation, Purpose, RateSearch, Slice, Terms,
};
pub use tempo::Tempo;
pub use think::{Think, ThinkError};
