//! HTTP/1.1 (RFC 9110, RFC 9112), either side; protocols that begin with it use its parts.
//!
//! - [`Answers`] reads answers, heads and bodies, in 24 bytes a connection; an incomplete head waits in the worker's
//!   [`Partials`](crate::partials::Partials)
//! - `request.rs`: requests as messages of a load, `requests.rs` those of a file; `wire.rs`: whole answers answer them
//! - `serve.rs`: a server

mod answer;
mod ask;
mod body;
pub mod counts;
mod field;
mod framing;
pub mod head;
mod malformed;
mod origin;
mod request;
mod requests;
mod serve;
mod status;
mod summary;
mod wire;

pub use answer::{Answers, Event, Head};
pub use ask::HttpAsked;
pub use counts::Failed;
pub use field::{Field, FieldError, FieldFault};
pub use malformed::Malformed;
pub use origin::{Origin, OriginError};
pub use request::{Method, RequestError, Statuses};
pub use requests::{ListError, Listed};
pub use serve::{Http, HttpServer, Served};
pub use status::Status;
pub use summary::HttpSummary;
pub use wire::{HttpClient, HttpConn, Rules};
