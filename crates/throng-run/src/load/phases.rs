//! The phases of a load: opening and holding. `maximum.rs` opens as many as can be held,
//! `keeping.rs` as many as keep objectives; `searching.rs` tries rates instead of
//! holding one, `window.rs` windows over which connections come back; `ending.rs` is draining and
//! closing; `far_ends.rs` and `unread.rs` look at what the other end shows.

mod ending;
mod far_ends;
mod keeping;
mod maximum;
mod searching;
mod unread;
mod window;

use super::evidence::Before;
use super::hold::Hold;
use super::server::ServerWatch;
use super::standing::Standing;
use super::storming::Storming;
use super::turning::Turning;
use crate::Failure;
use crate::asked;
use crate::attached::Barrier;
use crate::behave::LoadBehaviours;
use crate::dial::Dial;
use crate::recording::{self, Carried};
use crate::side::Side;
use crate::watch::{AT_REST, TICK, Watch};
use std::collections::BTreeSet;
use std::io::BufRead;
use std::time::{Duration, Instant};
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::{self, Diagnosis, Evidence};
use throng_core::observer::Note;
use throng_core::plan::{LoadPlan, Most};
use throng_core::record::{Ending, Mark, Phase, RateChange, Record, churn};
use throng_core::scenario::{self, Connections, LoadScenario, SteadyFrom};
use throng_core::stats::{Closed, OfAddress, Tally};
use throng_core::summary::LatencyReport;
use throng_engine::Order;
use throng_host::memory::BoundBy;

/// How long before its instant an order is given, so that it reaches all workers in time.
const AHEAD: Duration = Duration::from_millis(5);
/// As tcpkali, the interval between looks while connections are opened: tcpkali's counts begin with the last
/// connection.
const SOON: Duration = Duration::from_millis(1);
/// How long, beyond the connect timeout, a run goes on without progress.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a run waits for what a peer closes, once it opens nothing more.
const SETTLE: Duration = Duration::from_millis(1200);

/// A load under way.
pub(crate) struct Run<'a> {
    watch: Watch<'a>,
    scenario: &'a LoadScenario,
    plan: &'a LoadPlan,
    before: Before<'a>,
    behaviours: &'a LoadBehaviours<'a>,
    sides: Sides,
    /// The latencies that are to be reported.
    latencies: &'a LatencyReport,
    /// What the target's server uses, if it is on this machine.
    server: Option<ServerWatch>,
    /// Lines that the rate follows, if the scenario asks for that.
    profile: Option<Box<dyn BufRead + Send>>,
    asked: u64,
    /// What is known so far about its ending.
    ending: Ending,
    /// Whether the text that ends the run was received.
    stop_seen: bool,
    /// Whether a hold without an end was ended by a stop, as it is to be.
    released: bool,
    /// Messages that lines of a profile asked for.
    lines: Option<f64>,
    /// Looks at which the last messages, of a number in all, had been sent and answered.
    done: u32,
    /// A rate that can be changed by hand.
    turning: Option<Turning>,
    /// What pauses opening.
    dial: Option<Dial>,
    /// What keeps it in step with other parts of the same run.
    barrier: Option<Box<dyn Barrier + 'a>>,
    /// Since when opening is paused.
    paused: Option<Duration>,
    /// Whether connections stand once they are established.
    standing: Standing,
    /// Storms of the hold.
    storming: Storming,
    /// The most connections that may be opened, if the run is to find out how many can be held.
    most: Option<Finds>,
}

/// What a run is to find that finds out how many connections can be held.
pub(crate) struct Finds {
    /// As asked for.
    pub asked: Connections,
    /// The most that may be opened.
    pub most: Most,
}

/// The workers of a run.
pub(crate) struct Sides {
    /// The workers that open connections.
    pub clients: Side,
    /// The workers of the server in this process (`--self`).
    pub server: Option<Side>,
    /// The workers that accept connections (`-l`).
    pub accepted: Option<Side>,
    /// The ports that connections are opened to.
    pub ports: BTreeSet<u16>,
}

impl Sides {
    fn all(&self) -> impl Iterator<Item = &Side> {
        let others = self.server.iter().chain(&self.accepted);
        std::iter::once(&self.clients).chain(others)
    }

    /// The counts of connections that this process accepted.
    fn accepted(&self) -> Option<Tally> {
        self.server
            .as_ref()
            .or(self.accepted.as_ref())
            .map(Side::tally)
    }
}

impl<'a> Run<'a> {
    /// The run of `scenario`, whose workers have started.
    pub fn new(
        mut watch: Watch<'a>,
        scenario: &'a LoadScenario,
        plan: &'a LoadPlan,
        before: Before<'a>,
        behaviours: &'a LoadBehaviours<'a>,
        sides: Sides,
        latencies: &'a LatencyReport,
    ) -> Run<'a> {
        for side in sides.all() {
            watch.follow(&side.outlets);
        }
        if scenario.pace.sending.search().is_some() || scenario.connect.find_rate {
            watch.keep_trials();
        }
        Run {
            watch,
            scenario,
            plan,
            before,
            behaviours,
            latencies,
            profile: None,
            asked: scenario.own_connections().into(),
            sides,
            server: None,
            ending: Ending::default(),
            stop_seen: false,
            released: false,
            lines: None,
            done: 0,
            turning: None,
            dial: None,
            barrier: None,
            paused: None,
            standing: Standing::default(),
            storming: Storming::new(scenario),
            most: None,
        }
    }

    /// The same, to find out how many connections can be held.
    pub fn finding(mut self, most: Option<Finds>) -> Run<'a> {
        if most.is_some() {
            self.watch.keep_trials();
        }
        Run { most, ..self }
    }

    /// The same, with the target's server watched.
    pub fn watching(self, server: Option<ServerWatch>) -> Run<'a> {
        Run { server, ..self }
    }

    /// The same, whose rate follows the lines of `profile`, if the scenario asks for that.
    pub fn following(self, profile: Option<Box<dyn BufRead + Send>>) -> Run<'a> {
        Run { profile, ..self }
    }

    /// The same, with a rate that can be changed by hand.
    pub fn turned_by(mut self, turning: Option<Turning>) -> Run<'a> {
        self.watch.dialled_per_s = turning.as_ref().map(|turning| turning.per_s);
        Run { turning, ..self }
    }

    /// The same, whose opening can be paused by hand.
    pub fn paused_by(self, dial: Option<Dial>) -> Run<'a> {
        Run { dial, ..self }
    }

    /// The same, in step with other parts of the same run.
    pub fn in_step_with(self, barrier: Option<Box<dyn Barrier + 'a>>) -> Run<'a> {
        Run { barrier, ..self }
    }

    /// Conducts the run until all is closed, and returns its record.
    pub fn conduct(mut self) -> Result<Record, Failure> {
        let to_hold = match (self.most.take(), self.scenario.connections.objectives()) {
            (Some(most), Some(objectives)) => self.find_most_keeping(&most, &objectives),
            (Some(most), None) => self.find_maximum(most),
            (None, _) => self.open() && self.wait_for_others(),
        };
        self.ending.paused_at_end = self.paused.is_some();
        self.end_pause();
        if self.asked > 0 && !self.watch.stopped() && !self.stop_seen {
            let limit = self.scenario.connect.within;
            let took = self.watch.clock.elapsed();
            self.watch.note(&Note::Ramped {
                asked: self.asked,
                all: self.watch.peak.min(self.ending.ready_peak) >= self.asked,
                limit: limit.or(self.scenario.hold.length()).unwrap_or(took),
            });
        }
        self.ending.opening_strain = self.watch.end_strain();
        let opened = self.opened();
        // What was read in between took time in which nothing was due.
        self.watch.end_strain();
        let before = self.before_keeping().filter(|_| to_hold);
        let held = if to_hold { self.hold()? } else { opened };
        if let Some(before) = before {
            self.confirm(&before);
        }
        self.ending.hold_strain = self.watch.end_strain();
        self.note_answered(&held.opened);
        // At once: looking at servers takes time, in which nothing more is to be begun.
        self.stop_traffic();
        if to_hold {
            self.look_at_servers(&opened, &held);
        }
        self.ending.held = Some(held);
        for dropping in self.storming.left() {
            let line = format!("--drop {dropping} did not happen: the hold was over before");
            self.watch.note(&Note::Trouble(line));
        }
        let quiet = Storming::new(self.scenario);
        self.ending.storms = std::mem::replace(&mut self.storming, quiet).finish();
        self.ending.by_address = self.by_address();
        // Some may have been established since the last look.
        self.ending.peak = self.watch.peak_with(held.opened.open());
        self.ending.ready_peak = self.ending.ready_peak.max(held.opened.ready_now());
        self.note_server();
        self.drain();
        self.close()
    }

    /// What became of connections by address, if there are several. An address that occurs twice counts once.
    fn by_address(&self) -> Vec<OfAddress> {
        let targets = self.scenario.targets.iter();
        let addresses =
            targets.flat_map(|target| target.addresses.iter().map(move |at| (at, target)));
        let mut all: Vec<OfAddress> = Vec::new();
        for (place, (at, target)) in addresses.enumerate() {
            let workers = self.sides.clients.by_address.iter();
            let mut counts = workers.filter_map(|counts| counts.get(place)).peekable();
            if counts.peek().is_none() {
                continue;
            }
            let known = all.iter().position(|known| known.address == *at);
            let known = known.unwrap_or_else(|| {
                all.push(OfAddress::new(*at, target.spec.to_string()));
                all.len() - 1
            });
            counts.for_each(|counts| all[known].count(counts));
        }
        all
    }

    /// A tick of the watch, up to `look` at the latest. Returns the state of the run, and whether it goes on.
    fn step(
        &mut self,
        phase: Phase,
        ends: Option<Duration>,
        look: Option<Duration>,
    ) -> (Mark, bool) {
        let bound = self.scenario.duration;
        let stops = self.scenario.measure.stop_at.is_some();
        let known = ends.or(look).is_some() || self.scenario.hold == scenario::Hold::Forever;
        let rests = known && !stops && !self.storming.is_restless();
        let most = match phase {
            _ if self.scenario.pace.requests.is_some() => SOON,
            Phase::Holding if rests => AT_REST,
            Phase::Opening if self.scenario.measure.steady_from == SteadyFrom::Begun => SOON,
            _ => TICK,
        };
        if most == AT_REST {
            self.watch.control.wake_on_loss();
        }
        let until = ends.into_iter().chain(bound).chain(look).min();
        self.watch.tick(most, until);
        self.follow_dial();
        self.follow_pause(phase);
        let mark = self.mark();
        let (at, clients, accepted) = (mark.at, mark.opened, mark.accepted);
        let left = ends.into_iter().chain(bound).min();
        let left = left.map(|e| e.saturating_sub(at));
        self.look(&mark, phase, left);
        self.ending.ready_peak = self.ending.ready_peak.max(clients.ready_now());
        self.standing.look(at, &clients);
        if phase == Phase::Holding {
            let lost = self.watch.control.woken_at();
            self.storming
                .look(at, &clients, Duration::from_nanos(lost.0));
        }
        self.count_requests(&mark);
        let accepted = accepted.unwrap_or_default();
        self.ending.timed_out |= bound.is_some_and(|b| at >= b);
        self.stop_seen |= clients.stops_seen + accepted.stops_seen > 0;
        let died = self
            .sides
            .all()
            .flat_map(|s| &s.threads)
            .any(|t| t.is_finished());
        // What is no echo answers nothing: a loop that goes on with it measures nothing.
        let in_vain = self.behaviours.loops_by_echoes()
            && clients.excess_echoes + clients.differing_echoes > 0;
        self.ending.in_vain |= in_vain;
        let over =
            self.ending.timed_out || self.stop_seen || died || in_vain || self.watch.stopped();
        (mark, !over)
    }

    /// Gives the observers what is due to them at `mark`.
    fn look(&mut self, mark: &Mark, phase: Phase, left: Option<Duration>) {
        let (opened, accepted) = (Some(mark.opened), mark.accepted);
        self.watch.look(mark.at, phase, left, opened, accepted);
        if self.watch.wants_record() {
            let record = self.so_far(mark);
            self.watch.tell_record(&record);
        }
    }

    /// The record that the run would have if it was over at `mark`.
    fn so_far(&self, mark: &Mark) -> Record {
        let mut ending = Ending {
            over: *mark,
            closed: mark.opened,
            peak: self.watch.peak_with(mark.opened.open()),
            secured: self.last_secured(),
            cpu_quota_cores: self.watch.strain.quota_cores(),
            ..self.ending.clone()
        };
        match ending.opened {
            None => ending.established = self.sides.clients.last_up(),
            Some(_) => ending.held = ending.held.or(Some(*mark)),
        }
        recording::so_far(&self.watch, self.carried(&ending), ending)
    }

    /// When the last TLS handshake was done.
    fn last_secured(&self) -> Duration {
        let sides = self.sides.all().map(Side::last_secured);
        sides.max().unwrap_or_default()
    }

    /// How the run was carried out until `ending`.
    fn carried(&self, ending: &Ending) -> Carried<'a> {
        let hold = ending.sent.or(ending.held).map_or(Duration::ZERO, |held| {
            held.at.saturating_sub(ending.opened.unwrap_or_default().at)
        });
        let (scenario, latencies) = (self.scenario, self.latencies);
        let messages = self.messages_asked(ending);
        Carried {
            asked: asked::of_load(
                scenario,
                self.behaviours,
                latencies,
                hold,
                messages,
                self.asked,
                self.plan.ports.as_ref(),
            ),
            engine: self.plan.engine,
            why_epoll: self.plan.why_epoll.as_deref(),
            workers: self.plan.workers,
        }
    }

    /// Takes note of whether all messages, of a number in all, are sent and answered at `mark`.
    fn count_requests(&mut self, mark: &Mark) {
        let Some(requests) = self.scenario.own_requests() else {
            return;
        };
        let now = &mark.opened;
        if now.shares_spent < requests.min(self.plan.workers).into() {
            return;
        }
        self.ending.sent.get_or_insert(*mark);
        // Without answers a message is done once the kernel has taken it, or its connection is gone.
        let kind = self.scenario.protocol.kind();
        let under_way = match self.behaviours.matches_answers() || self.behaviours.loops() {
            true => now.waiting(),
            false if now.closed_in_all() > 0 => 0,
            false => u64::from(requests).saturating_sub(kind.requested(now)),
        };
        // Counts of several workers are not read at one instant.
        self.done = if under_way == 0 { self.done + 1 } else { 0 };
    }

    /// Whether all messages, of a number in all, were sent and answered, or have failed.
    fn requests_are_done(&self) -> bool {
        self.done > 1
    }

    /// Whether connections come and go all the time, as the protocol allows.
    fn churns(&self, now: &Tally) -> bool {
        churn(self.scenario.protocol.kind(), self.asked, now)
    }

    /// Changes the rate if that was asked for.
    fn follow_dial(&mut self) {
        let from = self.watch.clock.now() + AHEAD;
        let Some(turning) = &mut self.turning else {
            return;
        };
        if let Some((steer, change)) = turning.turned(from) {
            self.watch.dialled_per_s = Some(turning.per_s);
            self.watch.control.steer(steer);
            self.ending.rate_changes.push(change);
        }
    }

    /// Pauses opening, or has it go on, if that was asked for. Once opening is over a pause would keep lost connections from
    /// being opened again, as if it was the peer's doing.
    fn follow_pause(&mut self, phase: Phase) {
        let dial = self.dial.as_ref().filter(|_| phase == Phase::Opening);
        let wanted = dial.is_some_and(Dial::is_paused);
        match wanted {
            true if self.paused.is_none() => {
                self.paused = Some(self.watch.clock.elapsed());
                self.watch.control.give(Order::PauseOpening);
                self.watch.note(&Note::OpeningPaused);
            }
            false if self.paused.is_some() => {
                let took = self.end_pause();
                self.watch.note(&Note::OpeningGoesOn { paused: took });
            }
            _ => {}
        }
    }

    /// Ends a pause, if there is one. Returns how long it was.
    fn end_pause(&mut self) -> Duration {
        let Some(since) = self.paused.take() else {
            return Duration::ZERO;
        };
        self.watch.control.withdraw_pause();
        let took = self.watch.clock.elapsed().saturating_sub(since);
        self.ending.opening_paused += took;
        took
    }

    /// The messages that were asked for during the hold, if the rate was not constant.
    fn messages_asked(&self, ending: &Ending) -> Option<f64> {
        if ending.rate_changes.is_empty() {
            return self.lines;
        }
        let began = ending.sending.or(ending.opened)?.at;
        let ended = ending.sent.or(ending.held)?.at;
        Some(RateChange::messages(&ending.rate_changes, began, ended))
    }

    /// Waits until all connections are established, or it is clear that they will not be. Returns whether to hold.
    fn open(&mut self) -> bool {
        let patience = self.patience();
        let mut progress = (Duration::ZERO, 0);
        loop {
            let (mark, goes_on) = self.step(Phase::Opening, None, None);
            let (at, now) = (mark.at, mark.opened);
            if !goes_on {
                return false;
            }
            if now.open() + now.in_flight() < self.asked {
                self.ending.last_attempt = Some(mark);
            }
            // The most at once: sums over connections that close and are opened again would grow for ever.
            let got = self.watch.peak + self.ending.ready_peak;
            if got > progress.1 {
                progress = (at, got);
            }
            if self.paused.is_some() {
                // Nobody is to blame for what is not opened yet, and the hold does not begin before all can be.
                progress.0 = at;
                continue;
            }
            if self.churns(&now) && now.ready >= self.asked {
                // Not all are open at one instant, as each is closed in its turn.
                self.ending.opened = Some(mark);
                return true;
            }
            let stalled = at > progress.0 + patience;
            if now.open() >= self.asked
                && self.all_ready(&now)
                && (stalled || !self.unfinished(now.open()))
            {
                // What ends from here on is lost in the hold.
                self.ending.opened = Some(mark);
                return true;
            }
            let tried_all = !self.scenario.connect.reconnect
                && now.attempted >= self.asked
                && now.in_flight() == 0;
            let stopped = self.watch.guard.stopped_at.is_some() && now.in_flight() == 0;
            let hopeless = self.is_hopeless(at, &now);
            self.ending.too_slow = self
                .scenario
                .connect
                .within
                .is_some_and(|l| at >= l + self.ending.opening_paused);
            if self.ending.too_slow {
                self.stop_opening();
                return false;
            }
            if tried_all || stopped || stalled || hopeless {
                self.stop_opening();
                let (at, now) = self.settled(at, now);
                self.ending.causes = self.diagnose(at, &now);
                return now.open() > 0 && !stalled;
            }
        }
    }

    /// Waits until other parts of the run have opened their connections, too. Returns whether to hold.
    fn wait_for_others(&mut self) -> bool {
        let Some(mut barrier) = self.barrier.take() else {
            return true;
        };
        loop {
            let now = Instant::now();
            let left = barrier.holds().map(|at| at.saturating_duration_since(now));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            let look = left.map(|left| self.watch.clock.elapsed() + left);
            let (_, goes_on) = self.step(Phase::Opening, None, look);
            if !goes_on {
                return false;
            }
        }
        // The hold begins now.
        if let Some(opened) = self.ending.opened {
            self.ending.opened = Some(Mark {
                cpu: opened.cpu,
                ..self.mark()
            });
        }
        true
    }

    /// Has nothing more opened. From here on there is nothing to pause.
    fn stop_opening(&mut self) {
        self.watch.control.give(Order::StopOpening);
        self.dial = None;
    }

    /// How long a run goes on without progress.
    fn patience(&self) -> Duration {
        self.scenario.connect.timeout + self.longest_wait()
    }

    /// How long it may take until connections that failed or closed are tried again.
    fn longest_wait(&self) -> Duration {
        PATIENCE.max(self.scenario.connect.reconnect_policy.longest())
    }

    /// Whether no connection ever stood, and each was refused, one way or another, several times.
    fn is_hopeless(&self, at: Duration, now: &Tally) -> bool {
        at >= self.longest_wait() && self.asked > 0 && self.standing.is_hopeless(now, self.asked)
    }

    /// The counts once nothing more is opened, and what a peer closes at once is closed: what stays is what it holds.
    fn settled(&mut self, at: Duration, now: Tally) -> (Duration, Tally) {
        let (mut at, mut now) = (at, now);
        let closed = |t: &Tally| t.closed(Closed::ByPeer) + t.closed(Closed::ResetByPeer);
        let until = at + SETTLE;
        while closed(&now) > 0 && at < until {
            let (mark, goes_on) = self.step(Phase::Opening, None, Some(until));
            (at, now) = (mark.at, mark.opened);
            if !goes_on {
                break;
            }
        }
        (at, now)
    }

    /// Whether as many connections as were asked for can carry messages now, and a server in this process has
    /// accepted all.
    fn all_ready(&self, now: &Tally) -> bool {
        let server = self.sides.server.as_ref().map(Side::tally);
        server.is_none_or(|s| s.open() >= self.asked) && now.ready_now() >= self.asked
    }

    /// The limits that kept the run from opening all connections, as far as they show while connections are open.
    fn diagnose(&mut self, at: Duration, now: &Tally) -> Vec<Diagnosis> {
        diagnosis::diagnose(&self.evidence(at, now))
    }

    /// What is known of a limit that the run has met by now.
    fn evidence(&mut self, at: Duration, now: &Tally) -> Evidence {
        let measured = self.watch.measured(at, *now, self.sides.accepted());
        let mut ages = measured.age_closed_by_peer;
        ages.absorb(measured.age_reset_by_peer);
        self.before.evidence(
            self.scenario,
            self.plan,
            now,
            self.watch.peak,
            ages.percentile(90.0),
            self.watch.guard.stopped_at.as_ref().map(|left| {
                let whose = match left.bound_by {
                    BoundBy::Machine => LimitKind::Memory,
                    BoundBy::Cgroup(_) => LimitKind::CgroupMemory,
                };
                (left.bytes, whose)
            }),
        )
    }

    /// The state of the run now.
    fn mark(&self) -> Mark {
        // In this order: nothing is received before it is sent, also where this thread has to wait in between.
        let at = self.watch.clock.elapsed();
        let accepted = self.sides.accepted();
        Mark {
            at,
            accepted,
            opened: self.sides.clients.tally(),
            cpu: self.watch.meter.cpu(),
        }
    }

    /// Records the state of the run at the end of opening.
    fn opened(&mut self) -> Mark {
        let mark = self.ending.opened.unwrap_or_else(|| self.mark());
        let ends = self.plan.ends_here;
        let expected = ends.map(|ends| self.sides.clients.tally().open() * ends);
        let kernel_sockets = self.watch.meter.note_kernel(expected, &self.sides.ports);
        // It has no effect if there is traffic already. It is a moment ahead, so that it reaches all in time.
        let now = self.watch.clock.now();
        // The arrivals of the whole run begin after the delay, as the connections do.
        let delay = match self.scenario.pace.sending.run_rate() {
            Some(_) => self.scenario.pace.delay,
            None => Duration::ZERO,
        };
        self.watch.control.start_traffic(now + AHEAD + delay);
        self.note_server();
        self.look_for_stopped(|stopped| stopped.at_begin = true);
        self.ending.opened = Some(mark);
        self.ending.established = self.sides.clients.last_up();
        // Where connections come and go all the time, both counts are of another moment.
        let of_tcp = self.plan.routes.unix().is_empty();
        let kernel_sockets = kernel_sockets.filter(|_| of_tcp && !self.churns(&mark.opened));
        self.ending.kernel_sockets = kernel_sockets;
        self.ending.expected_sockets = kernel_sockets.and(expected);
        mark
    }

    /// Has the memory of the target's server read, while its connections are open.
    fn note_server(&self) {
        if let Some(server) = &self.server {
            server.note();
        }
    }

    /// Holds connections for as long as asked for, unless all are lost. Returns the state at its end.
    fn hold(&mut self) -> Result<Mark, Failure> {
        if self.scenario.pace.sending.search().is_some() {
            return Ok(self.search());
        }
        if self.scenario.connect.find_window {
            return Ok(self.find_window());
        }
        if self.scenario.connect.find_rate {
            return Ok(self.find_connect_rate());
        }
        let watch = &self.watch;
        let hold = Hold::begin(
            self.scenario,
            &watch.control,
            watch.clock,
            self.profile.take(),
        );
        let began = self.watch.clock.elapsed();
        let mut last_open = began;
        let mut opens = true;
        let mut delay = Some(self.scenario.pace.delay)
            .filter(|delay| !delay.is_zero())
            .map(|delay| last_open + delay);
        loop {
            let until = hold.end();
            let drops = self.storming.next(began);
            let look = delay.into_iter().chain(drops).min();
            let (mark, goes_on) = self.step(Phase::Holding, until, look);
            let (at, now) = (mark.at, mark.opened);
            self.storming.drop_due(began, &mark, &self.watch.control);
            if delay.take_if(|over| at >= *over).is_some() {
                self.ending.sending = Some(self.mark());
            }
            if opens && self.ending.sent.is_some() {
                // A connection that is opened from now on would have nothing to send.
                self.watch.control.give(Order::StopOpening);
                opens = false;
            }
            if now.open() > 0 || self.asked == 0 {
                last_open = at;
            }
            // None is left, and none will come back: at once if that was not wanted, else when it took too long.
            let accepted = mark.accepted.unwrap_or_default().open();
            let none = self.asked > 0 && now.open() + now.in_flight() + accepted == 0;
            let lost = none && !self.scenario.connect.reconnect
                || at > last_open + self.patience()
                || self.is_hopeless(at, &now);
            let done = self.requests_are_done();
            if !goes_on || until.is_some_and(|u| at >= u) || lost || done {
                let to_be_ended = hold.is_forever() && self.scenario.pace.requests.is_none();
                self.released = to_be_ended && self.watch.stopped();
                self.lines = hold.asked();
                if let Some(trouble) = hold.trouble() {
                    self.watch.note(&Note::Trouble(trouble.clone()));
                    self.ending.bad_profile = Some(trouble);
                }
                return Ok(self.mark());
            }
        }
    }
}
