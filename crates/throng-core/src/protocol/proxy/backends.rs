//! Which backend a client is connected to, from which source address, and which backends are left out for a time.
//!
//! Each worker chooses for itself. A backend that does not answer is left out; after a time one client tries it again.

use crate::behaviour::Way;
use crate::protocol::tls::TlsFailure;
use crate::stats::{AddressCounters, Counter, FailCause, OfAddress};
use crate::time::Time;
use crate::units::written::text_of;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// A source address that has no free port is not tried again for this long, unless a connection from it ends.
const FULL_FOR: Duration = Duration::from_secs(1);
/// A source address is crowded when more than one in so many of its ports is in use: the kernel looks at all even ports before
/// the odd ones.
const CROWDED: u32 = 2;

/// How backends are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Balance {
    /// One after the other.
    #[default]
    RoundRobin,
    /// The one with the fewest connections.
    LeastConnections,
    /// The same one for all clients of an address.
    SourceHash,
}

impl Balance {
    /// Every way to choose, with its name on the command line.
    pub const ALL: [(&'static str, Balance); 3] = [
        ("round-robin", Balance::RoundRobin),
        ("least-connections", Balance::LeastConnections),
        ("source-hash", Balance::SourceHash),
    ];
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Balance::ALL.iter().find(|(_, balance)| balance == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// No way to choose backends has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no way to choose backends: round-robin, least-connections or source-hash")]
pub struct NoBalance(String);

impl FromStr for Balance {
    type Err = NoBalance;

    fn from_str(text: &str) -> Result<Balance, NoBalance> {
        let named = Balance::ALL.iter().find(|(name, _)| *name == text);
        named
            .map(|(_, balance)| *balance)
            .ok_or_else(|| NoBalance(text.to_owned()))
    }
}

text_of!(Balance, NoBalance);

/// One worker's counts of connections to one backend. Only the worker writes them.
#[derive(Debug, Default)]
pub struct Standing {
    /// Attempts and connections. Those that are lost were reset by the backend, or no longer answered.
    pub of: AddressCounters,
    /// How often it was left out.
    pub left_out: Counter,
    /// The [number](Fault::number) of the fault for which it is left out; 0 if it is not.
    out: Counter,
    unsecured: [Counter; TlsFailure::ALL.len()],
}

impl Standing {
    /// Why it is left out; `None` if it is not.
    pub fn out(&self) -> Option<Fault> {
        let number = self.out.get();
        Fault::all().find(|fault| fault.number() == number)
    }
}

/// Why a backend is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It can't be connected to.
    Unreached(FailCause),
    /// TLS handshakes with it fail.
    Unsecured(TlsFailure),
}

impl Fault {
    fn all() -> impl Iterator<Item = Fault> {
        let unreached = FailCause::ALL.into_iter().map(Fault::Unreached);
        unreached.chain(TlsFailure::ALL.into_iter().map(Fault::Unsecured))
    }

    /// The fault as a count has it, from 1 on.
    fn number(self) -> u64 {
        1 + match self {
            Fault::Unreached(cause) => cause as u64,
            Fault::Unsecured(why) => FailCause::ALL.len() as u64 + why as u64,
        }
    }
}

/// What became of the connections to a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfBackend {
    /// Attempts and connections. Those that are lost were reset by the backend, or no longer answered.
    #[serde(flatten)]
    pub of: OfAddress,
    /// How often a worker left it out for a time, because it did not answer, or TLS with it failed.
    pub left_out: u64,
    /// Connections on which the TLS handshake failed, by cause. Causes that did not occur are left out.
    #[serde(default)]
    pub unsecured: BTreeMap<TlsFailure, u64>,
}

impl OfBackend {
    /// Without any connection.
    pub fn new(address: SocketAddr, target: String) -> OfBackend {
        OfBackend {
            of: OfAddress::new(address, target),
            left_out: 0,
            unsecured: BTreeMap::new(),
        }
    }

    /// Adds a worker's counts.
    pub fn count(&mut self, standing: &Standing) {
        self.of.count(&standing.of);
        self.left_out += standing.left_out.get();
        for (why, n) in TlsFailure::ALL.into_iter().zip(&standing.unsecured) {
            self.unsecured(why, n.get());
        }
    }

    /// Adds what became of other connections to the same backend.
    pub fn add(&mut self, other: &OfBackend) {
        self.of.add(&other.of);
        self.left_out += other.left_out;
        for (why, n) in &other.unsecured {
            self.unsecured(*why, *n);
        }
    }

    fn unsecured(&mut self, why: TlsFailure, n: u64) {
        if n > 0 {
            *self.unsecured.entry(why).or_default() += n;
        }
    }
}

/// The source addresses to a backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sources {
    /// The kernel's choice is the first.
    pub kernels: bool,
    /// How many follow that are bound to.
    pub bound: u16,
}

impl Sources {
    fn len(self) -> usize {
        usize::from(self.kernels) + usize::from(self.bound)
    }

    /// The source at this place.
    fn at(self, place: usize) -> Option<u16> {
        place
            .checked_sub(self.kernels.into())
            .map(|bound| bound as u16)
    }

    /// The place of a source.
    fn place(self, source: Option<u16>) -> usize {
        source.map_or(0, |bound| usize::from(bound) + usize::from(self.kernels))
    }
}

/// A source address of the connections to a backend.
#[derive(Clone, Copy, Debug, Default)]
struct Source {
    held: u32,
    /// Until when it has no port, as far as is known.
    full_until: Time,
}

/// The address of a client, and the one that it connected to.
pub type Ends = (SocketAddr, SocketAddr);

/// What is asked of a worker's choice.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Each client goes to the address that it connected to, unless that is one of these, at which the proxy itself listens. All
    /// these addresses count as one backend, whose own address has no meaning.
    pub original: Option<Arc<[SocketAddr]>>,
    /// How to choose.
    pub balance: Balance,
    /// The addresses of the backends.
    pub targets: Vec<SocketAddr>,
    /// Whether connections come from the clients' own addresses, so that only backends of a client's family can be reached.
    pub transparent: bool,
    /// The source addresses to each backend.
    pub sources: Vec<Sources>,
    /// Connections from one source address to one backend: this worker's share of the ports. A source is filled before the next
    /// one is used.
    pub ports: u32,
    /// How long a backend is left out that does not answer, or with which TLS fails.
    pub left_out: Duration,
    /// The worker's number: workers begin with different backends.
    pub worker: u32,
}

struct Backend {
    held: u32,
    given: Sources,
    sources: Vec<Source>,
    /// Until when it is left out.
    out_until: Option<Time>,
}

/// The backends, as one worker knows them.
pub struct Backends {
    asked: Asked,
    all: Vec<Backend>,
    standing: Arc<[Standing]>,
    /// The backend whose turn it is.
    next: usize,
}

impl Backends {
    /// Backends without connections; `standing` has one entry for each.
    pub fn new(asked: Asked, standing: Arc<[Standing]>) -> Backends {
        let backend = |given: &Sources| Backend {
            held: 0,
            given: *given,
            sources: vec![Source::default(); given.len()],
            out_until: None,
        };
        let all: Vec<Backend> = asked.sources.iter().map(backend).collect();
        Backends {
            next: asked.worker as usize % all.len().max(1),
            all,
            asked,
            standing,
        }
    }

    /// How they are chosen.
    pub fn balance(&self) -> Balance {
        self.asked.balance
    }

    /// Whether clients go to the addresses that they connected to.
    pub fn are_original(&self) -> bool {
        self.asked.original.is_some()
    }

    /// Whether a client that connected to this address can't go there: the proxy would connect to itself, without end.
    pub fn lead_to_itself(&self, to: SocketAddr) -> bool {
        let listens = self.asked.original.as_ref();
        listens.is_some_and(|listens| listens.contains(&to))
    }

    /// How many attempts for one client may reach nobody: two for each backend.
    pub fn tries(&self) -> u8 {
        u8::try_from(2 * self.all.len()).unwrap_or(u8::MAX)
    }

    /// Chooses a way for a client, and counts the attempt. If all backends are left out, they are tried all the same. `None` if
    /// no source address has a port left.
    pub fn choose(&mut self, client: Option<Ends>, now: Time) -> Option<Way> {
        if self.are_original() {
            let (_, to) = client?;
            self.all[0].held += 1;
            self.all[0].sources[0].held += 1;
            self.standing[0].of.attempted.add(1);
            return Some(Way {
                to: Some(to),
                ..Way::default()
            });
        }
        let client = client.map(|(peer, _)| peer.ip());
        let n = self.all.len();
        let in_turn = (0..n).map(|i| (self.next + i) % n);
        let up = |at: &usize| self.all[*at].out_until.is_none_or(|until| until <= now);
        let fits = |at: &usize| {
            let own = client.filter(|_| self.asked.transparent);
            own.is_none_or(|ip| ip.is_ipv4() == self.asked.targets[*at].is_ipv4())
        };
        let usable = |at: usize| Some((at, self.source(at, now)?));
        let any_up = (0..n).any(|at| up(&at));
        let in_turn = in_turn.filter(|at| (!any_up || up(at)) && fits(at));
        let mut candidates = in_turn.filter_map(usable);
        let (target, source) = match (self.asked.balance, client) {
            (Balance::LeastConnections, _) => candidates.min_by_key(|(at, _)| self.all[*at].held),
            (Balance::SourceHash, Some(client)) => {
                candidates.max_by_key(|(at, _)| weight(client, self.asked.targets[*at]))
            }
            (Balance::RoundRobin | Balance::SourceHash, _) => candidates.next(),
        }?;
        self.next = (target + 1) % n;
        let backend = &mut self.all[target];
        backend.held += 1;
        if let Some(until) = &mut backend.out_until {
            // One client tries it. The others go elsewhere until its outcome is known.
            *until = (*until).max(now + self.asked.left_out);
        }
        let held = &mut backend.sources[source].held;
        *held += 1;
        let crowded = *held > self.asked.ports / CROWDED;
        self.standing[target].of.attempted.add(1);
        Some(Way {
            target: target as u16,
            source: backend.given.at(source),
            crowded,
            ..Way::default()
        })
    }

    /// The place of the first source to a backend that this worker has not filled; else of one that the kernel has not refused:
    /// other workers may not have used their share.
    fn source(&self, target: usize, now: Time) -> Option<usize> {
        let sources = &self.all[target].sources;
        let free = |s: &Source| s.full_until <= now;
        let unfilled = |s: &Source| s.held < self.asked.ports && free(s);
        let place = sources.iter().position(unfilled);
        place.or_else(|| sources.iter().position(free))
    }

    /// An attempt succeeded.
    pub fn established(&mut self, way: Way) {
        let target = usize::from(way.target);
        self.standing[target].of.established.add(1);
    }

    /// A connection serves: it is established, and so is TLS on it if that is spoken. Its backend is not left out any longer.
    pub fn serves(&mut self, way: Way) {
        let target = usize::from(way.target);
        if self.all[target].out_until.take().is_some() {
            self.standing[target].out.set(0);
        }
    }

    /// The TLS handshake failed on a connection that was established.
    pub fn unsecured(&mut self, way: Way, why: TlsFailure, now: Time) {
        let target = usize::from(way.target);
        self.standing[target].unsecured[why as usize].add(1);
        self.leave_out(target, Fault::Unsecured(why), now);
    }

    fn leave_out(&mut self, target: usize, fault: Fault, now: Time) {
        if self.are_original() {
            // There is no other for its clients.
            return;
        }
        self.all[target].out_until = Some(now + self.asked.left_out);
        let standing = &self.standing[target];
        if standing.out.get() == 0 {
            standing.left_out.add(1);
        }
        standing.out.set(fault.number());
    }

    /// An attempt failed. Returns whether another one may help.
    pub fn failed(&mut self, way: Way, cause: FailCause, now: Time) -> bool {
        let target = usize::from(way.target);
        self.standing[target].of.failed(cause);
        self.release(way);
        if self.are_original() {
            return false;
        }
        match cause {
            FailCause::Refused
            | FailCause::TimedOut
            | FailCause::Reset
            | FailCause::Unreachable => {
                self.leave_out(target, Fault::Unreached(cause), now);
                true
            }
            FailCause::NoAddress => {
                // A client's own address is no other's.
                if !self.asked.transparent {
                    self.of(way).full_until = now + FULL_FOR;
                }
                true
            }
            // This machine's own trouble, with any backend.
            FailCause::FileLimit
            | FailCause::NoMemory
            | FailCause::Forbidden
            | FailCause::Other => false,
        }
    }

    /// A connection ended; `lost` if the backend reset it or no longer answered.
    pub fn ended(&mut self, way: Way, lost: bool) {
        let target = usize::from(way.target);
        self.standing[target].of.lost.add(lost.into());
        self.release(way);
        self.of(way).full_until = Time::START;
    }

    fn release(&mut self, way: Way) {
        self.all[usize::from(way.target)].held -= 1;
        self.of(way).held -= 1;
    }

    /// The source of a way.
    fn of(&mut self, way: Way) -> &mut Source {
        let backend = &mut self.all[usize::from(way.target)];
        &mut backend.sources[backend.given.place(way.source)]
    }
}

/// The weight of a backend for a client: it gets the one with the highest (rendezvous hashing, Thaler and Ravishankar 1998). So where a
/// backend is left out, its own clients alone go elsewhere, each to its second choice.
fn weight(client: IpAddr, backend: SocketAddr) -> u64 {
    let bytes = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    };
    let all = bytes(client)
        .into_iter()
        .chain(bytes(backend.ip()))
        .chain(backend.port().to_be_bytes());
    // FNV-1a, then the mix of splitmix64: the last bytes alone would hardly reach the high bits, which decide.
    let mut hash = all.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    for factor in [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb] {
        hash = (hash ^ hash >> 30).wrapping_mul(factor);
    }
    hash ^ hash >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Backends with as many source addresses each; 0 is the kernel's choice.
    fn backends(balance: Balance, sources: &[u16], ports: u32) -> Backends {
        let standing = sources.iter().map(|_| Standing::default()).collect();
        let given = |bound: &u16| Sources {
            kernels: *bound == 0,
            bound: *bound,
        };
        let port = |n: usize| ([10, 0, 0, 9], 80 + n as u16).into();
        let asked = Asked {
            original: None,
            balance,
            targets: (0..sources.len()).map(port).collect(),
            transparent: false,
            sources: sources.iter().map(given).collect(),
            ports,
            left_out: Duration::from_secs(5),
            worker: 0,
        };
        Backends::new(asked, standing)
    }

    fn at(seconds: u64) -> Time {
        Time::START + Duration::from_secs(seconds)
    }

    fn targets(backends: &mut Backends, n: usize) -> Vec<u16> {
        let chosen = (0..n).map(|_| backends.choose(None, at(1)).unwrap().target);
        chosen.collect()
    }

    #[test]
    fn backends_take_turns() {
        let mut all = backends(Balance::RoundRobin, &[0, 0, 0], 100);
        assert_eq!(targets(&mut all, 7), [0, 1, 2, 0, 1, 2, 0]);
    }

    #[test]
    fn the_one_with_the_fewest_connections_is_next() {
        let mut all = backends(Balance::LeastConnections, &[0, 0, 0], 100);
        assert_eq!(targets(&mut all, 6), [0, 1, 2, 0, 1, 2]);
        let ended = Way {
            target: 1,
            ..Way::default()
        };
        all.ended(ended, false);
        all.ended(ended, false);
        assert_eq!(targets(&mut all, 3), [1, 1, 2]);
    }

    #[test]
    fn a_client_keeps_its_backend_and_one_that_is_left_out_moves_its_own_clients_only() {
        let mut all = backends(Balance::SourceHash, &[0; 8], 100_000);
        let client = |n: u16| {
            let [high, low] = n.to_be_bytes();
            let to = ([10, 1, 0, 1], 8080).into();
            Some((([10, 0, high, low], 1024).into(), to))
        };
        let mut choices = |now: Time| -> Vec<Way> {
            let ways = (0..4000).map(|n| all.choose(client(n), now).unwrap());
            ways.collect()
        };
        let first = choices(at(0));
        assert_eq!(first, choices(at(0)));
        let each = |ways: &[Way]| {
            let mut each = [0; 8];
            ways.iter()
                .for_each(|way| each[usize::from(way.target)] += 1);
            each
        };
        // 500 are expected of each, give or take 21.
        let spread = each(&first);
        assert!(spread.iter().all(|n| (400..600).contains(n)), "{spread:?}");
        let lost = first[0].target;
        all.failed(first[0], FailCause::Refused, at(0));
        let after: Vec<Way> = (0..4000)
            .map(|n| all.choose(client(n), at(1)).unwrap())
            .collect();
        for (before, after) in first.iter().zip(&after) {
            assert_ne!(after.target, lost);
            assert!(before == after || before.target == lost);
        }
        // Its clients are spread over all others.
        let mut moved = each(&after);
        for (n, before) in moved.iter_mut().zip(spread) {
            *n -= before;
        }
        let others = moved.iter().filter(|n| **n > 0);
        assert_eq!(others.count(), 7, "{moved:?}");
        // Once it answers again, it has them back.
        all.serves(first[0]);
        let again: Vec<Way> = (0..4000)
            .map(|n| all.choose(client(n), at(1)).unwrap())
            .collect();
        assert_eq!(again, first);
    }

    #[test]
    fn one_that_does_not_answer_is_left_out_for_a_time_and_then_tried_by_one_client() {
        let mut all = backends(Balance::RoundRobin, &[0, 0], 100);
        let first = all.choose(None, at(0)).unwrap();
        assert!(all.failed(first, FailCause::Refused, at(0)));
        assert_eq!(targets(&mut all, 3), [1, 1, 1]);
        let tries: Vec<u16> = (0..3)
            .map(|_| all.choose(None, at(6)).unwrap().target)
            .collect();
        assert_eq!(tries, [0, 1, 1]);
        let refused = Some(Fault::Unreached(FailCause::Refused));
        assert_eq!(all.standing[0].out(), refused);
        all.established(first);
        all.serves(first);
        assert_eq!(targets(&mut all, 2), [0, 1]);
        let standing = &all.standing[0];
        assert_eq!((standing.left_out.get(), standing.out()), (1, None));
    }

    #[test]
    fn one_with_which_tls_fails_is_left_out_until_a_handshake_succeeds() {
        let mut all = backends(Balance::RoundRobin, &[0, 0], 100);
        let first = all.choose(None, at(0)).unwrap();
        all.established(first);
        let expired = TlsFailure::Expired;
        all.unsecured(first, expired, at(0));
        all.ended(first, false);
        assert_eq!(targets(&mut all, 3), [1, 1, 1]);
        assert_eq!(all.standing[0].out(), Some(Fault::Unsecured(expired)));
        // That it can be connected to does not bring it back.
        let again = all.choose(None, at(6)).unwrap();
        assert_eq!(again.target, 0);
        all.established(again);
        let next = all.choose(None, at(6)).unwrap();
        assert_eq!(next.target, 1);
        all.unsecured(again, TlsFailure::NotTls, at(7));
        all.ended(again, false);
        let not_tls = Some(Fault::Unsecured(TlsFailure::NotTls));
        assert_eq!(all.standing[0].out(), not_tls);
        let again = all.choose(None, at(13)).unwrap();
        all.established(again);
        all.serves(again);
        assert_eq!(all.standing[0].out(), None);
        assert_eq!(all.standing[0].left_out.get(), 1);
        let mut of = OfBackend::new(all.asked.targets[0], "a.example:80".into());
        of.count(&all.standing[0]);
        let once = of.clone();
        of.add(&once);
        let both = [(expired, 2), (TlsFailure::NotTls, 2)];
        assert_eq!(of.unsecured, BTreeMap::from(both));
        assert_eq!((of.of.established, of.left_out), (6, 2));
    }

    #[test]
    fn clients_go_where_they_wanted_to_but_not_to_the_proxy_itself() {
        let mut asked = backends(Balance::RoundRobin, &[0], 100).asked;
        let listens: SocketAddr = ([127, 0, 0, 1], 9000).into();
        asked.original = Some([listens].into());
        let mut all = Backends::new(asked, [Standing::default()].into());
        let client = ([10, 0, 0, 1], 1024).into();
        for last in 1..=3 {
            let to = ([10, 2, 0, last], 80).into();
            assert!(!all.lead_to_itself(to));
            let way = all.choose(Some((client, to)), at(0)).unwrap();
            assert_eq!(way.to, Some(to));
            // Nobody else can serve this client, and others are not kept from going there.
            assert!(!all.failed(way, FailCause::Refused, at(0)));
        }
        assert!(all.lead_to_itself(listens));
        let standing = &all.standing[0];
        assert_eq!((standing.of.attempted.get(), standing.out()), (3, None));
        assert_eq!(all.all[0].held, 0);
    }

    #[test]
    fn each_fault_has_a_number_of_its_own() {
        let numbers: Vec<u64> = Fault::all().map(Fault::number).collect();
        let each: Vec<u64> = (1..=numbers.len() as u64).collect();
        assert_eq!(numbers, each);
    }

    #[test]
    fn if_all_are_left_out_they_are_tried_all_the_same() {
        let mut all = backends(Balance::RoundRobin, &[0], 100);
        for _ in 0..3 {
            let way = all.choose(None, at(0)).unwrap();
            all.failed(way, FailCause::TimedOut, at(0));
        }
        assert_eq!(all.standing[0].left_out.get(), 1);
        assert_eq!(all.standing[0].of.attempted.get(), 3);
    }

    #[test]
    fn a_source_is_filled_before_the_next_one_is_used() {
        let mut all = backends(Balance::RoundRobin, &[3], 2);
        let ways: Vec<Way> = (0..7).map(|_| all.choose(None, at(0)).unwrap()).collect();
        let sources: Vec<Option<u16>> = ways.iter().map(|way| way.source).collect();
        // Beyond its share, a worker has what others leave.
        assert_eq!(sources, [0, 0, 1, 1, 2, 2, 0].map(Some));
        all.ended(ways[2], false);
        assert_eq!(all.choose(None, at(0)).unwrap().source, Some(1));
        for way in &ways[..3] {
            all.failed(*way, FailCause::NoAddress, at(0));
        }
        let rest = all.choose(None, at(0)).unwrap();
        assert_eq!(rest.source, Some(2));
        all.failed(rest, FailCause::NoAddress, at(0));
        assert_eq!(all.choose(None, at(0)), None, "no address has a port left");
    }

    #[test]
    fn the_kernels_choice_is_filled_before_addresses_that_are_bound_to() {
        let mut all = backends(Balance::RoundRobin, &[2], 1);
        all.asked.sources[0].kernels = true;
        let mut all = Backends::new(all.asked, all.standing);
        let ways: Vec<Way> = (0..3).map(|_| all.choose(None, at(0)).unwrap()).collect();
        let sources: Vec<Option<u16>> = ways.iter().map(|way| way.source).collect();
        assert_eq!(sources, [None, Some(0), Some(1)]);
        all.ended(ways[1], false);
        assert_eq!(all.choose(None, at(0)), Some(ways[1]));
    }

    #[test]
    fn a_source_without_a_port_is_passed_over_until_a_connection_from_it_ends() {
        let mut all = backends(Balance::RoundRobin, &[2], 100);
        let held = all.choose(None, at(0)).unwrap();
        let way = all.choose(None, at(0)).unwrap();
        assert!(all.failed(way, FailCause::NoAddress, at(0)));
        assert_eq!(all.choose(None, at(0)).unwrap().source, Some(1));
        all.ended(held, false);
        assert_eq!(all.choose(None, at(0)).unwrap().source, Some(0));
        // Or for a time.
        assert!(all.failed(way, FailCause::NoAddress, at(0)));
        assert_eq!(all.choose(None, at(2)).unwrap().source, Some(0));
        assert_eq!(all.standing[0].left_out.get(), 0, "no fault of the backend");
    }

    #[test]
    fn ways_to_choose_are_written_by_their_names() {
        for (name, balance) in Balance::ALL {
            assert_eq!(name.parse(), Ok(balance));
            assert_eq!(balance.to_string(), name);
        }
        assert!("random".parse::<Balance>().is_err());
    }
}
