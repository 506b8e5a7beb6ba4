//! DNS over TCP (RFC 1035, section 4.2.2; RFC 7766): a query to send again and again, and what of its
//! answers is looked at.
//!
//! For testing resolvers and name servers under load. A [`Query`] is built once into a message that differs
//! from connection to connection only in its two id bytes; [`Answers`] reads as much of an answer as says
//! which query it is for and how it went; [`rcode_name`] says that in words.

mod answers;
mod query;

pub use answers::{Answer, Answers, NotDns, RCODES, rcode_name};
pub use query::{Query, QueryError, Template};
