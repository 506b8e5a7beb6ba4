//! When things happen: the next connection is tried ([`ConnectPace`]), and a message is due on each
//! connection at a rate of its own ([`MessagePace`]).

mod connect;
mod message;

pub use connect::ConnectPace;
pub use message::{Due, MessagePace};
