//! How connections reach a server.

use crate::Failure;
use crate::cli::{ResolveArg, RouteArgs};
use throng_core::scenario::{Family, Resolve, Target};
use throng_core::target;

/// The proxy through which connections go.
pub(crate) fn tunnel(proxy: Option<&str>) -> Result<Option<Target>, Failure> {
    let target = proxy.map(|text| target::parse(text).map(Target::new));
    let target = target.transpose();
    target.map_err(|e| Failure::usage(format!("--tunnel: {e}")))
}

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
