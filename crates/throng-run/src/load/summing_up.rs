//! What a load came to, once all is closed: its summary.

use super::searching::Searched;
use super::verdict::{self, Outcome};
use crate::behave::LoadBehaviours;
use std::time::Duration;
use throng_core::diagnosis::{Diagnosis, KernelCounts};
use throng_core::plan::LoadPlan;
use throng_core::protocol::websocket::handshake::server::Upgrade;
use throng_core::scenario::{LoadScenario, RunRate, Sending, SteadyFrom};
use throng_core::stats::{Measured, Tally};
use throng_core::summary::{
    Answers, Asked, BandwidthKept, Connections, Cost, Latency, LatencyReport, MessageRate,
    Percentiles, Samples, SearchSummary, SetUp, Steady, Summary, TlsSummary, Traffic, VERSION,
    WebSocketSummary, latencies,
};
use throng_host::kernel::Kernel;

/// The counts at an instant of the run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Mark {
    /// Since the run began.
    pub at: Duration,
    pub clients: Tally,
    /// Of connections that this process accepted.
    pub server: Option<Tally>,
    /// Processor time so far.
    pub cpu: Duration,
}

/// What was noted when opening was over.
#[derive(Default)]
pub(crate) struct Opened {
    pub mark: Mark,
    /// The last counts when not all connections had been begun yet, if the run was looked at that closely.
    pub begun: Mark,
    /// When the last connection came up.
    pub up_at: Duration,
    /// How many more TCP sockets the kernel counts than when the run began …
    pub kernel_sockets: Option<u64>,
    /// … and how many more there should be.
    pub expected_sockets: Option<u64>,
}

/// What happened in a run besides what was counted and measured.
#[derive(Default)]
pub(crate) struct Happened {
    /// What kept it from opening all.
    pub causes: Vec<Diagnosis>,
    /// The run's time was over.
    pub timed_out: bool,
    /// They did not all come up in the time they had.
    pub too_slow: bool,
    /// The text that ends the run came.
    pub stop_seen: bool,
    /// What a search found.
    pub found: Option<Searched>,
    /// Messages that the profile asked for, if it was read while the run went on.
    pub profile_asked: Option<f64>,
    /// What was wrong with it.
    pub bad_profile: Option<String>,
}

/// A run that is over.
pub(crate) struct Ended<'a> {
    pub scenario: &'a LoadScenario,
    pub plan: &'a LoadPlan,
    pub behaviours: &'a LoadBehaviours<'a>,
    pub kernel: &'a Kernel,
    pub happened: Happened,
    pub opened: Opened,
    /// Where things stood at the end of the hold.
    pub held: Mark,
    /// The counts when closing began.
    pub clients: Tally,
    /// Those of connections that this process accepted …
    pub accepted: Option<Tally>,
    /// … and whether all of them are the other ends of its own (`--self`).
    pub own_server: bool,
    /// Which latencies are reported.
    pub latencies: &'a LatencyReport,
    /// The clients' counts after closing: only then it is known what was not answered.
    pub answered: Tally,
    pub measured: Measured,
    /// What could not be written down of it.
    pub unwritten: Option<String>,
    /// What the kernel counted meanwhile.
    pub kernel_counts: KernelCounts,
    /// The most connections at once.
    pub peak: u64,
    /// When the last TLS handshake was done.
    pub secured_at: Duration,
    pub interrupted: bool,
    pub started_unix_s: f64,
    /// When closing began, since the run did …
    pub over: Duration,
    /// … and how long it took.
    pub closing: Duration,
    pub cost: Cost,
    pub samples: Samples,
}

/// The summary of a run that is over.
pub(crate) fn sum_up(run: Ended) -> Summary {
    let scenario = run.scenario;
    let (opened, held, clients) = (&run.opened, &run.held, &run.clients);
    let (asked, over_s) = (run.scenario.connections, run.over.as_secs_f64());
    let held_s = held.at.saturating_sub(opened.mark.at).as_secs_f64();
    let message_rate = run.behaviours.repeats().then(|| message_rate(&run));
    let (reached, findings) = judged(&run, message_rate.as_ref());

    let mut connections = Connections::of(clients, Some(asked.into()), run.peak);
    connections.accepted = run.accepted.map(|s| s.accepted);
    connections.kernel_sockets = opened.kernel_sockets;
    connections.expected_sockets = opened.expected_sockets;
    let steady = steady(&run);
    let sending = &scenario.pace.sending;
    let paced = matches!(
        sending,
        Sending::PerConnection(_) | Sending::WholeRun { .. } | Sending::Search(_)
    );
    let stops_seen = clients.stops_seen + run.accepted.map_or(0, |s| s.stops_seen);
    // Of a load that only accepts (`-l` without a target) that side is what it is about.
    let side = match (asked, &run.accepted) {
        (0, Some(accepted)) => accepted,
        _ => clients,
    };
    let speaks_tls = scenario.tls.is_some() || scenario.tls_server.is_some();
    let looks_for_answers = run.behaviours.matches_answers();
    Summary {
        version: VERSION,
        tool: concat!("throng ", env!("CARGO_PKG_VERSION")).into(),
        role: "load".into(),
        // The caller knows.
        command: Vec::new(),
        reached,
        findings,
        interrupted: run.interrupted,
        started_unix_s: run.started_unix_s,
        hold_s: Some(held_s),
        seconds: over_s,
        closing_s: run.closing.as_secs_f64(),
        kernel: run.kernel.release.clone(),
        cores: run.kernel.cores as u32,
        engine: run.plan.engine,
        why_epoll: run.plan.why_epoll.clone(),
        workers: run.plan.workers,
        connections,
        set_up: Some(set_up(&run)),
        traffic: Traffic::of(clients),
        server_traffic: run.accepted.as_ref().map(Traffic::of),
        message_rate,
        bandwidth: BandwidthKept::of(&scenario.pace, asked.into(), &steady),
        latency: Latency::of(&run.measured, paced),
        answers: looks_for_answers.then(|| Answers::of(&run.answered)),
        stops_seen: scenario.measure.stop_at.is_some().then_some(stops_seen),
        search: sending.search().zip(run.happened.found.as_ref()).map(
            |(search, Searched { found, terms })| {
                SearchSummary::of(found, terms, &search.written, asked.into())
            },
        ),
        websocket: scenario
            .protocol
            .websocket()
            .map(|_| WebSocketSummary::of(side)),
        tls: speaks_tls.then(|| TlsSummary::of(side, &run.measured, run.secured_at.as_secs_f64())),
        steady: Some(steady),
        latencies: latencies(&scenario.measure, run.latencies, &run.measured),
        causes: run.happened.causes,
        cost: run.cost,
        over_time: run.samples.into_vec(),
    }
}

/// Whether all was reached, and what there is to say of it.
fn judged(run: &Ended, rate: Option<&MessageRate>) -> (bool, Vec<String>) {
    let happened = &run.happened;
    let (mut reached, mut findings) = verdict::of(&Outcome {
        scenario: run.scenario,
        clients: &run.clients,
        server: run.accepted.as_ref().filter(|_| run.own_server),
        peak: run.peak,
        open_at_end: run.clients.open().max(run.held.clients.open()),
        interrupted: run.interrupted,
        timed_out: happened.timed_out,
        causes: &happened.causes,
        kernel: run.kernel_counts,
        rate,
        seconds: run.over.as_secs_f64(),
        too_slow: happened.too_slow,
        stop_seen: happened.stop_seen,
        searched: happened.found.as_ref(),
        bad_profile: happened.bad_profile.as_deref(),
    });
    if let Some(trouble) = &run.unwritten {
        reached = false;
        findings.push(trouble.clone());
    }
    (reached, findings)
}

/// From the first attempt to the last connection that came up.
fn set_up(run: &Ended) -> SetUp {
    let Opened { mark, up_at, .. } = &run.opened;
    let (established, up_s) = (mark.clients.established as f64, up_at.as_secs_f64());
    SetUp {
        seconds: up_s,
        per_s: if up_s > 0.0 { established / up_s } else { 0.0 },
        asked_per_s: run.scenario.connect.rate.map(|r| r.get()),
        latency: Percentiles::of(&run.measured.connect),
        cpu_us_per_connection: (established > 0.0)
            .then(|| mark.cpu.as_secs_f64() * 1e6 / established),
    }
}

/// What went over the connections while all were up, or from when the last one was begun.
fn steady(run: &Ended) -> Steady {
    let steady_from = run.scenario.measure.steady_from;
    let (held, from) = match steady_from {
        SteadyFrom::Begun => (&run.held, &run.opened.begun),
        SteadyFrom::Established => (&run.held, &run.opened.mark),
    };
    let accepted_traffic = held.server.zip(from.server.or(Some(Tally::default())));
    Steady {
        seconds: held.at.saturating_sub(from.at).as_secs_f64(),
        opened: run.clients.open(),
        accepted: run.accepted.map_or(0, |s| s.open()),
        traffic: Traffic::of(&held.clients.since(&from.clients)),
        accepted_traffic: accepted_traffic.map(|(held, from)| {
            let since = held.since(&from);
            match steady_from {
                SteadyFrom::Begun => without_answers(&since),
                SteadyFrom::Established => Traffic::of(&since),
            }
        }),
        marked: run.behaviours.finds_markers(),
    }
}

/// What went over accepted connections, but for the answers to WebSocket handshakes.
fn without_answers(tally: &Tally) -> Traffic {
    let traffic = Traffic::of(tally);
    let bytes = tally.websocket.upgraded * Upgrade::ANSWER_BYTES;
    Traffic {
        bytes_sent: traffic.bytes_sent.saturating_sub(bytes),
        writes: traffic.writes.saturating_sub(tally.websocket.upgraded),
        ..traffic
    }
}

/// How well the rate was kept from when all were up to the end of the hold.
fn message_rate(run: &Ended) -> MessageRate {
    let (from, to) = (&run.opened.mark, &run.held);
    let held = to.at.saturating_sub(from.at);
    let in_window = to.clients.since(&from.clients);
    let sending = &run.scenario.pace.sending;
    let messages = match sending.is_closed_loop() {
        true => in_window.messages_received,
        false => in_window.messages_sent,
    };
    let asked = match sending {
        Sending::WholeRun { rate, .. } => match rate {
            RunRate::Constant(rate) => Asked::Constant(rate.get()),
            RunRate::Profile(profile) => {
                Asked::Messages(profile.total(held.min(profile.duration())))
            }
            RunRate::Stdin => {
                let total = run.happened.profile_asked;
                total.map_or(Asked::Nothing, Asked::Messages)
            }
        },
        Sending::PerConnection(rate) => {
            Asked::Constant(rate.get() * f64::from(run.scenario.connections))
        }
        _ => Asked::Nothing,
    };
    let cpu = to.cpu.saturating_sub(from.cpu);
    let lateness = &run.measured.lateness;
    MessageRate::of(asked, messages, held.as_secs_f64(), cpu, lateness)
}
