//! The floods of a worker: what is known of each while it stays in the kernel. [`flooding`](super::flooding) says how one goes.

use super::op::Tag;
use crate::pipes::{Pipe, Pipes};
use crate::socket;
use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;
use throng_core::engine::Engine;
use throng_core::time::Time;

/// A flood in which nothing has arrived for this long leaves its pipe to another one.
const IDLE: Duration = Duration::from_millis(200);

/// A flood from a connection to its partner.
pub(super) struct Flood {
    /// The extra of its polls.
    pub number: u16,
    pub stage: Stage,
    /// When something last arrived.
    pub at: Time,
}

/// How far a flood has come.
pub(super) enum Stage {
    /// What was received before is sent first.
    Begins,
    /// The descriptors are asked for.
    Asked([Option<OwnedFd>; 2]),
    Flows(Flow),
}

/// A flood under way.
pub(super) struct Flow {
    pub from: OwnedFd,
    pub to: OwnedFd,
    pub pipe: Pipe,
    /// Bytes in the pipe.
    pub left: usize,
    /// How many splices in a row brought little.
    pub few: u8,
    /// The poll that is armed.
    pub poll: Option<Tag>,
}

impl Flow {
    /// Moves bytes into the pipe, which is empty. Zero is the end of the stream.
    pub fn fill(&self) -> Result<usize, i32> {
        let from = self.from.as_raw_fd();
        socket::without_waiting(from, || self.pipe.fill(from))
    }

    /// Moves bytes out of the pipe.
    pub fn empty(&self) -> Result<usize, i32> {
        let to = self.to.as_raw_fd();
        socket::without_waiting(to, || self.pipe.empty(to, self.left))
    }
}

/// The floods of a worker, by the connections that they are received from.
pub(super) struct Floods {
    pub all: HashMap<u32, Flood>,
    pub pipes: Pipes,
    /// The number of the last one.
    pub last: u16,
    /// Until when none begins.
    pub rest: Time,
}

impl Default for Floods {
    fn default() -> Floods {
        Floods {
            all: HashMap::new(),
            pipes: Pipes::of(Engine::Uring),
            last: 0,
            rest: Time::START,
        }
    }
}

impl Floods {
    /// Whether connection `index` is received from by a flood, or will be.
    #[inline]
    pub fn has(&self, index: u32) -> bool {
        !self.all.is_empty() && self.all.contains_key(&index)
    }

    /// Ends all, and closes their descriptors.
    pub fn clear(&mut self) {
        self.all.clear();
    }

    /// Whether the one from connection `index` has not asked for its descriptors yet.
    pub fn begins(&self, index: u32) -> bool {
        let flood = self.all.get(&index);
        flood.is_some_and(|flood| matches!(flood.stage, Stage::Begins))
    }

    /// The one from connection `index`, if it is under way.
    pub fn flow(&mut self, index: u32) -> Option<&mut Flow> {
        match &mut self.all.get_mut(&index)?.stage {
            Stage::Flows(flow) => Some(flow),
            Stage::Begins | Stage::Asked(_) => None,
        }
    }

    /// One of them that is idle.
    pub fn idle(&self, now: Time) -> Option<u32> {
        let idle = |flood: &Flood| match &flood.stage {
            Stage::Flows(flow) => flow.left == 0 && now.since(flood.at) >= IDLE,
            Stage::Begins | Stage::Asked(_) => false,
        };
        let mut all = self.all.iter();
        all.find(|(_, flood)| idle(flood)).map(|(index, _)| *index)
    }
}
