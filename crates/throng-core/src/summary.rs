//! What a run came to: a [`Snapshot`] for whoever watches, a [`Summary`] at the end. Plain data, from
//! which every report is drawn. docs/summary.md describes the JSON form for scripts.

use crate::diagnosis::Diagnosis;
use crate::plan::Engine;
use crate::scenario::Percentile;
use crate::stats::{Closed, Durations, FailCause, Tally};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// The version of the JSON form. It grows when a field changes its meaning or goes; new fields alone
/// do not change it.
pub const VERSION: u32 = 1;

/// What a run is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Connections are being opened.
    Opening,
    /// All that could be opened are up, and held.
    Holding,
    /// No new message is begun; what is under way arrives.
    Draining,
    /// Connections are being closed.
    Closing,
    /// A server: it accepts until told to stop.
    Serving,
}

/// The whole run's state at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Since the run began.
    pub elapsed: Duration,
    /// What it is doing.
    pub phase: Phase,
    /// Connections asked for, if a number was.
    pub asked: Option<u64>,
    /// The most connections at once so far.
    pub peak: u64,
    /// The side that this run is about: the client of a load, the server of a serve.
    pub now: Tally,
    /// What that side counted in the last `interval`.
    pub recent: Tally,
    /// The length of that interval.
    pub interval: Duration,
    /// The server in the same process, if there is one.
    pub server: Option<Tally>,
    /// Until the run ends by itself, if that is known.
    pub left: Option<Duration>,
}

/// Percentiles of a duration, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Percentiles {
    pub count: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p95_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl Percentiles {
    /// Those of `all`, or `None` if there are none.
    pub fn of(all: &Durations) -> Option<Percentiles> {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let at = |p| all.percentile(p).map(us);
        Some(Percentiles {
            count: all.count(),
            mean_us: us(all.mean()?),
            p50_us: at(50.0)?,
            p90_us: at(90.0)?,
            p95_us: at(95.0)?,
            p99_us: at(99.0)?,
            p999_us: at(99.9)?,
            max_us: at(100.0)?,
        })
    }
}

/// A second of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// End of the interval, in seconds since the run began.
    pub at_s: f64,
    /// Connections up then.
    pub open: u64,
    /// Connections that came up in it, a second.
    pub established_per_s: f64,
    /// Attempts that failed in it, a second.
    pub failed_per_s: f64,
    /// Messages sent in it, a second (server: reads).
    pub messages_per_s: f64,
    /// Bytes sent in it, a second.
    pub sent_per_s: f64,
    /// Bytes received in it, a second.
    pub received_per_s: f64,
}

/// What became of the connections.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Connections {
    /// Asked for; `None` for a server without a maximum.
    pub asked: Option<u64>,
    /// Attempts started. attempted = established + failed + those under way at the end.
    pub attempted: u64,
    /// Attempts that came up.
    pub established: u64,
    /// Accepted: by the server in the same process, or by this server. `None` if there is none.
    pub accepted: Option<u64>,
    /// The most that were up at once.
    pub peak: u64,
    /// Up when the run was over, just before we closed them.
    pub open_at_end: u64,
    /// Attempts that failed, by cause; causes that did not occur are left out.
    pub failed: BTreeMap<FailCause, u64>,
    /// Closed by the peer's FIN.
    pub closed_by_peer: u64,
    /// Reset by the peer.
    pub reset_by_peer: u64,
    /// Lost because the peer no longer acknowledged.
    pub timed_out: u64,
    /// Ended by an error on our side.
    pub lost_by_error: u64,
    /// Closed by us: during the run, or at its end those that were still open. So established (or
    /// accepted) = closed_by_peer + reset_by_peer + timed_out + lost_by_error + closed_by_us.
    pub closed_by_us: u64,
    /// TCP sockets in use in this network namespace at the peak, less those from before: what the
    /// kernel itself counts. Both ends of a connection are sockets of this machine on loopback.
    pub kernel_sockets: Option<u64>,
    /// How many sockets that should be by our own count.
    pub expected_sockets: Option<u64>,
}

impl Connections {
    /// From the counts of the side that the run is about, taken when the run was over and before it
    /// closed what was still open.
    pub fn of(tally: &Tally, asked: Option<u64>, peak: u64) -> Connections {
        Connections {
            asked,
            attempted: tally.attempted,
            established: tally.established,
            accepted: None,
            peak,
            open_at_end: tally.open(),
            failed: FailCause::ALL
                .into_iter()
                .filter(|c| tally.failed(*c) > 0)
                .map(|c| (c, tally.failed(c)))
                .collect(),
            closed_by_peer: tally.closed(Closed::ByPeer),
            reset_by_peer: tally.closed(Closed::ResetByPeer),
            timed_out: tally.closed(Closed::TimedOut),
            lost_by_error: tally.closed(Closed::Error),
            closed_by_us: tally.closed(Closed::ByUs) + tally.open(),
            kernel_sockets: None,
            expected_sockets: None,
        }
    }
}

/// How opening went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SetUp {
    /// From the first attempt to the peak (the last connection up).
    pub seconds: f64,
    /// Connections established a second in that time.
    pub per_s: f64,
    /// Asked rate of attempts, if one was.
    pub asked_per_s: Option<f64>,
    /// From the start of an attempt to its success.
    pub latency: Option<Percentiles>,
    /// Processor time of the process in that time (both ends with a server in the same process), in
    /// microseconds for each connection.
    pub cpu_us_per_connection: Option<f64>,
}

/// What went over the connections, seen from one side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Traffic {
    /// Whole messages sent.
    pub messages_sent: u64,
    /// Messages that were due and not sent when the connection ended.
    pub messages_unsent: u64,
    /// Whole replies (echoes) received, in a closed loop.
    pub replies: u64,
    /// Bytes sent.
    pub bytes_sent: u64,
    /// Bytes received.
    pub bytes_received: u64,
    /// Sends that completed.
    pub writes: u64,
    /// Reads that gave bytes.
    pub reads: u64,
}

impl Traffic {
    /// From a side's counts.
    pub fn of(tally: &Tally) -> Traffic {
        Traffic {
            messages_sent: tally.messages_sent,
            messages_unsent: tally.messages_unsent,
            replies: tally.messages_received,
            bytes_sent: tally.bytes_sent,
            bytes_received: tally.bytes_received,
            writes: tally.writes,
            reads: tally.reads,
        }
    }
}

/// How well the message rate was kept while all connections were up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MessageRate {
    /// Messages a second asked for over all connections; `None` if no rate was.
    pub asked_per_s: Option<f64>,
    /// Messages a second sent (replies in a closed loop) over `seconds`.
    pub reached_per_s: f64,
    /// The window that was measured: the hold.
    pub seconds: f64,
    /// From when a message was due to when the kernel had taken it.
    pub lateness: Option<Percentiles>,
    /// Closed loop: from sending a message to having its whole echo. A closed loop waits for slow
    /// answers instead of counting the messages it did not send meanwhile: it is service time.
    pub round_trip: Option<Percentiles>,
    /// Processor time of the process over the window, in microseconds a message.
    pub cpu_us_per_message: Option<f64>,
}

/// What it took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// User-space memory (resident set) at the peak, less that before the first socket: rings, tables
    /// and buffers included, both ends with a server in the same process.
    pub user_bytes: u64,
    /// The same for each connection; `None` under 1000 connections, where it says nothing.
    pub user_bytes_per_connection: Option<f64>,
    /// Growth of the kernel's slab memory over the machine, for each connection; `None` under 1000.
    pub kernel_bytes_per_connection: Option<f64>,
    /// Processor time in user mode, seconds.
    pub cpu_user_s: f64,
    /// Processor time in the kernel, seconds.
    pub cpu_system_s: f64,
}

/// The result of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// [`VERSION`].
    pub version: u32,
    /// `throng` and its version.
    pub tool: String,
    /// `load` or `serve`.
    pub role: String,
    /// The command line.
    pub command: Vec<String>,
    /// Whether all that was asked for was reached.
    pub reached: bool,
    /// What fell short or is worth knowing, one line each; the first one is the verdict.
    pub findings: Vec<String>,
    /// The limits that kept it from opening all, the likeliest first.
    pub causes: Vec<Diagnosis>,
    /// Whether the run was interrupted.
    pub interrupted: bool,
    /// When the run began, in seconds since 1970.
    pub started_unix_s: f64,
    /// How long all connections were held, once they were up; `None` for a server.
    pub hold_s: Option<f64>,
    /// How long the run took, closing not included.
    pub seconds: f64,
    /// How long closing all connections took.
    pub closing_s: f64,
    /// The kernel's release.
    pub kernel: String,
    /// Cores that the process could use.
    pub cores: u32,
    /// The event loop.
    pub engine: Engine,
    /// Why not io_uring, if it was not asked for otherwise.
    pub why_epoll: Option<String>,
    /// Threads on each side.
    pub workers: u32,
    /// What became of the connections.
    pub connections: Connections,
    /// How opening went; `None` for a server.
    pub set_up: Option<SetUp>,
    /// What went over the connections, seen from the side that the run is about.
    pub traffic: Traffic,
    /// The same seen from the server in the same process.
    pub server_traffic: Option<Traffic>,
    /// The message rate, if messages were sent.
    pub message_rate: Option<MessageRate>,
    /// What it took.
    pub cost: Cost,
    /// The run second by second; thinned to at most [`MAX_SAMPLES`].
    pub over_time: Vec<Sample>,
    /// What went over the connections while all were up; `None` for a server, or if they never were.
    pub steady: Option<Steady>,
    /// Latencies at the percentiles that were asked for.
    pub latencies: Vec<LatencyAt>,
    /// What a search for the highest message rate came to, if there was one.
    pub best_rate: Option<BestRate>,
}

/// The highest message rate at which latency stays under a bound.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestRate {
    /// The bound as the user wrote it.
    pub bound: String,
    /// The percentile of latency that stays under it.
    pub percentile: f64,
    /// Messages a second on each connection; `None` if the search found none.
    pub per_s: Option<f64>,
}

/// What went over the connections from when all were up to the end of the hold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steady {
    /// How long that was.
    pub seconds: f64,
    /// Connections that were open at its end and that this side had opened.
    pub opened: u64,
    /// Connections that were open at its end and that this process had accepted.
    pub accepted: u64,
    /// What went over those that were opened.
    pub traffic: Traffic,
    /// What went over those that were accepted.
    pub accepted_traffic: Option<Traffic>,
    /// Whether messages had markers: then those received are counted by them.
    pub marked: bool,
}

/// What a latency is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LatencyOf {
    /// From the start of an attempt to connect to its success.
    Connect,
    /// From a connection's coming up to the first byte on it.
    FirstByte,
    /// From when a message was due to its answer.
    Message,
}

/// A latency at the percentiles that were asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LatencyAt {
    /// What it is of.
    pub of: LatencyOf,
    /// How many were measured.
    pub count: u64,
    /// The least, in microseconds; `None` if none was measured.
    pub min_us: Option<f64>,
    /// The mean.
    pub mean_us: Option<f64>,
    /// The greatest.
    pub max_us: Option<f64>,
    /// At each percentile, in the order in which they were asked for.
    pub at: Vec<AtPercentile>,
}

/// One percentile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtPercentile {
    /// As it was written: `99.5`.
    pub percentile: String,
    /// Microseconds; `None` if none was measured.
    pub us: Option<f64>,
}

impl LatencyAt {
    /// That of `all` at `percentiles`.
    pub fn of(of: LatencyOf, all: &Durations, percentiles: &[Percentile]) -> LatencyAt {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        LatencyAt {
            of,
            count: all.count(),
            min_us: all.percentile(0.0).map(us),
            mean_us: all.mean().map(us),
            max_us: all.percentile(100.0).map(us),
            at: percentiles
                .iter()
                .map(|p| AtPercentile {
                    percentile: p.written().to_owned(),
                    us: all.percentile(p.value()).map(us),
                })
                .collect(),
        }
    }
}

/// The most samples a summary holds. A longer run is thinned by joining neighbours.
pub const MAX_SAMPLES: usize = 600;

impl Summary {
    /// The exit code that belongs to it: 0 as asked, 1 it fell short, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match (self.interrupted, self.reached) {
            (true, _) => 130,
            (false, true) => 0,
            (false, false) => 1,
        }
    }
}

/// Collects [`Sample`]s from snapshots, thinning them as the run gets long.
#[derive(Debug, Default)]
pub struct Samples {
    kept: Vec<Sample>,
    /// How many snapshots one kept sample stands for.
    stride: u32,
    from: Tally,
    from_s: f64,
    pending: u32,
}

impl Samples {
    /// Takes note of the counts at `elapsed`.
    pub fn push(&mut self, elapsed: Duration, now: &Tally) {
        self.pending += 1;
        if self.pending < self.stride {
            return;
        }
        self.pending = 0;
        let at_s = elapsed.as_secs_f64();
        let seconds = (at_s - self.from_s).max(1e-9);
        let d = now.since(&self.from);
        let per_s = |n: u64| n as f64 / seconds;
        self.kept.push(Sample {
            at_s,
            open: now.open(),
            established_per_s: per_s(d.established + d.accepted),
            failed_per_s: per_s(d.failed_in_all()),
            messages_per_s: per_s(if d.messages_sent > 0 {
                d.messages_sent
            } else {
                d.reads
            }),
            sent_per_s: per_s(d.bytes_sent),
            received_per_s: per_s(d.bytes_received),
        });
        (self.from, self.from_s) = (*now, at_s);
        if self.kept.len() >= MAX_SAMPLES {
            self.thin();
        }
    }

    /// Joins each two neighbours into one.
    fn thin(&mut self) {
        let mut before = 0.0;
        self.kept = self
            .kept
            .chunks(2)
            .map(|pair| {
                let last = pair[pair.len() - 1];
                let total = (last.at_s - before).max(1e-9);
                let mut start = before;
                let mut mean = Sample {
                    established_per_s: 0.0,
                    failed_per_s: 0.0,
                    messages_per_s: 0.0,
                    sent_per_s: 0.0,
                    received_per_s: 0.0,
                    ..last
                };
                for s in pair {
                    let share = (s.at_s - start) / total;
                    mean.established_per_s += s.established_per_s * share;
                    mean.failed_per_s += s.failed_per_s * share;
                    mean.messages_per_s += s.messages_per_s * share;
                    mean.sent_per_s += s.sent_per_s * share;
                    mean.received_per_s += s.received_per_s * share;
                    start = s.at_s;
                }
                before = last.at_s;
                mean
            })
            .collect();
        self.stride = self.stride.max(1) * 2;
    }

    /// The samples so far.
    pub fn into_vec(self) -> Vec<Sample> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;

    #[test]
    fn samples_of_a_long_run_are_thinned_and_still_add_up() {
        let counters = Counters::default();
        let mut samples = Samples::default();
        for second in 1..=5000u64 {
            counters.established.add(second % 7);
            samples.push(Duration::from_secs(second), &counters.read());
        }
        let all = samples.into_vec();
        assert!(all.len() < MAX_SAMPLES && all.len() > MAX_SAMPLES / 4);
        let mut before = 0.0;
        let mut total = 0.0;
        for s in &all {
            total += s.established_per_s * (s.at_s - before);
            before = s.at_s;
        }
        let counted: u64 = (1..=before as u64).map(|s| s % 7).sum();
        assert!((total - counted as f64).abs() < 1e-3, "{total} {counted}");
    }
}
