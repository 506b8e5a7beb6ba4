//! Why attempts failed and what ended connections.

use serde::{Deserialize, Serialize};

/// Why an attempt to connect came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailCause {
    /// A reset answered the SYN: nobody listens there (ECONNREFUSED).
    Refused,
    /// No answer within the connect timeout (or the kernel's own, ETIMEDOUT).
    TimedOut,
    /// Reset while connecting (ECONNRESET).
    Reset,
    /// No route, or a router said so (EHOSTUNREACH, ENETUNREACH).
    Unreachable,
    /// No free local port for the source address and target (EADDRNOTAVAIL), or no such address.
    NoAddress,
    /// The process's or the system's file limit (EMFILE, ENFILE).
    FileLimit,
    /// The kernel had no memory or buffer (ENOMEM, ENOBUFS).
    NoMemory,
    /// A firewall or a security module forbade it (EPERM, EACCES).
    Forbidden,
    /// Anything else.
    Other,
}

impl FailCause {
    /// Every cause, in the order in which they are counted and told.
    pub const ALL: [FailCause; 9] = [
        FailCause::Refused,
        FailCause::TimedOut,
        FailCause::Reset,
        FailCause::Unreachable,
        FailCause::NoAddress,
        FailCause::FileLimit,
        FailCause::NoMemory,
        FailCause::Forbidden,
        FailCause::Other,
    ];

    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            FailCause::Refused => "refused",
            FailCause::TimedOut => "timed out",
            FailCause::Reset => "reset while connecting",
            FailCause::Unreachable => "unreachable",
            FailCause::NoAddress => "no free local address and port",
            FailCause::FileLimit => "file limit",
            FailCause::NoMemory => "out of kernel memory",
            FailCause::Forbidden => "forbidden by firewall or policy",
            FailCause::Other => "other error",
        }
    }
}

/// Who or what ended an established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closed {
    /// The peer closed it (FIN).
    ByPeer,
    /// The peer reset it (RST), or was found gone when we wrote (EPIPE, ECONNRESET).
    ResetByPeer,
    /// The peer stopped acknowledging (ETIMEDOUT).
    TimedOut,
    /// We closed it.
    ByUs,
    /// An error on our side.
    Error,
}

impl Closed {
    /// Every cause, in the order in which they are counted.
    pub const ALL: [Closed; 5] = [
        Closed::ByPeer,
        Closed::ResetByPeer,
        Closed::TimedOut,
        Closed::ByUs,
        Closed::Error,
    ];
}
