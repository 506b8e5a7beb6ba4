//! Why attempts failed and what ended connections.

use super::counter::kinds;

kinds! {
    /// Why an attempt to connect failed.
    pub enum FailCause {
        /// A reset answered the SYN: nobody listens there (ECONNREFUSED).
        Refused: "refused", "refused";
        /// No answer within the connect timeout (or the kernel's own, ETIMEDOUT).
        TimedOut: "timed_out", "timed out";
        /// Reset while connecting (ECONNRESET).
        Reset: "reset", "reset while connecting";
        /// No route, or a router said so (EHOSTUNREACH, ENETUNREACH).
        Unreachable: "unreachable", "unreachable";
        /// No free local port for the source address and target (EADDRNOTAVAIL), or no such address.
        NoAddress: "no_address", "no free local address and port";
        /// The process's or the system's file limit (EMFILE, ENFILE).
        FileLimit: "file_limit", "file limit";
        /// The kernel had no memory or buffer (ENOMEM, ENOBUFS).
        NoMemory: "no_memory", "out of kernel memory";
        /// A firewall or a security module forbade it (EPERM, EACCES).
        Forbidden: "forbidden", "forbidden by firewall or policy";
        /// Anything else.
        Other: "other", "other error";
    }
}

kinds! {
    /// Who or what ended an established connection.
    pub enum Closed {
        /// The peer closed it (FIN).
        ByPeer: "by_peer";
        /// The peer reset it (RST), or was found gone when we wrote (EPIPE, ECONNRESET).
        ResetByPeer: "reset_by_peer";
        /// The peer stopped acknowledging (ETIMEDOUT).
        TimedOut: "timed_out";
        /// We closed it.
        ByUs: "by_us";
        /// An error on our side.
        Error: "error";
    }
}
