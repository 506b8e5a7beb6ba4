//! What a client opens next: connections in order, then those that failed or closed, again.

use super::roads::Roads;
use crate::job::{Admission, ClientRole};
use crate::socket::Address;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use throng_core::pacing::{Backoff, ConnectPace, ReconnectPolicy};
use throng_core::plan::Routes;
use throng_core::protocol::proxy_protocol::Headers;
use throng_core::shard::{Shard, share};
use throng_core::stats::{AddressCounters, FailCause};
use throng_core::time::Time;

/// The interval at which a full accept queue is checked.
const ADMISSION_POLL: Duration = Duration::from_micros(250);

/// A connection that ended sooner than this after it was established is retried as one that failed: a server that accepts
/// and closes at once is not tried as often as it does so.
const STANDS: Duration = Duration::from_secs(1);

/// The client's list of what to open.
pub(super) struct Opener {
    routes: Arc<Routes>,
    roads: Roads,
    headers: Option<Headers>,
    by_address: Arc<[AddressCounters]>,
    shard: Shard,
    first: u32,
    step: u32,
    /// How many connections it has to hold now: those below this index.
    count: u32,
    /// How many it may ever hold.
    most: u32,
    /// The first connection that was never attempted.
    fresh: u32,
    again: VecDeque<u32>,
    in_flight: u32,
    pace: ConnectPace,
    timeout: Duration,
    reconnect: Option<Backoff>,
    /// Whether each connection is opened again when its own wait is over, however many others are.
    returns_alone: bool,
    /// How often in a row connections ended early, of those whose last one did.
    early: HashMap<u32, u8>,
    admission: Option<Box<dyn Admission>>,
    /// Whether the accept queue had no room at the last check.
    held_back: bool,
}

impl Opener {
    pub fn new(client: ClientRole) -> Opener {
        Opener {
            roads: Roads::of(&client.routes),
            routes: client.routes,
            headers: client.headers,
            by_address: client.by_address,
            shard: client.shard,
            first: client.first,
            step: client.step,
            count: client.count,
            most: client.count,
            fresh: 0,
            again: VecDeque::new(),
            in_flight: 0,
            pace: client.pace,
            timeout: client.timeout,
            reconnect: client.reconnect,
            returns_alone: client.returns_alone,
            early: HashMap::new(),
            admission: client.admission,
            held_back: false,
        }
    }

    /// The run's number of the worker's connection `index`.
    #[inline]
    pub fn id(&self, index: u32) -> u32 {
        let own = self.first + self.step * index;
        // No more than the run has connections.
        self.shard.number(own.into()) as u32
    }

    /// The time limit of one attempt.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether connections that end are opened again.
    pub fn reconnects(&self) -> bool {
        self.reconnect.is_some()
    }

    /// How long connection `index` waits for its retry `retry` since it was last established; `None` if it is not opened
    /// again.
    pub fn wait_after_failure(&mut self, index: u32, retry: u8) -> Option<Duration> {
        let earlier = self.early.get(&index).copied().unwrap_or(0);
        let backoff = self.reconnect.as_mut()?;
        Some(backoff.wait(retry.saturating_add(earlier)))
    }

    /// How long connection `index` waits that ended at this age, without having been planned to; `None` if it is not opened
    /// again. One that ended early was of no more use than one that failed.
    pub fn wait_after_end(&mut self, index: u32, age: Duration) -> Option<Duration> {
        let backoff = self.reconnect.as_mut()?;
        if age >= STANDS {
            self.early.remove(&index);
            return Some(backoff.wait(1));
        }
        let times = self.early.entry(index).or_default();
        *times = times.saturating_add(1);
        Some(backoff.wait(*times))
    }

    /// How long a connection waits that this side dropped; `None` if it is not opened again. Its end says nothing about the
    /// server.
    pub fn wait_after_drop(&mut self) -> Option<Duration> {
        Some(self.reconnect.as_mut()?.wait(1))
    }

    /// From now on connections that are opened again wait as `policy` says.
    pub fn follow(&mut self, policy: ReconnectPolicy) {
        if let Some(backoff) = &mut self.reconnect {
            backoff.follow(policy);
        }
    }

    /// The number of connections still to be opened.
    fn left(&self) -> u32 {
        self.count.saturating_sub(self.fresh) + self.again.len() as u32
    }

    /// The number of connections that may be opened now. `behind`: timers are due that have not fired.
    pub fn ready(&mut self, now: Time, behind: bool) -> u32 {
        let left = self.left();
        if left == 0 {
            return 0;
        }
        if self.returns_alone && !self.again.is_empty() {
            return self.pace.due(now).min(self.again.len() as u32);
        }
        let mut ready = self.pace.ready(now, self.in_flight).min(left);
        if behind {
            // Messages that are due go first. One connection at a time is still opened, even when more messages
            // are due than can ever be sent.
            ready = ready.min(1);
        }
        match &mut self.admission {
            Some(admission) if ready > 0 => {
                let room = admission.room();
                self.held_back = room == 0;
                ready.min(room)
            }
            _ => ready,
        }
    }

    /// When [`Opener::ready`] may return more, if that does not depend on the outcome of attempts.
    pub fn next_look(&self, now: Time) -> Option<Time> {
        if self.left() == 0 {
            None
        } else if self.returns_alone && !self.again.is_empty() {
            Some(self.pace.next())
        } else if self.held_back {
            Some(now + ADMISSION_POLL)
        } else if self.pace.has_room(self.in_flight) {
            Some(self.pace.next())
        } else {
            None
        }
    }

    /// Takes the next connection to open. An attempt is then in flight on it.
    pub fn take(&mut self) -> Option<u32> {
        let index = self.again.pop_front().or_else(|| {
            (self.fresh < self.count).then(|| {
                self.fresh += 1;
                self.fresh - 1
            })
        })?;
        self.pace.started(1);
        self.in_flight += 1;
        Some(index)
    }

    /// Whether connection `index` is to be held.
    #[inline]
    pub fn wants(&self, index: u32) -> bool {
        index < self.count
    }

    /// Changes how many connections all workers together are to hold. Returns those of this worker that are to be held from
    /// now on and were tried before, and those that were about to be opened again and are not to be held.
    pub fn hold_at_most(&mut self, in_all: u32) -> (Range<u32>, VecDeque<u32>) {
        let count = share(in_all, self.first, self.step).min(self.most);
        let before = std::mem::replace(&mut self.count, count);
        let (kept, dropped) = self.again.iter().partition(|index| **index < count);
        self.again = kept;
        (before.min(self.fresh)..count.min(self.fresh), dropped)
    }

    /// The first connection that is not to be held.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Queues connection `index` to be opened again.
    pub fn open_again(&mut self, index: u32) {
        self.again.push_back(index);
    }

    /// The target and the source of connection `index`. The addresses stay in place for the whole run.
    pub fn route(&self, index: u32) -> (&Address, Option<&Address>) {
        let (target, source) = self.routes.pick(self.id(index));
        self.roads.road(target, source)
    }

    /// Appends the header that connection `index` begins with. Returns whether it has one.
    pub fn write_header(&self, index: u32, out: &mut Vec<u8>) -> bool {
        let id = self.id(index);
        let (Some(headers), Some((target, _))) = (&self.headers, self.routes.route(id)) else {
            return false;
        };
        headers.write(id, target, out);
        true
    }

    /// Where to count connection `index` by its address; `None` if there is only one.
    pub fn counts(&self, index: u32) -> Option<&AddressCounters> {
        match self.by_address.is_empty() {
            true => None,
            false => self.by_address.get(self.routes.pick(self.id(index)).0),
        }
    }

    /// An attempt succeeded after `took`.
    pub fn succeeded(&mut self, now: Time, took: Duration) {
        self.in_flight -= 1;
        self.pace.succeeded(now, took);
    }

    /// An attempt failed.
    pub fn failed(&mut self, now: Time, cause: FailCause) {
        self.in_flight -= 1;
        if cause == FailCause::TimedOut {
            self.pace.timed_out(now, self.timeout);
        }
    }
}
