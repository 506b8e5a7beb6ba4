//! The idle timeout of a path: many connections at once, each silent for another time.

use super::near::{Missing, Near, Said};
use crate::{Failure, Stop};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use throng_core::human;
use throng_core::probe::idle::{
    Bracket, Evidence, Heard, IdleResult, KeepaliveTrial, MOST_SILENCES, Speaker, Trial,
    is_settled, keepalives, silences, silences_up_to, timeout_from,
};
use throng_core::probe::{Answer, Fate, Name, Request};
use throng_core::scenario::Keepalive;
use throng_engine::SocketOptions;

/// Connections that are opened per second: a path that bounds new flows is not what is looked for.
const PER_SECOND: u32 = 500;
/// Keepalives without an answer after which the kernel gives a connection up: more than a timeout can swallow.
const KEEPALIVE_PROBES: u8 = 100;
/// The far end is asked for so many of the connections that were lost, at most.
const ASKED_FOR: usize = 40;
/// How much longer than the shortest silence that was lost connections with keepalives are silent.
const OUTLASTED_BY: Duration = Duration::from_millis(500);
/// How often progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// If one in so many connections or more does not come up, silence is not what is measured.
const FEW_UP: usize = 10;

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// The far end, or what leads to it.
    pub target: SocketAddr,
    /// A random number for this run.
    pub run: u64,
    /// The longest timeout that is looked for, in whole seconds.
    pub up_to: Duration,
    /// How long an answer may take; after that it counts as silence.
    pub within: Duration,
}

/// What a connection is there for.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// To be silent for this long, and then spoken on.
    Silence(Speaker, u64),
    /// To be silent with keepalives every so many seconds.
    Keepalive(Speaker, u64),
}

impl Purpose {
    fn speaker(self) -> Speaker {
        match self {
            Purpose::Silence(speaker, _) | Purpose::Keepalive(speaker, _) => speaker,
        }
    }
}

struct Conn {
    purpose: Purpose,
    name: Option<Name>,
    /// Which of several servers it leads to.
    server: u64,
    /// When the last byte passed; `None` until the far end has answered.
    quiet_since: Option<Instant>,
    /// When the silence was to end, and whether it has.
    spoken: Option<Instant>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Speak,
    GiveUp,
}

/// A pass of the search, under way.
struct Pass<'a, 'b> {
    near: &'a mut Near<'b>,
    asked: Idle,
    conns: HashMap<u64, Conn>,
    due: BinaryHeap<Reverse<(Instant, u64, Step)>>,
    trials: HashMap<Speaker, Vec<Trial>>,
    lost: Vec<(Speaker, Name, u64)>,
    keepalives: Vec<KeepaliveTrial>,
    refused: Option<io::Error>,
    not_up: usize,
}

/// Finds the idle timeout of the path to a far end. `tell` is given a line of progress now and then. `None` if it was stopped
/// before anything was known.
///
/// # Errors
/// There is no far end; connections do not come up; this process may not have as many.
pub fn idle(
    asked: &Idle,
    stop: &Stop,
    tell: &mut dyn FnMut(&str),
) -> Result<Option<IdleResult>, Failure> {
    let _ = throng_host::limits::raise_soft_to_hard();
    let mut near = Near::new(asked.run, stop)?;
    let began = Instant::now();
    match near.greeted(asked.target, asked.within)? {
        Ok(greeted) => near.close(greeted.flow),
        Err(Missing::Stopped) => return Ok(None),
        Err(missing) => return Err(missing.of(asked.target, asked.within)),
    }
    let up_to_s = asked.up_to.as_secs();
    let coarse = silences_up_to(up_to_s);
    let mut evidence = pass(&mut near, asked, [&coarse, &coarse], tell)?;
    let fine = |trials: &[Trial]| {
        let (from, to) = (Bracket::of(trials).survived_ms, timeout_from(trials)?);
        (to - from > 1000).then(|| silences(from.div_ceil(1000), to.div_ceil(1000)))
    };
    let (near_fine, far_fine) = (fine(&evidence.near), fine(&evidence.far));
    if !near.is_stopped() && up_to_s > MOST_SILENCES {
        let of = |fine: Option<Vec<u64>>| fine.unwrap_or_default();
        let (near_fine, far_fine) = (of(near_fine), of(far_fine));
        if !near_fine.is_empty() || !far_fine.is_empty() {
            tell("to the second, between the silences that were survived and lost");
            let finer = pass(&mut near, asked, [&near_fine, &far_fine], tell)?;
            evidence.near.extend(finer.near);
            evidence.far.extend(finer.far);
            evidence.fates.extend(finer.fates);
        }
    }
    if evidence.near.is_empty() && evidence.far.is_empty() {
        return Ok(None);
    }
    evidence.up_to_s = up_to_s;
    evidence.took_ms = began.elapsed().as_millis() as u64;
    evidence.interrupted = near.is_stopped();
    Ok(Some(IdleResult::of(evidence)))
}

/// Tries the silences of the near and the far end's words, all at once.
fn pass(
    near: &mut Near,
    asked: &Idle,
    of_ends: [&[u64]; 2],
    tell: &mut dyn FnMut(&str),
) -> Result<Evidence, Failure> {
    let mut pass = Pass {
        near,
        asked: *asked,
        conns: HashMap::new(),
        due: BinaryHeap::new(),
        trials: HashMap::from([(Speaker::Near, Vec::new()), (Speaker::Far, Vec::new())]),
        lost: Vec::new(),
        keepalives: Vec::new(),
        refused: None,
        not_up: 0,
    };
    pass.open_all(of_ends)?;
    let began = Instant::now();
    let mut told = Instant::now();
    while !pass.near.is_stopped() && !pass.is_settled(began.elapsed()) {
        pass.step(Instant::now() + Duration::from_millis(100))?;
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            tell(&pass.progress(began.elapsed()));
        }
    }
    pass.too_few_up()?;
    if !pass.near.is_stopped() {
        pass.try_keepalives()?;
    }
    let fates = pass.fates()?;
    let mut of = |speaker| pass.trials.remove(&speaker).unwrap_or_default();
    let (of_near, of_far) = (of(Speaker::Near), of(Speaker::Far));
    for flow in pass.conns.keys() {
        pass.near.close(*flow);
    }
    Ok(Evidence {
        near: of_near,
        far: of_far,
        fates,
        keepalives: pass.keepalives,
        ..Evidence::default()
    })
}

impl Pass<'_, '_> {
    /// Opens all connections, those with the longest silences first: they take longest.
    fn open_all(&mut self, of_ends: [&[u64]; 2]) -> Result<(), Failure> {
        let [near, far] = of_ends;
        let with = |speaker, all: &[u64]| -> Vec<Purpose> {
            let all = all.iter();
            all.map(|ms| Purpose::Silence(speaker, *ms)).collect()
        };
        let mut all = with(Speaker::Near, near);
        all.extend(with(Speaker::Far, far));
        all.sort_by_key(|purpose| match purpose {
            Purpose::Silence(_, ms) | Purpose::Keepalive(_, ms) => Reverse(*ms),
        });
        for interval in keepalives(self.asked.up_to.as_secs()) {
            for speaker in [Speaker::Near, Speaker::Far] {
                all.push(Purpose::Keepalive(speaker, interval));
            }
        }
        let began = Instant::now();
        for (nth, purpose) in (0u32..).zip(all) {
            let at = began + Duration::from_secs(1) * nth / PER_SECOND;
            while Instant::now() < at && !self.near.is_stopped() {
                self.step(at)?;
            }
            self.open(purpose)?;
        }
        Ok(())
    }

    fn open(&mut self, purpose: Purpose) -> Result<(), Failure> {
        let keepalive = match purpose {
            Purpose::Keepalive(_, interval) => Some(Keepalive {
                idle: Duration::from_secs(interval),
                interval: Some(Duration::from_secs(interval)),
                count: Some(KEEPALIVE_PROBES),
            }),
            Purpose::Silence(..) => None,
        };
        let options = SocketOptions {
            keepalive,
            ..SocketOptions::default()
        };
        match self.near.open(self.asked.target, None, None, &options) {
            Ok(flow) => {
                let conn = Conn {
                    purpose,
                    name: None,
                    server: 0,
                    quiet_since: None,
                    spoken: None,
                };
                self.conns.insert(flow, conn);
                Ok(())
            }
            Err(e) => Err(Failure::fault(format!(
                "can't open connection {}: {e}: this host's own limit (ulimit -n, ports), not the path; \
                 try a shorter --up-to",
                self.conns.len() + 1
            ))),
        }
    }

    /// Waits until something happens or is due, at most until `until`, and does what follows.
    fn step(&mut self, until: Instant) -> Result<(), Failure> {
        let due = self.due.peek().map(|Reverse((at, ..))| *at);
        let until = due.map_or(until, |due| due.min(until));
        for event in self.near.wait(until)? {
            if self.conns.contains_key(&event.flow) {
                self.on(event.flow, event.at, event.said);
            }
        }
        let now = Instant::now();
        while let Some(Reverse((at, flow, step))) = self.due.peek().copied() {
            if at > now {
                break;
            }
            self.due.pop();
            match step {
                Step::Speak => self.speak(flow, now),
                Step::GiveUp => self.heard(flow, Heard::Silence),
            }
        }
        Ok(())
    }

    fn on(&mut self, flow: u64, at: Instant, said: Said) {
        let within = self.asked.within;
        let Some(conn) = self.conns.get_mut(&flow) else {
            return;
        };
        match said {
            Said::Up => conn.name = Some(self.near.greet(flow)),
            Said::Failed(e) => {
                self.refused.get_or_insert(e);
                self.not_up += 1;
                self.conns.remove(&flow);
            }
            Said::Answer(Answer::Hello(greeting)) => {
                conn.quiet_since = Some(at);
                conn.server = greeting.server;
                if let Purpose::Silence(speaker, ms) = conn.purpose {
                    let silence = Duration::from_millis(ms);
                    match speaker {
                        Speaker::Near => {
                            self.due.push(Reverse((at + silence, flow, Step::Speak)));
                        }
                        Speaker::Far => {
                            let now = Instant::now();
                            conn.quiet_since = Some(now);
                            conn.spoken = Some(now + silence);
                            let after_ms = ms;
                            self.near.ask(
                                flow,
                                &Request::Say {
                                    after_ms,
                                    number: 0,
                                },
                            );
                            let deadline = now + silence + within;
                            self.due.push(Reverse((deadline, flow, Step::GiveUp)));
                        }
                    }
                }
            }
            Said::Answer(Answer::Echo(_) | Answer::Said(_)) => self.heard(flow, Heard::Answer),
            Said::Answer(_) => {}
            Said::Garbage => {
                self.not_up += 1;
                self.conns.remove(&flow);
            }
            Said::Ended(end) => {
                let silent = conn.spoken.is_none_or(|spoken| at < spoken);
                let quiet = conn.quiet_since.map(|since| at.duration_since(since));
                match quiet {
                    Some(quiet) if silent => {
                        let after = quiet.as_millis() as u64;
                        self.heard(flow, Heard::EndedSilent(end, after));
                    }
                    Some(_) => self.heard(flow, Heard::Ended(end)),
                    None => {
                        self.not_up += 1;
                        self.conns.remove(&flow);
                    }
                }
            }
        }
    }

    /// Ends a silence from this end.
    fn speak(&mut self, flow: u64, now: Instant) {
        let Some(conn) = self.conns.get_mut(&flow) else {
            return;
        };
        conn.spoken = Some(now);
        self.near.ask(flow, &Request::Echo(0));
        let deadline = now + self.asked.within;
        self.due.push(Reverse((deadline, flow, Step::GiveUp)));
    }

    /// It is known what became of a connection.
    fn heard(&mut self, flow: u64, heard: Heard) {
        let Some(conn) = self.conns.remove(&flow) else {
            return;
        };
        let speaker = conn.purpose.speaker();
        if heard != Heard::Answer
            && let (Some(name), Purpose::Silence(..)) = (conn.name, conn.purpose)
        {
            self.lost.push((speaker, name, conn.server));
        }
        match conn.purpose {
            Purpose::Silence(_, planned) => {
                // This end may have been late; the far end's own lateness is not known here.
                let silent = conn.spoken.zip(conn.quiet_since);
                let silent = silent.map(|(spoken, since)| spoken.duration_since(since));
                let actual = silent.map_or(planned, |silent| silent.as_millis() as u64);
                let trial = Trial {
                    silence_ms: actual.max(planned),
                    heard,
                };
                self.trials.entry(speaker).or_default().push(trial);
            }
            Purpose::Keepalive(speaker, interval_s) => self.keepalives.push(KeepaliveTrial {
                interval_s,
                speaker,
                survived: heard == Heard::Answer,
            }),
        }
        // What was lost stays open until the far end has been asked: closing it might tell the path.
        if heard == Heard::Answer {
            self.near.close(flow);
        }
    }

    fn left(&self, speaker: Speaker) -> usize {
        let of = |conn: &&Conn| matches!(conn.purpose, Purpose::Silence(s, _) if s == speaker);
        self.conns.values().filter(of).count()
    }

    fn is_settled(&self, elapsed: Duration) -> bool {
        let of = |speaker| {
            let trials = self.trials.get(&speaker).map_or(&[][..], Vec::as_slice);
            (trials, self.left(speaker))
        };
        is_settled(
            of(Speaker::Near),
            of(Speaker::Far),
            elapsed.as_millis() as u64,
        )
    }

    fn progress(&self, elapsed: Duration) -> String {
        let of = |speaker, who: &str| {
            let trials = self.trials.get(&speaker).map_or(&[][..], Vec::as_slice);
            let bracket = Bracket::of(trials);
            let survived = human::seconds(bracket.survived_ms as f64 / 1000.0);
            match bracket.lost_ms {
                Some(ms) => format!("{who} lost from {}", human::seconds(ms as f64 / 1000.0)),
                None => format!("{who} alive up to {survived}"),
            }
        };
        format!(
            "silent for {}; {}, {}",
            human::countdown(elapsed),
            of(Speaker::Near, "spoken on from here"),
            of(Speaker::Far, "from the far end")
        )
    }

    /// Refuses to conclude anything if many connections did not come up.
    fn too_few_up(&self) -> Result<(), Failure> {
        let known: usize = self.trials.values().map(Vec::len).sum();
        let all = known + self.conns.len() + self.keepalives.len() + self.not_up;
        if self.not_up * FEW_UP < all || all == 0 {
            return Ok(());
        }
        let why = self.refused.as_ref().map_or_else(
            || "they ended before the far end answered".to_owned(),
            super::refused,
        );
        Err(Failure::fault(format!(
            "{}: {} of {} connections did not come up ({why}); with so many, silence is not what is measured: \
             try a shorter --up-to, which needs fewer connections",
            self.asked.target, self.not_up, all
        )))
    }

    /// Speaks on the connections with keepalives, if there is a timeout that they have outlasted.
    fn try_keepalives(&mut self) -> Result<(), Failure> {
        let lost = |speaker| {
            let trials = self.trials.get(&speaker).map_or(&[][..], Vec::as_slice);
            timeout_from(trials)
        };
        let lost = HashMap::from([
            (Speaker::Near, lost(Speaker::Near)),
            (Speaker::Far, lost(Speaker::Far)),
        ]);
        if lost.values().all(Option::is_none) {
            // Without a timeout there is nothing that they could renew.
            self.keepalives.clear();
            return Ok(());
        }
        // They were opened last, and must have been silent for longer than the timeout, too.
        let longest = lost.values().flatten().max().copied().unwrap_or_default();
        let with_keepalive = |conn: &&Conn| matches!(conn.purpose, Purpose::Keepalive(..));
        let quiet = self.conns.values().filter(with_keepalive);
        let latest = quiet.filter_map(|conn| conn.quiet_since).max();
        let outlasted = latest.map(|since| since + Duration::from_millis(longest) + OUTLASTED_BY);
        while let Some(until) = outlasted.filter(|until| Instant::now() < *until)
            && longest > 0
            && !self.near.is_stopped()
        {
            self.step(until)?;
        }
        if self.near.is_stopped() {
            // They may not have been silent for long enough.
            self.keepalives.clear();
            return Ok(());
        }
        let servers = self.conns.values().map(|conn| conn.server).collect();
        let (target, within) = (self.asked.target, self.asked.within);
        let controls = self.near.controls(target, &servers, within)?;
        let mut waiting = 0;
        let all: Vec<(u64, Purpose, Option<Name>, u64)> = self
            .conns
            .iter()
            .map(|(flow, conn)| (*flow, conn.purpose, conn.name, conn.server))
            .collect();
        for (flow, purpose, name, server) in all {
            let Purpose::Keepalive(speaker, _) = purpose else {
                continue;
            };
            let (Some(_), Some(name)) = (lost[&speaker], name) else {
                self.conns.remove(&flow);
                self.near.close(flow);
                continue;
            };
            match (speaker, controls.get(&server)) {
                (Speaker::Near, _) => self.speak(flow, Instant::now()),
                (Speaker::Far, Some(control)) => {
                    let number = 0;
                    self.near.ask(*control, &Request::SayOn { name, number });
                    let now = Instant::now();
                    if let Some(conn) = self.conns.get_mut(&flow) {
                        conn.spoken = Some(now);
                    }
                    let deadline = now + self.asked.within;
                    self.due.push(Reverse((deadline, flow, Step::GiveUp)));
                }
                (Speaker::Far, None) => continue,
            }
            waiting += 1;
        }
        let until = Instant::now() + self.asked.within + Duration::from_millis(200);
        let before = self.keepalives.len();
        while self.keepalives.len() < before + waiting
            && Instant::now() < until
            && !self.near.is_stopped()
        {
            self.step(until)?;
        }
        // Without a timeout there is nothing that they could renew.
        self.keepalives
            .retain(|trial| lost[&trial.speaker].is_some());
        self.keepalives
            .sort_unstable_by_key(|trial| (trial.interval_s, trial.speaker));
        Ok(())
    }

    /// What the far end says of the connections that were lost.
    fn fates(&mut self) -> Result<Vec<(Speaker, Fate)>, Failure> {
        if self.lost.is_empty() || self.near.is_stopped() {
            return Ok(Vec::new());
        }
        let servers = self.lost.iter().map(|(.., server)| *server).collect();
        let (target, within) = (self.asked.target, self.asked.within);
        let controls = self.near.controls(target, &servers, within)?;
        if controls.is_empty() && !self.near.is_stopped() {
            return Err(Failure::fault(format!(
                "{target}: the far end no longer answers new connections, so what it saw of the silent ones is not known"
            )));
        }
        let mut fates = Vec::new();
        for speaker in [Speaker::Near, Speaker::Far] {
            let lost = self.lost.iter().filter(|(who, ..)| *who == speaker);
            let asked = lost.filter_map(|(_, name, at)| Some((*name, *controls.get(at)?)));
            let asked: Vec<(Name, u64)> = asked.take(ASKED_FOR).collect();
            for (name, control) in asked {
                let answer = self.near.call(control, &Request::Of(name), within)?;
                if let Ok(Answer::Of(fate)) = answer {
                    fates.push((speaker, fate));
                }
            }
        }
        Ok(fates)
    }
}
