//! DNS over TCP (RFC 1035, section 4.2.2; RFC 7766): queries that are sent repeatedly, and their answers.
//!
//! It is for testing resolvers and name servers under load. A [`Query`] is built once into a message, of which only the
//! two id bytes change. [`Answers`] reads of an answer only which query it answers and its result, the [`Rcode`].

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
