//! HTTP/1.1, as far as protocols that begin with it need it.

pub mod head;
mod status;

pub use status::Status;
