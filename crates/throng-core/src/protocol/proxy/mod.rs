//! A TCP proxy: a connection to a backend for each one that is accepted, and all bytes across. It is counted and reported here;
//! engines open, read and send.

mod backends;
mod behaviour;
pub mod counts;
mod legs;
#[cfg(test)]
mod spoken;
mod summary;

pub use backends::{Asked, Backends, Balance, Ends, Fault, OfBackend, Sources, Standing};
pub use behaviour::{Identity, Proxy};
pub use counts::EndedBy;
pub use legs::{Bare, Legs, Taken};
pub use summary::ProxySummary;
