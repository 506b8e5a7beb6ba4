//! The clients that headers name: how many, and whether each of them was announced.

use super::Headers;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::net::{IpAddr, SocketAddr};

/// How many clients are told by name that were not announced.
const TOLD: usize = 10;

/// The clients that the headers of one worker's connections named.
#[derive(Debug, Default)]
pub struct Clients {
    /// Those that may be named; `None` if any may.
    announced: Option<Headers>,
    named: HashSet<SocketAddr>,
    /// Headers that named one that was not announced.
    strange: u64,
    /// The first of these in the order of addresses.
    strangers: BTreeSet<SocketAddr>,
}

/// What became known of clients over all workers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientsNamed {
    /// Different clients: addresses with their ports.
    pub named: u64,
    /// Different addresses of clients.
    pub addresses: u64,
    /// Headers that named a client that was not announced; `None` if none was announced.
    pub unannounced: Option<u64>,
    /// Such clients: at most ten.
    pub strangers: Vec<SocketAddr>,
}

impl Clients {
    /// No client yet. With `announced`, only these may be named.
    pub fn new(announced: Option<Headers>) -> Clients {
        Clients {
            announced,
            ..Clients::default()
        }
    }

    /// A header named `client`.
    pub fn named(&mut self, client: SocketAddr) {
        self.named.insert(client);
        let known = self.announced.as_ref().is_none_or(|all| all.names(client));
        if !known {
            self.strange += 1;
            self.strangers.insert(client);
            if self.strangers.len() > TOLD {
                self.strangers.pop_last();
            }
        }
    }

    /// What all workers know together.
    pub fn together<'c>(all: impl IntoIterator<Item = &'c Clients>) -> ClientsNamed {
        let mut named: HashSet<SocketAddr> = HashSet::new();
        let mut strangers = BTreeSet::new();
        let (mut unannounced, mut strange) = (false, 0);
        for one in all {
            named.extend(&one.named);
            strangers.extend(&one.strangers);
            unannounced |= one.announced.is_some();
            strange += one.strange;
        }
        let addresses: HashSet<IpAddr> = named.iter().map(SocketAddr::ip).collect();
        ClientsNamed {
            named: named.len() as u64,
            addresses: addresses.len() as u64,
            unannounced: unannounced.then_some(strange),
            strangers: strangers.into_iter().take(TOLD).collect(),
        }
    }
}

impl ClientsNamed {
    /// Adds what another source knows. A client that both know counts twice.
    pub fn add(&mut self, other: &ClientsNamed) {
        self.named += other.named;
        self.addresses += other.addresses;
        self.unannounced = match (self.unannounced, other.unannounced) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
        self.strangers.extend(&other.strangers);
        self.strangers.truncate(TOLD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proxy_protocol::Version;

    #[test]
    fn clients_are_counted_once_over_all_workers_and_those_that_were_not_announced_are_told() {
        let announced = Headers::new(Version::V1, &["10.0.0.0/24".parse().unwrap()]);
        let mut workers = [(); 2].map(|()| Clients::new(Some(announced.clone())));
        let client = |text: &str| text.parse::<SocketAddr>().unwrap();
        for (worker, named) in [
            (0, "10.0.0.1:1024"),
            (1, "10.0.0.1:1024"),
            (1, "10.0.0.1:1025"),
            (0, "[2001:2::7]:1024"),
            // Below the first port that headers have.
            (0, "10.0.0.2:80"),
            (1, "10.0.1.1:1024"),
            (1, "10.0.1.1:1024"),
        ] {
            workers[worker].named(client(named));
        }
        let told = Clients::together(&workers);
        assert_eq!((told.named, told.addresses), (5, 4));
        assert_eq!(told.unannounced, Some(3));
        assert_eq!(
            told.strangers,
            [client("10.0.0.2:80"), client("10.0.1.1:1024")]
        );
        let mut both = told.clone();
        both.add(&told);
        assert_eq!((both.named, both.unannounced), (10, Some(6)));
    }

    #[test]
    fn where_none_was_announced_any_may_be_named_and_a_few_strangers_are_told() {
        let mut any = Clients::new(None);
        any.named("192.0.2.1:1".parse().unwrap());
        let told = Clients::together([&any]);
        assert_eq!((told.unannounced, told.named), (None, 1));
        let mut none = Clients::new(Some(Headers::new(Version::V1, &[])));
        for port in 1..100 {
            none.named(([10, 0, 0, 1], port).into());
        }
        let told = Clients::together([&none]);
        assert_eq!((told.unannounced, told.strangers.len()), (Some(99), TOLD));
    }
}
