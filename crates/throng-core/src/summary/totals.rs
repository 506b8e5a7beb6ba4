//! Sums over the sources of a record.

use super::StormSummary;
use crate::diagnosis::{self, Diagnosis};
use crate::expect::Expectation;
use crate::maximum::Maximum;
use crate::protocol::ProtocolKind;
use crate::protocol::proxy::OfBackend;
use crate::protocol::proxy_protocol::ClientsNamed;
use crate::record::{
    Asked, AskedExchanges, AskedLatencies, AskedRate, Ending, Mark, Part, Record, Role,
    most_at_once,
};
use crate::stats::{Closed, Durations, FailCause, Measured, OfAddress, Tally};
use std::time::Duration;

/// Sums over all sources of a record. Values at an instant are only combined for instants that the sources shared.
pub(super) struct Totals<'r> {
    pub parts: Vec<&'r Part>,
    pub asked: Asked,
    pub opened: Tally,
    pub accepted: Option<Tally>,
    /// Counts of opened connections at the end of the hold.
    pub held: Tally,
    /// Counts of opened connections after closing.
    pub closed: Tally,
    /// Of these counts, those of sources that were lost: the last that are known, of the side that the run is about.
    pub unheard: Tally,
    pub measured: Measured,
    /// How long messages had waited that count as unanswered.
    pub unanswered: Durations,
    /// The most connections at once.
    pub peak: u64,
    /// When the first source began, in seconds since 1970.
    pub started_unix_s: f64,
}

/// The counts in the windows of all sources, and the length of the longest window.
#[derive(Default)]
pub(super) struct Window {
    pub seconds: f64,
    pub opened: Tally,
    pub accepted: Option<Tally>,
    pub cpu: Duration,
}

impl<'r> Totals<'r> {
    /// Message markers, on both sides, of a clock that is ahead of the receiver's.
    pub fn markers_ahead(&self) -> u64 {
        self.opened.markers_ahead + self.accepted.map_or(0, |a| a.markers_ahead)
    }

    pub fn of(record: &'r Record) -> Totals<'r> {
        let parts: Vec<&Part> = record.sources.values().collect();
        let (mut measured, mut unanswered) = (Measured::default(), Durations::default());
        for part in &parts {
            let mut of_part = Measured::default();
            part.add_measured_to(&mut of_part);
            unanswered.absorb(judged(part, &of_part));
            measured.merge(of_part);
        }
        let held = |p: &&Part| {
            let held = p.ending.as_ref().and_then(|e| e.held);
            held.map_or_else(|| p.opened(), |mark| mark.opened)
        };
        let closed = |p: &&Part| p.ending.as_ref().map_or_else(|| p.opened(), |e| e.closed);
        Totals {
            unanswered,
            asked: asked(&parts),
            opened: parts.iter().map(|p| p.opened()).sum(),
            accepted: parts
                .iter()
                .filter_map(|p| p.accepted())
                .reduce(|a, b| a + b),
            held: parts.iter().map(held).sum(),
            closed: parts.iter().map(closed).sum(),
            unheard: lost(&parts).map(subject).sum(),
            measured,
            peak: most_at_once(record),
            started_unix_s: record.started_unix_s(),
            parts,
        }
    }

    /// What a search for the most connections found, if there was one.
    pub fn maximum(&self) -> Option<&'r Maximum> {
        self.endings().find_map(|e| e.maximum.as_deref())
    }

    /// The sources that were lost.
    pub fn lost_sources(&self) -> impl Iterator<Item = &'r Part> {
        lost(&self.parts)
    }

    /// The endings of the sources that have one.
    pub fn endings(&self) -> impl Iterator<Item = &'r Ending> {
        self.parts.iter().filter_map(|p| p.ending.as_deref())
    }

    /// The limits that were met, without duplicates. What was seen at the server's end, or on the way there, is joined with what its
    /// clients saw: attempts that timed out.
    pub fn causes(&self) -> Vec<Diagnosis> {
        let mut all: Vec<Diagnosis> = Vec::new();
        for cause in self.endings().flat_map(|e| &e.causes) {
            if !all.contains(cause) {
                all.push(cause.clone());
            }
        }
        let timed_out = self.held.failed(FailCause::TimedOut);
        let seen = self.parts.iter().flat_map(|p| {
            let seen = p.ending.iter().flat_map(|e| &e.elsewhere);
            seen.map(move |seen| (p.about.machine.as_deref(), seen))
        });
        let mut joined = diagnosis::elsewhere(seen, timed_out);
        // Who is in the same namespace has said it already.
        let is_known = |of: &Diagnosis| all.iter().any(|d| d.certain && d.limit == of.limit);
        joined.retain(|found| !is_known(found));
        if joined.is_empty() {
            return all;
        }
        if joined.iter().any(|found| found.certain) {
            all.retain(|found| found.certain);
        }
        all.extend(joined);
        all.sort_by_key(|found| !found.certain);
        all
    }

    /// What became of connections by address, over all sources.
    pub fn by_address(&self) -> Vec<OfAddress> {
        let mut all: Vec<OfAddress> = Vec::new();
        for one in self.endings().flat_map(|e| &e.by_address) {
            match all.iter_mut().find(|known| known.address == one.address) {
                Some(known) => known.add(one),
                None => all.push(one.clone()),
            }
        }
        all
    }

    /// The most pairs of a proxy at once; of several, the sum, which may be more than there were at once.
    pub fn pairs_peak(&self) -> u64 {
        self.endings().map(|e| e.pairs_peak).sum()
    }

    /// What became of the connections to backends, over all sources.
    pub fn backends(&self) -> Vec<OfBackend> {
        let mut all: Vec<OfBackend> = Vec::new();
        for one in self.endings().flat_map(|e| &e.backends) {
            match all
                .iter_mut()
                .find(|known| known.of.address == one.of.address)
            {
                Some(known) => known.add(one),
                None => all.push(one.clone()),
            }
        }
        all
    }

    /// The clients that headers of the PROXY protocol named, over all sources.
    pub fn named(&self) -> Option<ClientsNamed> {
        let all = self.endings().filter_map(|e| e.named.clone());
        all.reduce(|mut all, one| {
            all.add(&one);
            all
        })
    }

    /// Whether `so` is true of the ending of any source that the run is about: a signal is how a server beside loads ends.
    pub fn any(&self, so: impl Fn(&Ending) -> bool) -> bool {
        let of_role = self
            .parts
            .iter()
            .filter(|p| p.about.asked.role == self.asked.role);
        of_role.filter_map(|p| p.ending.as_deref()).any(so)
    }

    /// The sources that speak this protocol.
    pub fn speaking(&self, kind: ProtocolKind) -> impl Iterator<Item = &'r Part> {
        let parts = self.parts.iter().copied();
        parts.filter(move |p| p.about.asked.protocol == kind)
    }

    /// The latest instant over all sources, in seconds since the first source began.
    pub fn latest(&self, of: impl Fn(&Part) -> Duration) -> f64 {
        let after = |p: &&Part| p.about.started_unix_s - self.started_unix_s + of(p).as_secs_f64();
        self.parts.iter().map(after).fold(0.0, f64::max)
    }

    /// Connections that were lost during the hold: that ended without this side's doing, or can no longer carry messages.
    pub fn lost(&self) -> u64 {
        let of = |part: &&'r Part| {
            let ending = part.ending.as_ref()?;
            let hold = ending.held?.opened.since(&ending.opened?.opened);
            // How connections end while a server is drained, or a window is looked for, has a verdict of its own.
            if part.about.asked.drain || part.about.asked.find_window {
                return None;
            }
            let closed = hold.closed_in_all() - hold.closed(Closed::ByUs);
            // With a lifetime this side closes connections, too.
            let unready = match part.renews() {
                true => 0,
                false => hold.unready.saturating_sub(hold.dropped),
            };
            Some(closed.max(unready))
        };
        self.parts.iter().filter_map(of).sum()
    }

    /// The storms of all sources, in the order of time.
    pub fn storms(&self) -> Vec<StormSummary> {
        let of = |part: &&'r Part| {
            let later_s = part.about.started_unix_s - self.started_unix_s;
            let storms = part.ending.iter().flat_map(|ending| &ending.storms);
            storms.map(move |storm| StormSummary::of(storm, later_s))
        };
        let mut all: Vec<StormSummary> = self.parts.iter().flat_map(of).collect();
        all.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        all
    }

    /// From the mark `from` to the end of the hold, each source by its own marks.
    pub fn hold(&self, from: impl Fn(&Ending) -> Option<Mark>) -> Window {
        self.window(from, |e| e.held)
    }

    /// From the mark `from` to the mark `to`, each source by its own.
    pub fn window(
        &self,
        from: impl Fn(&Ending) -> Option<Mark>,
        to: impl Fn(&Ending) -> Option<Mark>,
    ) -> Window {
        let mut all = Window::default();
        for ending in self.endings() {
            let (Some(from), Some(held)) = (from(ending), to(ending)) else {
                continue;
            };
            let seconds = held.at.saturating_sub(from.at).as_secs_f64();
            all.seconds = all.seconds.max(seconds);
            all.opened += held.opened.since(&from.opened);
            if let Some(held) = held.accepted {
                let since = held.since(&from.accepted.unwrap_or_default());
                all.accepted = Some(all.accepted.unwrap_or_default() + since);
            }
            all.cpu += held.cpu.saturating_sub(from.cpu);
        }
        all
    }
}

/// Those of `parts` that were lost before their run was over.
fn lost<'r>(parts: &[&'r Part]) -> impl Iterator<Item = &'r Part> {
    let all = parts.iter().copied();
    all.filter(|part| part.ending.is_none())
}

/// The counts of `part` on the side that its role is about.
fn subject(part: &Part) -> Tally {
    match part.about.asked.role {
        Role::Load => part.opened(),
        Role::Serve | Role::Proxy => part.accepted().unwrap_or_default(),
    }
}

/// A message whose answer was cut off by something that was asked for counts as unanswered from this age on, and from the age at
/// which most answers had come.
const CUT_OFF: Duration = Duration::from_secs(1);
const MOST_PERCENT: f64 = 90.0;

/// How long the messages had waited that count as unanswered.
fn judged(part: &Part, measured: &Measured) -> Durations {
    let cut = part.renews()
        || part.opened().dropped > 0
        || part
            .ending
            .as_ref()
            .is_some_and(|e| e.timed_out || e.was_stopped());
    // Where no message at all was answered, none was cut off.
    let answers = part.ending.as_ref().map_or(0, |e| e.closed.answers);
    let mut judged = match cut && answers > 0 {
        true => {
            let usual = measured.service.percentile(MOST_PERCENT);
            measured
                .unanswered
                .from_on(CUT_OFF.max(usual.unwrap_or_default()))
        }
        false => measured.unanswered.clone(),
    };
    judged.merge(&measured.unanswered_lost);
    judged
}

/// What was asked of connections that carry a number of exchanges: each source has ports of its own.
fn exchanges(parts: &[&Part]) -> Option<AskedExchanges> {
    let mut all = parts.iter().filter_map(|p| p.about.asked.exchanges);
    let first = all.next()?;
    Some(all.fold(first, |sum, one| {
        AskedExchanges {
            ports_per_s: sum
                .ports_per_s
                .zip(one.ports_per_s)
                .map(|(a, b)| a.saturating_add(b)),
            ..sum
        }
    }))
}

/// What was asked of all sources together that the run is about. A server beside loads was asked for nothing of that: it is the other
/// end.
fn asked(parts: &[&Part]) -> Asked {
    let whole = || parts.iter().map(|p| &p.about.asked);
    let role = [Role::Load, Role::Proxy]
        .into_iter()
        .find(|role| whole().any(|a| a.role == *role))
        .unwrap_or(Role::Serve);
    let all = || whole().filter(|a| a.role == role);
    let Some(first) = all().next() else {
        return Asked::default();
    };
    let any = |so: fn(&Asked) -> bool| all().any(so);
    let sum = |of: fn(&Asked) -> Option<f64>| all().map(of).sum::<Option<f64>>();
    Asked {
        role,
        connections: all().map(|a| a.connections).sum(),
        connect_per_s: sum(|a| a.connect_per_s),
        reconnect: first.reconnect,
        drops: first.drops.clone(),
        drain: any(|a| a.drain),
        find_window: any(|a| a.find_window),
        fastopen: any(|a| a.fastopen),
        connect_timeout_s: all().map(|a| a.connect_timeout_s).fold(0.0, f64::max),
        ramp_limit_s: all().filter_map(|a| a.ramp_limit_s).reduce(f64::max),
        messages: all().find_map(|a| a.messages),
        requests: all().filter_map(|a| a.requests).reduce(|a, b| a + b),
        rate: all().map(|a| a.rate).reduce(both).unwrap_or_default(),
        paced: any(|a| a.paced),
        sent_per_s: sum(|a| a.sent_per_s),
        received_per_s: sum(|a| a.received_per_s),
        hold_s: all().filter_map(|a| a.hold_s).reduce(f64::max),
        allow: first.allow,
        expect: expect(parts),
        lifetime: parts.iter().any(|p| p.renews()),
        exchanges: exchanges(parts),
        own_server: any(|a| a.own_server),
        stops_at_text: any(|a| a.stops_at_text),
        answers: any(|a| a.answers),
        time_stamps: any(|a| a.time_stamps),
        protocol: first.protocol,
        // Those of several sources are counted by their places, which must be the same.
        subprotocols: match all().all(|a| a.subprotocols == first.subprotocols) {
            true => first.subprotocols.clone(),
            false => Vec::new(),
        },
        unix: any(|a| a.unix),
        tunnels: any(|a| a.tunnels),
        takes_headers: whole().any(|a| a.takes_headers),
        sends_headers: any(|a| a.sends_headers),
        tls_client: any(|a| a.tls_client),
        tls_server: whole().any(|a| a.tls_server),
        latencies: AskedLatencies {
            connect: any(|a| a.latencies.connect),
            first_byte: any(|a| a.latencies.first_byte),
            messages: all().find_map(|a| a.latencies.messages),
            percentiles: first.latencies.percentiles.clone(),
        },
        steady_from_last_attempt: first.steady_from_last_attempt,
    }
}

/// All expectations of any source.
fn expect(parts: &[&Part]) -> Vec<Expectation> {
    let mut all: Vec<Expectation> = Vec::new();
    for one in parts.iter().flat_map(|p| &p.about.asked.expect) {
        if !all.contains(one) {
            all.push(one.clone());
        }
    }
    all
}

/// The sum of two rates; nothing if they can't be added.
fn both(one: AskedRate, other: AskedRate) -> AskedRate {
    match (one, other) {
        (AskedRate::Constant(a), AskedRate::Constant(b)) => AskedRate::Constant(a + b),
        (AskedRate::Messages(a), AskedRate::Messages(b)) => AskedRate::Messages(a + b),
        _ => AskedRate::Nothing,
    }
}
