//! Addresses of targets and sources in the kernel's layout, in place for the whole run.

use crate::socket::Address;
use throng_core::plan::Routes;

/// The targets of routes, and the sources of each; none where the kernel chooses.
pub(super) struct Roads {
    targets: Vec<Address>,
    sources: Vec<Vec<Address>>,
}

impl Roads {
    /// Those of `routes`.
    pub fn of(routes: &Routes) -> Roads {
        let unix = routes.unix().iter().map(Address::unix);
        Roads {
            targets: routes.targets().map(Address::new).chain(unix).collect(),
            sources: routes
                .sources_by_target()
                .zip(routes.targets())
                .map(|(all, to)| {
                    let to = Address::new(to);
                    all.iter().map(|ip| Address::source(*ip, &to)).collect()
                })
                .collect(),
        }
    }

    /// This target, and this one of its sources.
    pub fn road(&self, target: usize, source: Option<usize>) -> (&Address, Option<&Address>) {
        let source = source.map(|s| &self.sources[target][s]);
        (&self.targets[target], source)
    }
}
