//! Conducts a run of a fleet: a coordinator, ways to its agents, observers, and a stop.

use crate::coordinator::{Coordinator, Decision, Keeper, Look, Over, Refusal, Step, Terms};
use crate::transport::{Arrival, Incoming, Link, Transport};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use throng_core::observer::{Counts, Interval, Note, Observer};
use throng_core::record::Phase;
use throng_core::stats::{Measured, Tally};
use throng_run::Stop;

/// How long a stop may go unnoticed.
const NOTICE: Duration = Duration::from_millis(50);
/// The most arrivals that are taken before the coordinator looks at the time and at all of its agents.
const AT_ONCE: usize = 64;
/// An observer whose interval ends this much later than now is given it now: looks come every second, and not to the
/// microsecond.
const EARLY: Duration = Duration::from_millis(100);
/// What the clock of a coordinator that follows another one says at the beginning: more than any run has lasted by then.
const LATE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What a fleet is to do.
pub struct Fleet {
    /// The name of the run, which no other run has.
    pub run: String,
    /// What is asked of it.
    pub terms: Terms,
    /// Its agents.
    pub agents: Vec<Box<dyn Transport>>,
    /// What keeps what is decided.
    pub keeper: Option<Box<dyn Keeper>>,
    /// What another coordinator has decided, if the run has begun under that one. Each agent's transport then says what the agent
    /// has said so far, and [`Arrival::CaughtUp`].
    pub follows: Option<Vec<Decision>>,
}

/// Runs `fleet` until it is over, or `stop` is requested. Observers get the sums over all agents, once per second.
///
/// # Errors
/// Nothing was run: see [`Refusal`]. A run that falls short of what was asked for, or loses agents, is not an error.
pub fn conduct(
    fleet: Fleet,
    observers: &mut [Box<dyn Observer + '_>],
    stop: &Stop,
) -> Result<Over, Refusal> {
    let clock = Clock {
        began: Instant::now(),
        at: match fleet.follows {
            Some(_) => LATE,
            None => Duration::ZERO,
        },
    };
    let names: Vec<String> = fleet.agents.iter().map(|a| a.name().to_owned()).collect();
    let (run, terms, now) = (fleet.run, fleet.terms, clock.now());
    let mut coordinator = match fleet.follows {
        Some(decisions) => Coordinator::follow(run, names, terms, &decisions, now),
        None => Coordinator::new(run, names, terms, now),
    };
    let mut keeper = fleet.keeper;
    let mut audience = Audience::new(observers);
    let (to, arrivals) = channel();
    let mut links: Vec<Option<Box<dyn Link>>> = Vec::new();
    for (agent, transport) in fleet.agents.into_iter().enumerate() {
        links.push(match transport.open(Incoming::new(agent, to.clone())) {
            Ok(link) => Some(link),
            Err(e) => {
                coordinator.gone(agent, &format!("can't start it: {e}"), clock.now());
                None
            }
        });
    }
    loop {
        while let Some(step) = coordinator.next_step() {
            match step {
                Step::Send { to, message } => {
                    if let Some(Some(link)) = links.get_mut(to) {
                        link.send(&message);
                    }
                }
                Step::Keep(decision) => {
                    if let Some(keeper) = &mut keeper {
                        keeper.keep(&decision);
                    }
                }
                Step::Note(note) => audience.note(&note),
                Step::Look(look) => audience.look(&look),
                Step::Over(result) => {
                    // Orders that were given before it are sent; none follows.
                    links.into_iter().flatten().for_each(Link::close);
                    return audience.finish(*result);
                }
            }
        }
        if stop.is_requested() {
            coordinator.stop(clock.now());
        }
        let due = coordinator.due().saturating_sub(clock.now());
        match arrivals.recv_timeout(due.min(NOTICE)) {
            Ok(first) => {
                let more = arrivals.try_iter().take(AT_ONCE - 1);
                for (agent, arrival) in std::iter::once(first).chain(more) {
                    let now = clock.now();
                    match arrival {
                        Arrival::Message(message) => coordinator.received(agent, *message, now),
                        Arrival::Unreadable(why) => coordinator.unreadable(agent, &why),
                        Arrival::CaughtUp => coordinator.caught_up(agent, now),
                        Arrival::Said(line) => coordinator.say(agent, line),
                        Arrival::Interrupted => coordinator.interrupted(agent),
                        Arrival::Restored => coordinator.restored(agent, now),
                        Arrival::Gone(why) => coordinator.gone(agent, &why, now),
                        Arrival::Unusable(why) => coordinator.unusable(agent, &why, now),
                    }
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            // `to` is still there.
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(NOTICE),
        }
        coordinator.tick(clock.now());
    }
}

/// A coordinator's clock.
struct Clock {
    began: Instant,
    /// What it said then.
    at: Duration,
}

impl Clock {
    fn now(&self) -> Duration {
        self.at + self.began.elapsed()
    }
}

/// The observers of a fleet.
struct Audience<'a, 'o> {
    watching: Vec<Watching<'a, 'o>>,
    last: Option<Look>,
}

/// An observer, and the interval that it is in.
struct Watching<'a, 'o> {
    observer: &'a mut Box<dyn Observer + 'o>,
    from: Duration,
    /// The counts at its beginning: opened, accepted.
    counted: (Tally, Tally),
    measured: Measured,
}

impl<'a, 'o> Audience<'a, 'o> {
    fn new(observers: &'a mut [Box<dyn Observer + 'o>]) -> Audience<'a, 'o> {
        let watching = observers.iter_mut().map(|observer| Watching {
            observer,
            from: Duration::ZERO,
            counted: Default::default(),
            measured: Measured::default(),
        });
        Audience {
            watching: watching.collect(),
            last: None,
        }
    }

    fn note(&mut self, note: &Note) {
        for watching in &mut self.watching {
            watching.observer.note(note);
        }
    }

    /// Ends the intervals that are due.
    fn look(&mut self, look: &Look) {
        let mut troubles = Vec::new();
        for watching in &mut self.watching {
            watching.measured.merge(look.measured.clone());
            let (from, now) = (watching.from, look.at + EARLY);
            let collects = watching.observer.collects(from);
            if watching.observer.due(from) <= now || collects.is_some_and(|due| due <= now) {
                troubles.extend(watching.end(look));
            }
        }
        for trouble in troubles {
            self.note(&Note::Trouble(trouble));
        }
        self.last = Some(look.clone());
    }

    /// Ends the last intervals. What could not be reported is put into the record.
    fn finish(mut self, result: Result<Over, Refusal>) -> Result<Over, Refusal> {
        let mut unreported = Vec::new();
        for watching in &mut self.watching {
            watching.observer.closing();
            if let Some(last) = &self.last {
                unreported.extend(watching.end(last));
            }
            unreported.extend(watching.observer.finish().err().map(|trouble| trouble.0));
        }
        let mut over = result?;
        let mut endings = over
            .record
            .sources
            .values_mut()
            .filter_map(|p| p.ending.as_mut());
        if let Some(ending) = endings.next() {
            ending.unreported.extend(unreported);
        }
        Ok(over)
    }
}

impl Watching<'_, '_> {
    /// Ends its interval. Returns what could not be reported.
    fn end(&mut self, look: &Look) -> Option<String> {
        let counts = |now: Option<Tally>, then: &Tally| {
            now.map(|now| Counts {
                now,
                recent: now.since(then),
            })
        };
        let collects = self.observer.collects(Duration::ZERO).is_some();
        let reported = self.observer.interval(&Interval {
            from: self.from,
            to: look.at,
            phase: look.phase.unwrap_or(Phase::Opening),
            asked: Some(look.asked),
            peak: look.peak,
            left: look.left,
            dialled_per_s: None,
            watched: None,
            opened: counts(Some(look.opened), &self.counted.0),
            accepted: counts(look.accepted, &self.counted.1),
            measured: collects.then_some(&self.measured),
        });
        self.from = look.at;
        self.counted = (look.opened, look.accepted.unwrap_or_default());
        self.measured = Measured::default();
        reported.err().map(|trouble| trouble.0)
    }
}
