//! Makes the summary of a record: the only place that sums up.

use super::expected::{self, Known};
use super::per_second::per_s;
use super::totals::{Totals, Window};
use super::{
    Answers, BandwidthKept, Churn, Connections, Cost, Drain, FastOpened, Histogram, Latency,
    MessageRate, Percentiles, Pings, Requests, Server, SetUp, SourceSummary, StartSpread, Steady,
    Summary, Traffic, latencies, over_time, verdict,
};
use crate::engine::Engine;
use crate::expect::{ENOUGH_TO_DIVIDE, Metric, Reading};
use crate::protocol::proxy::ProxySummary;
use crate::protocol::proxy_protocol::ProxyProtocolSummary;
use crate::protocol::tls::TlsSummary;
use crate::protocol::tunnel::TunnelSummary;
use crate::protocol::{ProtocolKind, Sections};
use crate::record::{Part, Phase, RateOf, Record, Role, Source, VERSION};
use crate::stats::Tally;
use crate::watched::WatchedSummary;
use std::collections::BTreeMap;
use std::time::Duration;

/// The summary of `record`.
pub fn of(record: &Record) -> Summary {
    with_readings(record, &[]).0
}

/// The summary of `record`, and what was measured of each of `metrics`, whether or not anything was expected of it.
pub fn with_readings(record: &Record, metrics: &[Metric]) -> (Summary, Vec<Reading>) {
    let t = Totals::of(record);
    let load = t.asked.role == Role::Load;
    let hold = t.hold(|e| e.opened);
    let sending = t.hold(|e| e.sending.or(e.opened));
    // Once all were sent that were asked for, no more were due.
    let sent = t.window(|e| e.sending.or(e.opened), |e| e.sent.or(e.held));
    let message_rate = t.asked.messages.map(|of| message_rate(&t, of, &sent));
    let steady = load.then(|| steady(&t));
    let subject = match (load, t.accepted) {
        (true, _) => t.opened,
        (false, accepted) => accepted.unwrap_or_default(),
    };
    // A load that only accepts (`-l` without a target) is about that side.
    let speaking = match (t.asked.connections, t.accepted) {
        (Some(0), Some(accepted)) => accepted,
        _ => subject,
    };
    // The verdict and the counts of connections are of the same instant. Those that were opened again and again still are
    // in the moment until the workers know that the hold is over, and what was sent on them counts.
    let connections = match load {
        true => connections(&t, &t.held).opened_until(&t.opened),
        false => connections(&t, &subject),
    };
    let set_up = load.then(|| set_up(&t));
    let to_last_answer = t.latest(|p| {
        let held = p.ending.as_ref().and_then(|e| e.held);
        held.map_or(p.over(), |mark| mark.at)
    });
    let requests = Requests::of(&t.asked, &t.closed, to_last_answer);
    let answers = (t.asked.answers || t.closed.questions > 0).then(|| {
        // A number of messages may be answered before the hold begins.
        let (answers, seconds) = match &requests {
            Some(requests) => (t.closed.answers, requests.seconds),
            None => (sending.opened.answers, sending.seconds),
        };
        let rate = (seconds > 0.0).then(|| per_s(answers as f64, seconds));
        Answers::of(&t.closed, t.unanswered.count(), rate)
    });
    // Of a proxy, both ends of each pair are counted, and a pair is what it is asked for.
    let peak = match t.asked.role {
        Role::Proxy => t.pairs_peak(),
        Role::Load | Role::Serve => connections.peak,
    };
    let cost = cost(&t, peak);
    let server = server(&t, connections.peak);
    let known = Known {
        t: &t,
        hold: &hold,
        set_up: set_up.as_ref(),
        message_rate: message_rate.as_ref(),
        answers: answers.as_ref(),
        cost: &cost,
        server: server.as_ref(),
    };
    let expectations = expected::of(&known);
    let readings = metrics
        .iter()
        .map(|metric| known.measured(metric))
        .collect();
    let (reached, findings) = verdict::of(
        record,
        &t,
        requests.as_ref(),
        set_up.as_ref(),
        message_rate.as_ref(),
        &expectations,
    );
    let first = t.parts.first();
    let stops_seen = t.opened.stops_seen + t.accepted.map_or(0, |a| a.stops_seen);
    let secured_s = t.latest(|p| p.ending.as_ref().map_or(p.over(), |e| e.secured));
    let over_s = t.latest(Part::over);
    let closed_s =
        t.latest(|p| p.over() + p.ending.as_ref().map(|e| e.closing).unwrap_or_default());
    let summary = Summary {
        version: VERSION,
        tool: first.map(|p| p.about.tool.clone()).unwrap_or_default(),
        role: t.asked.role.name().into(),
        command: match first {
            Some(p)
                if t.parts
                    .iter()
                    .all(|other| other.about.command == p.about.command) =>
            {
                p.about.command.clone()
            }
            _ => Vec::new(),
        },
        reached,
        findings,
        expectations,
        causes: t.causes(),
        interrupted: t.any(|e| e.interrupted),
        started_unix_s: t.started_unix_s,
        hold_s: load.then_some(hold.seconds),
        seconds: over_s,
        closing_s: closed_s - over_s,
        kernel: kernels(&t),
        cores: cores(&t),
        engine: first.map_or(Engine::Epoll, |p| p.about.engine),
        why_epoll: t.parts.iter().find_map(|p| p.about.why_epoll.clone()),
        workers: t.parts.iter().map(|p| p.about.workers).sum(),
        start: StartSpread::of(&t.parts),
        set_up,
        traffic: Traffic::of(&subject),
        server_traffic: t.accepted.filter(|_| load).as_ref().map(Traffic::of),
        message_rate,
        requests,
        bandwidth: steady
            .as_ref()
            .and_then(|steady| BandwidthKept::of(&t.asked, steady)),
        latency: Latency::of(&t.measured, &t.unanswered, t.asked.paced),
        histogram: Histogram::of(&t.measured, t.asked.paced),
        answers,
        pings: Pings::of(&t.closed),
        stops_seen: t.asked.stops_at_text.then_some(stops_seen),
        storms: t.storms(),
        churn: Churn::of(&t),
        drain: t.asked.drain.then(|| Drain::of(&t)),
        window: t.endings().find_map(|e| e.window.clone()),
        connect_rate: t.endings().find_map(|e| e.connect_rate.as_deref().cloned()),
        search: t.endings().find_map(|e| e.search.clone()),
        maximum: t.maximum().cloned(),
        protocols: protocols(&t, &speaking),
        proxy: (t.asked.role == Role::Proxy)
            .then(|| ProxySummary::of(&subject, t.pairs_peak(), t.backends(), over_s)),
        proxy_protocol: (t.asked.takes_headers)
            .then(|| ProxyProtocolSummary::of(&t.accepted.unwrap_or_default(), t.named())),
        tunnel: t.asked.tunnels.then(|| TunnelSummary::of(&t.opened)),
        tls: (t.asked.tls_client || t.asked.tls_server)
            .then(|| TlsSummary::of(&speaking, &t.measured, secured_s)),
        cost,
        server,
        watched: t.parts.iter().filter_map(|part| watched(part)).collect(),
        connections,
        over_time: over_time::of(record),
        steady,
        latencies: latencies(&t.asked.latencies, &t.measured, &t.unanswered),
        sources: record.sources.iter().map(source).collect(),
    };
    (summary, readings)
}

fn protocols(t: &Totals, speaking: &Tally) -> Sections {
    let all = Sections::of(|kind| t.speaking(kind).next().is_some(), speaking).settled(&t.closed);
    Sections {
        websocket: all.websocket.map(|w| w.named(&t.asked.subprotocols)),
        ..all
    }
}

fn connections(t: &Totals, subject: &Tally) -> Connections {
    // Several sources may share a network namespace, so the sum of its counts says nothing.
    let only = match t.parts.as_slice() {
        [part] => part.ending.as_ref(),
        _ => None,
    };
    Connections {
        accepted: t.accepted.map(|a| a.accepted),
        reconnect_policy: t.asked.reconnect.map(|policy| policy.to_string()),
        kernel_sockets: only.and_then(|e| e.kernel_sockets),
        expected_sockets: only.and_then(|e| e.expected_sockets),
        fast_open: only.filter(|_| t.asked.fastopen).map(|e| FastOpened {
            accepted: e.kernel.fastopen_accepted,
            ignored: e.kernel.fastopen_ignored,
        }),
        by_address: t.by_address(),
        ..Connections::of(subject, t.asked.connections, t.peak).without(subject, &t.unheard)
    }
}

/// From the first attempt to the last connection that was established, of the sources that were not lost: of others, that is known to
/// within an interval only.
fn set_up(t: &Totals) -> SetUp {
    let all_lost = t.endings().next().is_none();
    let opened = |p: &&Part| {
        let mark = p.ending.as_ref().and_then(|e| e.opened);
        mark.map_or_else(|| p.opened(), |mark| mark.opened)
    };
    let told = t.parts.iter().filter(|p| all_lost || p.ending.is_some());
    let established = told.map(|p| opened(p).established).sum::<u64>() as f64;
    let seconds = t.latest(|p| match &p.ending {
        Some(ending) => ending.established,
        None if all_lost => p.over(),
        None => Duration::ZERO,
    });
    let cpu: f64 = t
        .endings()
        .filter_map(|e| e.opened)
        .map(|mark| mark.cpu.as_secs_f64())
        .sum();
    SetUp {
        seconds,
        per_s: per_s(established, seconds),
        asked_per_s: t.asked.connect_per_s,
        latency: Percentiles::of(&t.measured.connect),
        cpu_us_per_connection: (established > 0.0).then(|| cpu * 1e6 / established),
    }
}

/// The traffic while all connections were established; as tcpkali counts it, from the last attempt on.
fn steady(t: &Totals) -> Steady {
    let like_tcpkali = t.asked.steady_from_last_attempt;
    let window = match like_tcpkali {
        true => t.hold(|e| Some(e.last_attempt.unwrap_or_default())),
        false => t.hold(|e| e.opened),
    };
    Steady {
        seconds: window.seconds,
        opened: t.opened.open(),
        accepted: t.accepted.map_or(0, |a| a.open()),
        traffic: Traffic::of(&window.opened),
        accepted_traffic: window.accepted.map(|since| match like_tcpkali {
            true => without_answers(&since),
            false => Traffic::of(&since),
        }),
        marked: t.asked.time_stamps,
    }
}

/// The traffic over accepted connections as tcpkali counts it: without the answers to handshakes.
fn without_answers(tally: &Tally) -> Traffic {
    let traffic = Traffic::of(tally);
    let handshakes = ProtocolKind::ALL
        .iter()
        .map(|kind| kind.handshakes_sent(tally));
    handshakes.fold(traffic, |rest, sent| Traffic {
        bytes_sent: rest.bytes_sent.saturating_sub(sent.bytes),
        writes: rest.writes.saturating_sub(sent.writes),
        ..rest
    })
}

/// How well the rate was kept from when all were established to the end of the hold.
fn message_rate(t: &Totals, of: RateOf, hold: &Window) -> MessageRate {
    let messages = |counts: &Tally| match of {
        RateOf::Replies => counts.messages_received,
        RateOf::Sent => counts.messages_sent,
    };
    // Of a lost source, what it told while it held.
    let unheard = t.lost_sources().flat_map(|part| part.intervals.iter());
    let unheard = unheard.filter(|interval| interval.phase == Phase::Holding);
    let unheard = unheard.filter_map(|interval| interval.opened.as_ref());
    let unheard: u64 = unheard.map(|reading| messages(&reading.counts)).sum();
    let messages = messages(&hold.opened) + unheard;
    let lateness = &t.measured.lateness;
    MessageRate::of(t.asked.rate, messages, hold.seconds, hold.cpu, lateness)
}

/// The kernels' releases, without duplicates.
fn kernels(t: &Totals) -> String {
    let mut all: Vec<&str> = t.parts.iter().map(|p| p.about.kernel.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    all.join(", ")
}

/// The cores of all machines. Those of agents on one machine count once.
fn cores(t: &Totals) -> u32 {
    let mut known: BTreeMap<&str, u32> = BTreeMap::new();
    let mut others = 0;
    for about in t.parts.iter().map(|p| &p.about) {
        match &about.machine {
            Some(machine) => {
                let cores = known.entry(machine).or_default();
                *cores = about.cores.max(*cores);
            }
            None => others += about.cores,
        }
    }
    others + known.into_values().sum::<u32>()
}

/// Whether `bytes` of kernel memory are about what the run's sockets take.
fn is_the_sockets(bytes: u64, peak: u64, part: &Part) -> bool {
    let counted = part.ending.as_ref().and_then(|e| e.kernel_sockets);
    let sockets = counted.unwrap_or(peak).max(peak);
    let typical = sockets * part.about.engine.kernel_bytes_per_end();
    (typical * 3 / 4..=typical * 2).contains(&bytes)
}

fn cost(t: &Totals, peak: u64) -> Cost {
    let each = |bytes: u64| (peak >= ENOUGH_TO_DIVIDE).then(|| bytes as f64 / peak as f64);
    let user_bytes = t.endings().map(|e| e.used.user_bytes).sum();
    // The kernel's memory is the machine's, which several sources may share.
    let (kernel_bytes, sure) = match t.parts.as_slice() {
        [part] => {
            let bytes = part.ending.as_ref().and_then(|e| e.used.kernel_bytes);
            let sure = bytes.is_some_and(|bytes| is_the_sockets(bytes, peak, part));
            (bytes, sure)
        }
        _ => (None, false),
    };
    Cost {
        user_bytes,
        user_bytes_per_connection: each(user_bytes),
        kernel_bytes_per_connection: kernel_bytes.and_then(each),
        kernel_bytes_sure: sure && peak >= ENOUGH_TO_DIVIDE,
        cpu_user_s: t.endings().map(|e| e.used.cpu_user.as_secs_f64()).sum(),
        cpu_system_s: t.endings().map(|e| e.used.cpu_system.as_secs_f64()).sum(),
    }
}

/// What the server used. Several sources may be on one machine with it.
fn server(t: &Totals, peak: u64) -> Option<Server> {
    let [part] = t.parts.as_slice() else {
        return None;
    };
    let used = part.ending.as_ref()?.server.as_ref()?;
    Some(Server::of(used, (peak >= ENOUGH_TO_DIVIDE).then_some(peak)))
}

/// What the system took that a source watched.
fn watched(part: &Part) -> Option<WatchedSummary> {
    let watched = part.ending.as_ref()?.watched.as_ref()?;
    Some(WatchedSummary::of(watched, part.about.agent.as_deref()))
}

fn source((name, part): (&Source, &Part)) -> SourceSummary {
    let about = &part.about;
    let counts = match part.is_about_accepted() {
        true => part.accepted().unwrap_or_default(),
        false => part.opened(),
    };
    SourceSummary {
        source: name.to_string(),
        agent: about.agent.clone(),
        start_us: about.start.map(|start| start.after_ns as f64 / 1e3),
        clock_bound_us: about.start.map(|start| start.bound_ns as f64 / 1e3),
        established: counts.established,
        failed: counts.failed_in_all(),
        messages_sent: counts.messages_sent,
        latency: about
            .agent
            .as_ref()
            .and_then(|_| Percentiles::of_messages(part)),
        command: about.command.clone(),
        started_unix_s: about.started_unix_s,
        seconds: part.over().as_secs_f64(),
        complete: part.ending.is_some(),
        kernel: about.kernel.clone(),
        cores: about.cores,
        engine: about.engine,
        workers: about.workers,
        asked: about.asked.connections,
        peak: part.peak(),
        environment: about.environment.clone(),
        stolen: part.ending.as_ref().and_then(|e| e.stolen),
    }
}
