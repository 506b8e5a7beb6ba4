//! What becomes of connections that are lost.

use crate::cli::LossArgs;
use throng_core::scenario::Connect;

/// How connections are opened, with what `args` say of those that are lost.
pub(crate) fn applied(args: &LossArgs, connect: Connect) -> Connect {
    Connect {
        reconnect: !args.no_reconnect,
        reconnect_policy: args.reconnect_policy.unwrap_or(connect.reconnect_policy),
        drop: args.drop.clone(),
        ..connect
    }
}
