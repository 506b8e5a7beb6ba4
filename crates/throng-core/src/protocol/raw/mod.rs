//! TCP alone: messages one behind the other.

mod serve;
mod wire;

pub use serve::{Echo, Sink};
pub use wire::Raw;
