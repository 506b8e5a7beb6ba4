//! HTTP/1.1 (RFC 9110, RFC 9112), either side; protocols that begin with it use its parts.
//!
//! - [`Answers`] reads answers, heads and bodies, in 24 bytes a connection; an incomplete head waits in the worker's
//!   [`Partials`](crate::partials::Partials)
//! - `request.rs`: requests as messages of a load, `requests.rs` those of a file; `wire.rs`: whole answers answer them
//! - `redirect.rs`: redirects that are followed
//! - `look.rs`: what is looked for inside answers; `events.rs`: event streams
//! - `serve.rs`: a server

mod answer;
mod ask;
mod body;
pub mod counts;
mod events;
mod field;
mod framing;
pub mod head;
mod latencies;
mod look;
mod malformed;
mod most;
mod origin;
mod redirect;
mod request;
mod requests;
mod serve;
mod status;
mod summary;
mod wire;

pub use answer::{Answers, Event, Head, LastHead, ReadFields};
pub use ask::HttpAsked;
pub use counts::Failed;
pub use field::{Field, FieldError, FieldFault};
pub use latencies::HttpLatencies;
pub use look::{Look, Looked};
pub use malformed::Malformed;
pub use most::{Most, MostError};
pub use origin::{Origin, OriginError};
pub use redirect::{Fields, Follow, Redirect};
pub use request::{Method, RequestError, Statuses};
pub use requests::{ListError, Listed};
pub use serve::{Http, HttpServer, Served};
pub use status::Status;
pub use summary::{EventsSummary, HttpSummary};
pub use wire::{Bodiless, HttpClient, HttpConn, Rules};
