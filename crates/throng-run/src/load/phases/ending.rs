//! The end of a load: nothing more is sent, what is under way arrives, all is closed.

use super::{Run, Sides};
use crate::Failure;
use crate::recording;
use crate::side::Side;
use crate::watch::TICK;
use std::time::{Duration, Instant};
use throng_core::record::{Phase, Record};
use throng_core::stats::Tally;
use throng_engine::Order;

/// How long what was sent may take to arrive, and to be answered, once nothing more is sent.
const DRAIN: Duration = Duration::from_secs(10);
/// How long a run whose time is over, or that was interrupted, waits for readings of what its server uses.
const SOON_OVER: Duration = Duration::from_millis(200);
/// Nothing moved for this long: peers that have not answered a farewell by now will not.
const STILL: Duration = Duration::from_millis(500);

impl Run<'_> {
    /// Has no new message begun.
    pub(super) fn stop_traffic(&self) {
        self.watch.control.give(Order::StopTraffic);
        let scenario = self.scenario;
        let closed = self.sides.clients.tally().closed_in_all();
        if scenario.renews() || closed > 0 {
            // New connections would keep sending first messages.
            self.watch.control.give(Order::StopOpening);
        }
    }

    /// Lets what is under way arrive, and be answered, for a while: not beyond the time that the run may take.
    pub(super) fn drain(&mut self) {
        let scenario = self.scenario;
        // Reading the rest slowly would take long.
        let slow = scenario.pace.downstream.is_some() && !self.behaviours.matches_answers();
        if !self.behaviours.sends() {
            return;
        }
        let mut stuck = self.stuck();
        let mut unread = self.unread();
        if slow || self.ending.timed_out {
            self.ending.undelivered = stuck.undelivered();
            self.ending.unread = unread.unread();
            return;
        }
        let bound = scenario.duration.unwrap_or(Duration::MAX);
        let until = bound.min(self.watch.clock.elapsed() + DRAIN);
        let mut rest = Rest {
            heard: scenario.protocol.misses().then_some((Duration::ZERO, 0)),
            ..Rest::default()
        };
        while !self.interrupted() {
            self.watch.tick(TICK, Some(until));
            let mark = self.mark();
            let at = mark.at;
            self.look(&mark, Phase::Draining, Some(until.saturating_sub(at)));
            stuck.look(at, self);
            let own = self.sides.server.is_some();
            let over = rest.is_over(at, &mark.opened, &mark.accepted.unwrap_or_default(), own);
            if at >= until || over && !stuck.may_move(at) && !unread.may_be_read(at) {
                break;
            }
        }
        unread.look(self);
        self.ending.undelivered = stuck.undelivered();
        self.ending.unread = unread.unread();
    }

    /// Whether a stop was requested that is not the end of a hold.
    pub(super) fn interrupted(&self) -> bool {
        self.watch.stopped() && !self.released
    }

    /// If the protocol has a way to end a connection (WebSocket, TLS), ends connections that way, as far as peers
    /// answer.
    fn say_farewell(&self) {
        let says = self.scenario.protocol.kind().says_farewell() || self.scenario.tls.is_some();
        if !says {
            return;
        }
        self.watch.control.give(Order::Farewell);
        let open = || self.sides.clients.tally().open();
        let mut last = (Instant::now(), open());
        while last.1 > 0 && last.0.elapsed() < STILL {
            std::thread::sleep(Duration::from_millis(1));
            let now = open();
            if now != last.1 {
                last = (Instant::now(), now);
            }
        }
    }

    /// Ends all connections and workers.
    pub(super) fn close(mut self) -> Result<Record, Failure> {
        // A server may free memory once connections are closed.
        let hurried = self.ending.timed_out || self.watch.stopped();
        let within = if hurried { SOON_OVER } else { Duration::MAX };
        let server = self.server.take().map(|server| server.finish(within));
        let watched = self.watch.watching.take();
        let watched = watched.map(|watching| Box::new(watching.finish(within)));
        let last = watched.as_ref().and_then(|w| w.readings.last());
        self.watch.last_watched = last.copied();
        // From here on the run closes connections, so the counts are those of now.
        let over = self.mark();
        self.watch.meter.note_own();
        let mut ending = std::mem::take(&mut self.ending);
        ending.over = over;
        ending.server = server;
        ending.watched = watched;
        ending.interrupted = self.interrupted();
        ending.kernel = self.before.kernel();
        ending.elsewhere = self.before.elsewhere();
        ending.cpu_quota_cores = self.watch.strain.quota_cores();
        ending.paused = self.watch.strain.paused;
        ending.secured = self.last_secured();
        self.watch.closing();
        self.say_farewell();
        self.watch.control.give(Order::Close);
        let carried = self.carried(&ending);
        let Sides {
            clients: opening,
            server: own,
            accepted: accepting,
            ..
        } = self.sides;
        let counters = opening.counters.clone();
        opening.join()?;
        // Only now is it known which messages stayed unanswered.
        ending.closed = counters.iter().map(|c| c.read()).sum();
        own.into_iter().chain(accepting).try_for_each(Side::join)?;
        Ok(recording::record(self.watch, carried, ending))
    }
}

/// Whether anything is still under way once nothing more is sent.
#[derive(Default)]
struct Rest {
    /// When bytes were last sent, and how many have been: by the side that opened, and by the one that accepted.
    moved: Duration,
    sent: (u64, u64),
    /// When bytes were last received by the side that opened, and how many have been, where messages that do not arrive are
    /// missed.
    heard: Option<(Duration, u64)>,
}

impl Rest {
    /// Whether all that was sent before `at` has arrived, as far as can be known: its answers, where they are looked
    /// for; and at the other end, where those that accepted are the server in this process (`own`). Peers may talk on,
    /// which says nothing.
    fn is_over(&mut self, at: Duration, clients: &Tally, accepted: &Tally, own: bool) -> bool {
        let sent = (clients.bytes_sent, accepted.bytes_sent);
        if sent != self.sent {
            (self.moved, self.sent) = (at, sent);
        }
        // A send that was late shows in the next look.
        let quiet = at >= self.moved + TICK * 2;
        // What was under way when a connection ended never arrives.
        let lost = clients.closed_in_all() + accepted.closed_in_all() > 0;
        let arrived = clients.bytes_sent == accepted.bytes_received
            && clients.bytes_received == accepted.bytes_sent;
        let arrived = !own || arrived || lost && at >= self.moved + STILL;
        let still = match &mut self.heard {
            None => true,
            Some(heard) => {
                if heard.1 != clients.bytes_received {
                    *heard = (at, clients.bytes_received);
                }
                at >= heard.0 + STILL
            }
        };
        let waiting = clients.waiting() + accepted.waiting() + clients.pongs_waiting();
        quiet && arrived && still && waiting == 0
    }
}
