//! TLS, as far as it is counted and reported. It may carry any other protocol; throng-tls speaks it.

pub mod counts;
mod failure;
mod summary;

pub use failure::TlsFailure;
pub use summary::TlsSummary;
