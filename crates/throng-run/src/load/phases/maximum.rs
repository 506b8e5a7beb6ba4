//! Finds out how many connections can be held: core's [`maximum`] decides, and this tells it what is seen, has the workers hold
//! as many as it says, and looks for the reason where it gets no further.

use super::{Finds, Run};
use std::time::{Duration, Instant};
use throng_core::capacity::LimitKind;
use throng_core::diagnosis::{self, Diagnosis, Evidence};
use throng_core::human::{count, things};
use throng_core::maximum::{
    Beyond, Ending, Event, Keeping, KnownBy, Maximum, Search, Seen, Terms, Way, Whose,
};
use throng_core::observer::Note;
use throng_core::record::{Mark, Phase};
use throng_core::stats::{Closed, FailCause, Tally};
use throng_engine::Order;

/// How long no progress is waited for, beyond the time that a connection waits until it is opened again: a SYN that was lost is
/// sent again after a second and after three.
const PATIENCE: Duration = Duration::from_secs(1);
/// At a rate of new connections, how many of them are waited for besides.
const WAITS_FOR: f64 = 3.0;
/// How often accept queues are looked at; each look may go through all sockets, and takes at most 1/`COST` of the time. Where that takes
/// long, they are looked at after `LONGEST` all the same: growth shows in these looks only.
const LOOK: Duration = Duration::from_millis(100);
const COST: u32 = 10;
const LONGEST: Duration = Duration::from_secs(1);

/// What a search ended with.
pub(super) struct Concluded {
    pub ending: Ending,
    pub connections: u64,
    pub walls: Vec<u64>,
    pub pauses: Vec<u64>,
    pub beyond: Beyond,
    pub way: Way,
    pub causes: Vec<Diagnosis>,
    /// Whether accept queues can be seen.
    pub visible: bool,
    pub places_kept: Option<u64>,
    pub keeping: Option<Keeping>,
}

impl Run<'_> {
    /// Finds out how many connections can be held. Returns whether to hold those that are open now.
    pub(super) fn find_maximum(&mut self, finds: Finds) -> bool {
        let mut search = Search::new(self.terms(&finds));
        let mut way = Way::default();
        let visible = self.sees_what_waits();
        let mut queue = QueueLooks::new(visible);
        let mut causes: Vec<Diagnosis> = Vec::new();
        let mut beyond = Beyond::default();
        // The counts when the number last grew.
        let mut grown = (0, Tally::default());
        // What was counted while it got no further.
        let mut stuck = Tally::default();
        let mut held = 0;
        let last = loop {
            self.watch.control.hold_at_most(search.target());
            // For what is shown meanwhile.
            self.asked = u64::from(search.target()).max(1);
            let (mark, goes_on) = self.step(Phase::Opening, None, None);
            let open = mark.opened.open().min(mark.opened.ready_now());
            if !goes_on {
                held = open.saturating_sub(queue.look(self, mark.at, mark.opened.open()));
                break mark;
            }
            if self.paused.is_some() {
                search.pause(mark.at);
            }
            let now = &mark.opened;
            let seen = Seen {
                at: mark.at,
                open,
                queued: queue.look(self, mark.at, now.open()),
                refused: now.failed_in_all() + ended(now),
                ended: ended(now),
                closed: now.closed(Closed::ByUs),
                stopped: self.watch.guard.stopped_at.is_some(),
            };
            let held = seen.open.saturating_sub(seen.queued);
            if search.is_growing() && way.is_due(mark.at, held) {
                let measured = self
                    .watch
                    .take_trial(Phase::Opening, mark.at, *now, mark.accepted);
                way.step(mark.at, held, now.established, &measured.connect);
            }
            let event = search.look(&seen);
            if search.number() != grown.0 {
                grown = (search.number(), *now);
            }
            match event {
                Event::Nothing => {}
                Event::Stuck(number) => {
                    stuck = now.since(&grown.1);
                    let found = diagnosis::diagnose(&Evidence {
                        without_growth: Some(stuck),
                        ..self.evidence(mark.at, now)
                    });
                    if causes.is_empty() || !causes[0].certain && found.iter().any(|c| c.certain) {
                        causes = found;
                    }
                    beyond = what_became(now, seen.queued);
                    let client = causes.first().is_some_and(|cause| is_client(cause, now));
                    if client && search.ending() != Ending::None {
                        search.end_at_client(mark.at);
                    }
                    self.tell(match client {
                        true => format!("no more than {} from here", things(number, "connection")),
                        false => format!("no further at {}", things(number, "connection")),
                    });
                }
                Event::Narrowed(number) => {
                    if causes.iter().all(|cause| !cause.certain) {
                        causes = diagnosis::diagnose(&Evidence {
                            without_growth: Some(stuck),
                            closes_beyond: Some(number),
                            ..self.evidence(mark.at, now)
                        });
                    }
                    self.tell(format!(
                        "{} stay, and of more some are closed",
                        things(number, "connection")
                    ));
                }
                Event::WentOn(number) => {
                    causes.clear();
                    self.tell(format!("past {}: not a limit", count(number)));
                }
                Event::ComesBack(number) => self.tell(format!("coming back to {}", count(number))),
                Event::Over => break mark,
            }
        };
        self.watch.control.hold_at_most(search.target());
        self.conclude(
            &finds,
            Concluded {
                ending: search.ending(),
                // What stands is what was open a moment ago, which is less while it grows.
                connections: match search.ending() {
                    Ending::Unfinished => held,
                    _ => search.number(),
                },
                walls: search.walls().to_vec(),
                pauses: search.pauses().to_vec(),
                beyond,
                way,
                causes,
                visible,
                places_kept: search.places_kept(),
                keeping: None,
            },
            &last,
        )
    }

    /// Takes note of what a search has found that was over at `last`. Returns whether to hold what is open now.
    pub(super) fn conclude(&mut self, finds: &Finds, all: Concluded, last: &Mark) -> bool {
        let over = all.ending != Ending::Unfinished;
        let first = all.causes.first();
        let most = &finds.most;
        let whose = match (all.ending, first) {
            (Ending::Client, _) => Some(Whose::Client),
            (Ending::Found | Ending::Unstable | Ending::None, Some(cause)) => Some(Whose::of(
                cause,
                last.opened.failed(FailCause::NoAddress) > 0,
            )),
            _ => None,
        };
        let remedy = match (&most.by, first) {
            (Some(limit), None) if all.ending == Ending::Client => limit.remedy(),
            _ => String::new(),
        };
        let found = Maximum {
            ending: all.ending,
            connections: all.connections,
            at_most: match finds.asked.is_bounded() {
                true => Some(finds.asked.most().into()),
                false => None,
            },
            client_allows: most.connections.into(),
            client_limit: most.by.as_ref().map(|limit| limit.kind),
            whose,
            limit: first.filter(|_| whose.is_some()).map(|cause| cause.limit),
            sure: first.is_none_or(|cause| cause.certain),
            known_by: match (self.shakes_hands(), all.visible) {
                (true, _) => KnownBy::Handshake,
                (false, true) => KnownBy::AcceptQueue,
                (false, false) => KnownBy::Established,
            },
            walls: all.walls,
            pauses: all.pauses,
            beyond: all.beyond,
            knee: all.way.knee(),
            // What has shaken hands was accepted.
            places_kept: all.places_kept.filter(|_| !self.shakes_hands()),
            way: all.way.steps().to_vec(),
            keeping: all.keeping,
            answered: None,
            seconds: last.at.as_secs_f64(),
            words: String::new(),
        };
        let number = found.connections;
        self.ending.maximum = Some(Box::new(found.worded(finds.asked, &remedy)));
        self.ending.causes = all.causes;
        // Without any, the reason is that of a run for one.
        self.asked = number.max(1);
        self.watch.ask_for(self.asked);
        if !over || number == 0 {
            self.watch.control.give(Order::StopOpening);
            return false;
        }
        self.ending.opened = Some(self.mark());
        true
    }

    /// Takes note of how many connections were answered on, of those that were open when the hold was over.
    pub(super) fn note_answered(&mut self, held: &Tally) {
        let Some(found) = &mut self.ending.maximum else {
            return;
        };
        let looks = self.behaviours.matches_answers() || self.behaviours.loops();
        let (open, heard) = (held.open(), held.heard_now());
        // Where others do not wait for an answer, no message was due on them yet.
        let asked = !looks || held.waiting() >= open.saturating_sub(heard);
        if self.behaviours.sends() && (looks || heard > 0) && asked {
            found.answered_by(heard, open);
        }
    }

    fn terms(&self, finds: &Finds) -> Terms {
        let connect = &self.scenario.connect;
        let of_rate = connect.rate.map_or(0.0, |rate| WAITS_FOR / rate.get());
        let tuples = self
            .plan
            .limits
            .iter()
            .find(|l| l.kind == LimitKind::FourTuples);
        Terms {
            bound: finds.most.connections,
            bound_is_asked: finds.most.by.is_none() && finds.asked.is_bounded(),
            patience: self.longest_wait() + PATIENCE + Duration::from_secs_f64(of_rate),
            tuples: tuples.and_then(|l| l.allows),
        }
    }

    /// Whether connections that wait to be accepted can be seen. What has shaken hands was accepted.
    pub(super) fn sees_what_waits(&self) -> bool {
        !self.shakes_hands() && self.before.sees_queues()
    }

    /// Whether a server takes part in a handshake before a connection can carry messages.
    fn shakes_hands(&self) -> bool {
        self.scenario.tls.is_some()
            || self.scenario.protocol.kind().begins_with_handshake()
            || self.scenario.connect.tunnel.is_some()
    }

    pub(super) fn tell(&mut self, line: String) {
        self.watch.note(&Note::Trial(line));
    }
}

/// Whether `cause` is why this client can open no more.
pub(super) fn is_client(cause: &Diagnosis, now: &Tally) -> bool {
    let own = [
        FailCause::NoAddress,
        FailCause::FileLimit,
        FailCause::NoMemory,
    ];
    let failed = own.iter().any(|why| now.failed(*why) > 0);
    let ports = now.failed(FailCause::NoAddress) > 0;
    Whose::of(cause, ports) == Whose::Client && (cause.certain || failed)
}

/// Connections that were established and that this side has not closed.
fn ended(now: &Tally) -> u64 {
    now.closed_in_all() - now.closed(Closed::ByUs)
}

/// What became of attempts that did not add to what is held.
pub(super) fn what_became(now: &Tally, queued: u64) -> Beyond {
    let failed = FailCause::ALL.into_iter().map(|why| (why, now.failed(why)));
    let closed = Closed::ALL.into_iter().filter(|why| *why != Closed::ByUs);
    let closed = closed.map(|why| (why, now.closed(why)));
    Beyond {
        failed: failed.filter(|(_, n)| *n > 0).collect(),
        closed: closed.filter(|(_, n)| *n > 0).collect(),
        queued,
    }
}

/// Looks at accept queues that do not take too much of the time.
struct QueueLooks {
    visible: bool,
    next: Duration,
    /// Connections that had been accepted at the last look.
    accepted: u64,
}

impl QueueLooks {
    fn new(visible: bool) -> QueueLooks {
        QueueLooks {
            visible,
            next: Duration::ZERO,
            accepted: 0,
        }
    }

    /// How many of `open` connections wait to be accepted, as far as that is known: those that were opened since the last look
    /// may.
    fn look(&mut self, run: &Run, at: Duration, open: u64) -> u64 {
        if !self.visible {
            return 0;
        }
        if at >= self.next {
            let began = Instant::now();
            self.accepted = open.saturating_sub(run.before.queued(open));
            let took = began.elapsed();
            self.next = at + took + LOOK.max(took * COST).min(LONGEST);
        }
        open.saturating_sub(self.accepted)
    }
}
