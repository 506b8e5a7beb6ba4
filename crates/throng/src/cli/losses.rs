//! The options about connections that are lost: whether they come back, and when, and which are lost on purpose.

use super::common::CONNECTIONS;
use clap::Args;
use throng_core::pacing::ReconnectPolicy;
use throng_core::storm::Dropping;

/// Connections that are lost
#[derive(Args)]
pub(crate) struct LossArgs {
    /// Do not reopen connections that failed or closed
    #[arg(long, help_heading = CONNECTIONS)]
    pub no_reconnect: bool,

    /// Wait before a connection that failed or closed is opened again: immediate, fixed:T,
    /// exponential:FROM..TO[:full-jitter] or window:W [default: exponential:400ms..3s:full-jitter]
    ///
    /// fixed:1s waits a second each time. exponential:200ms..10s doubles the wait until the connection is established and
    /// stands for a second; with :full-jitter each wait is drawn from all up to that. window:30s draws each wait from all
    /// up to 30 seconds.
    #[arg(long, value_name = "POLICY", conflicts_with = "no_reconnect", help_heading = CONNECTIONS)]
    pub reconnect_policy: Option<ReconnectPolicy>,

    /// Drop a share of the connections, this long after the hold began: a percentage or all, such as 10%@30s or all@1m;
    /// with :reset, reset them instead of closing them; repeatable
    ///
    /// They come back as --reconnect-policy says, as independent clients do: the server's accept queue is not spared. The
    /// summary tells when 50, 90, 99 and 100 % were back, and the run has fallen short if not all are at the end of the hold.
    #[arg(long, value_name = "SHARE@T", conflicts_with = "no_reconnect", help_heading = CONNECTIONS)]
    pub drop: Vec<Dropping>,

    /// Expect the server to be drained during the hold (reloaded, restarted, taken out of a balancer): it may close
    /// connections between messages, and the run falls short if it breaks any
    ///
    /// The summary counts how connections ended: moved (closed with no message under way), cut, reset, timed out, given up or
    /// stuck, and messages that were lost.
    #[arg(long, help_heading = CONNECTIONS)]
    pub drain: bool,
}
