//! Storms of a run: drops connections when that was asked for, and follows how those that were lost come back.

use std::collections::VecDeque;
use std::time::Duration;
use throng_core::pacing::ReconnectPolicy;
use throng_core::record::{Mark, Storm};
use throng_core::scenario::LoadScenario;
use throng_core::stats::Tally;
use throng_core::storm::{Dropping, Share, StormWatch};
use throng_engine::{Control, DropOrder};
use throng_host::netstat::NetStat;

/// How old the kernel's counts from before a storm may be. Reading them takes some 150 µs.
const SYNS_EVERY: Duration = Duration::from_secs(1);

/// See the [module](self).
pub(super) struct Storming {
    watch: StormWatch,
    /// What is still to be dropped, in the order of time.
    due: VecDeque<Dropping>,
    /// The number of drops that were ordered.
    ordered: u32,
    /// The kernel's counts when no storm was under way, and when they were read.
    before: Option<(Duration, NetStat)>,
}

impl Storming {
    pub fn new(scenario: &LoadScenario) -> Storming {
        let mut due = scenario.connect.drop.clone();
        due.sort_by_key(|dropping| dropping.after);
        Storming {
            watch: StormWatch::default(),
            due: due.into(),
            ordered: 0,
            before: None,
        }
    }

    /// When connections are dropped next, if the hold began at `began`.
    pub fn next(&self, began: Duration) -> Option<Duration> {
        self.due.front().map(|dropping| began + dropping.after)
    }

    /// What was to be dropped and is not yet.
    pub fn left(&self) -> impl Iterator<Item = &Dropping> {
        self.due.iter()
    }

    /// Drops what is due at `mark`, which is the state of the run now. The hold began at `began`.
    pub fn drop_due(&mut self, began: Duration, mark: &Mark, control: &Control) {
        while self.next(began).is_some_and(|at| mark.at >= at)
            && let Some(dropping) = self.due.pop_front()
        {
            self.drop(
                mark,
                control,
                DropOrder {
                    share: dropping.share,
                    shift: self.ordered,
                    reset: dropping.reset,
                    policy: None,
                },
            );
        }
    }

    /// Resets all connections, which then come back over `window`. (Those that this side closed would keep their ports for a
    /// minute, in TIME_WAIT.)
    pub fn drop_all(&mut self, mark: &Mark, control: &Control, window: Duration) {
        let policy = match window {
            Duration::ZERO => ReconnectPolicy::Immediate,
            window => ReconnectPolicy::Window(window),
        };
        self.drop(
            mark,
            control,
            DropOrder {
                share: Share::ALL,
                shift: 0,
                reset: true,
                policy: Some(policy),
            },
        );
    }

    /// The last storm, which ends now if it is not over. `None` if no connection was lost.
    pub fn take_last(&mut self) -> Option<Storm> {
        if self.watch.end() {
            self.note_syns();
        }
        self.watch.take_last()
    }

    /// Whether a storm is under way.
    pub fn is_under_way(&self) -> bool {
        self.watch.is_under_way()
    }

    fn drop(&mut self, mark: &Mark, control: &Control, order: DropOrder) {
        if !self.watch.is_under_way() {
            self.read_syns(mark.at);
        }
        self.watch.drops(mark.at, &mark.opened);
        self.ordered += 1;
        control.drop_connections(order);
    }

    /// Looks at the counts of a run whose connections are held. `lost` is when a connection was lost that woke this thread.
    pub fn look(&mut self, at: Duration, counts: &Tally, lost: Duration) {
        let over = self.watch.past().len();
        self.watch.lost_at(lost);
        self.watch.look(at, counts);
        if self.watch.past().len() > over {
            self.note_syns();
            self.read_syns(at);
        } else if !self.watch.is_restless()
            && (self.before).is_none_or(|(read, _)| at >= read + SYNS_EVERY)
        {
            self.read_syns(at);
        }
    }

    /// Whether to look often: a storm is under way, or may be about to begin.
    pub fn is_restless(&self) -> bool {
        self.watch.is_restless()
    }

    /// The storms, once the hold is over.
    pub fn finish(mut self) -> Vec<Storm> {
        if self.watch.end() {
            self.note_syns();
        }
        self.watch.finish()
    }

    fn read_syns(&mut self, at: Duration) {
        self.before = NetStat::read().ok().map(|counts| (at, counts));
    }

    /// Adds what the kernel counted in the storm that is over.
    fn note_syns(&mut self) {
        let now = NetStat::read().ok();
        let during = now
            .zip(self.before)
            .map(|(now, (_, before))| now.since(&before));
        let dropped = during.map(|counts| counts.listen_drops);
        self.watch.note_dropped_syns(dropped);
    }
}
