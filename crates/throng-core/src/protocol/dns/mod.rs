//! DNS over TCP (RFC 1035, section 4.2.2; RFC 7766): a query to send again and again, and what of its
//! answers is read.
//!
//! For testing resolvers and name servers under load. A [`Query`] is built once into a message that differs
//! from connection to connection only in its two id bytes; [`Answers`] reads as much of an answer as says
//! which query it is for and how it went, its [`Rcode`].

mod answers;
mod ask;
pub mod counts;
mod query;
mod rcode;
mod summary;
mod wire;

pub use answers::{Answer, Answers, NotDns};
pub use ask::DnsAsked;
pub use query::{Query, QueryError, QueryFault, Template};
pub use rcode::Rcode;
pub use summary::DnsSummary;
pub use wire::Dns;
