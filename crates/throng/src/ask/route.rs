//! How connections reach a server.

use crate::cli::{ResolveArg, RouteArgs};
use throng_core::scenario::{Family, Resolve};

/// How targets become addresses. Of several `first` and `all`, the last one counts.
pub(crate) fn resolve(args: &RouteArgs) -> Resolve {
    let mut resolve = Resolve {
        family: match (args.ipv4, args.ipv6) {
            (true, _) => Some(Family::V4),
            (_, true) => Some(Family::V6),
            _ => None,
        },
        connect_to: args.connect_to.clone(),
        ..Resolve::default()
    };
    for which in &args.resolve {
        match which {
            ResolveArg::Addresses(addresses) => resolve.addresses = *addresses,
            ResolveArg::Host(host) => resolve.hosts.push(host.clone()),
        }
    }
    resolve
}
