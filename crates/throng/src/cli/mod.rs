//! The options: each with its help and its parsing. `common`, `messages`, `output` and `tls` have what several subcommands
//! share, `protocol` the options that protocols state themselves, `short` what `-h` shows, `guess` answers to wrong guesses,
//! `unbroken` keeps numbers in help texts whole, and `tcpkali` what differs when the program is invoked by that name.

// Doc comments are help texts here: brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

mod common;
pub(crate) mod guess;
mod load;
mod losses;
mod messages;
mod output;
mod protocol;
mod route;
mod serve;
pub(crate) mod short;
mod sockets;
pub(crate) mod tcpkali;
mod tls;
pub(crate) mod unbroken;
pub(crate) mod words;

pub(crate) use common::{
    CONNECTIONS, DocumentForm, EXIT_CODES, EngineArg, LATENCY, METRICS, OUTPUT, RUN, RoleArg,
    STATSD, TLS, UNITS, after_help_of_run, planned, workers,
};
pub(crate) use load::{ArrivalsArg, LoadArgs};
pub(crate) use losses::LossArgs;
pub(crate) use messages::{EXPRESSIONS, MessageArgs, MessageSource, When};
pub(crate) use output::{Common, DETAILS, DumpArgs, LatencyOutputArgs, OutputArgs, OutputForm};
pub(crate) use protocol::{HttpOptions, ProtocolArgs};
pub(crate) use route::{ProxyVersion, ResolveArg, RouteArgs};
pub(crate) use serve::{ServeArgs, mode as serve_mode};
pub(crate) use sockets::{SocketArgs, Switch};
pub(crate) use tls::{TlsServerArgs, alpn};
