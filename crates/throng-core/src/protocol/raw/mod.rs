//! TCP alone: messages one behind the other.

mod ask;
mod serve;
mod wire;

pub use ask::RawAsked;
pub use serve::{Chargen, Echo, Sink};
pub use wire::Raw;
