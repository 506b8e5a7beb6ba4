//! Admission: how many connections may be opened now without overflowing an accept queue on this machine, and without
//! more TLS handshakes at once than the window allows. For targets on other machines, lost SYNs slow the run down; see
//! `ConnectPace`.

use std::net::SocketAddr;
use std::sync::Arc;
use throng_core::stats::Counters;
use throng_engine::Admission;
use throng_host::listen::AcceptQueueProbe;

/// At most 1/`PART` of an accept queue is filled, so that connections under way still find room.
const PART: u32 = 2;

/// The accept queue of a server worker in the same process: connections that its client opened and it did not accept
/// yet.
pub(crate) struct OwnQueue {
    pub client: Arc<Counters>,
    pub server: Arc<Counters>,
    pub backlog: u32,
}

impl Admission for OwnQueue {
    fn room(&mut self) -> u32 {
        // In this order, connections accepted in between only make the queue look longer.
        let accepted = self.server.accepted.get();
        let opened = self.client.established.get();
        let queued = u32::try_from(opened.saturating_sub(accepted)).unwrap_or(u32::MAX);
        (self.backlog / PART).saturating_sub(queued)
    }
}

/// The accept queues of other processes' listeners in this network namespace, as the kernel reports them.
pub(crate) struct LocalListeners {
    probe: AcceptQueueProbe,
    targets: Vec<SocketAddr>,
    workers: u32,
}

/// The most local targets whose queues are looked up for every batch of connections.
const MOST_TARGETS: usize = 8;

impl LocalListeners {
    /// The listeners on this machine among `targets`; `None` if there are none.
    pub fn find(targets: impl Iterator<Item = SocketAddr>, workers: u32) -> Option<LocalListeners> {
        let mut probe = AcceptQueueProbe::open().ok()?;
        let targets: Vec<SocketAddr> = targets
            .take(MOST_TARGETS)
            .filter(|t| matches!(probe.accept_queue(*t), Ok(Some(_))))
            .collect();
        (!targets.is_empty()).then_some(LocalListeners {
            probe,
            targets,
            workers,
        })
    }
}

impl Admission for LocalListeners {
    fn room(&mut self) -> u32 {
        // A listener that is gone bounds nothing; connecting will fail.
        let queues = self
            .targets
            .iter()
            .filter_map(|t| self.probe.accept_queue(*t).ok().flatten());
        let room = queues
            .map(|q| (q.limit / PART).saturating_sub(q.waiting).min(q.room))
            .min();
        room.map_or(u32::MAX, |n| n.div_ceil(self.workers))
    }
}

/// TLS handshakes of a worker: no more at once than the window of connection attempts. A kernel accepts connections
/// much faster than a server can secure them; without this bound they would wait there until they time out.
pub(crate) struct Handshakes {
    pub counters: Arc<Counters>,
    /// The most handshakes at once.
    pub window: u32,
    /// A further bound on opening.
    pub queue: Option<Box<dyn Admission>>,
}

impl Admission for Handshakes {
    fn room(&mut self) -> u32 {
        let under_way = self.counters.handshakes_under_way();
        let room = u64::from(self.window).saturating_sub(under_way) as u32;
        match &mut self.queue {
            Some(queue) if room > 0 => room.min(queue.room()),
            _ => room,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Room(u32);

    impl Admission for Room {
        fn room(&mut self) -> u32 {
            self.0
        }
    }

    #[test]
    fn no_more_handshakes_are_begun_than_the_window_allows() {
        let counters = Arc::new(Counters::default());
        let with = |queue| Handshakes {
            counters: counters.clone(),
            window: 100,
            queue,
        };
        let (mut alone, mut queued) = (with(None), with(Some(Box::new(Room(7)))));
        assert_eq!((alone.room(), queued.room()), (100, 7));
        counters.established.add(95);
        assert_eq!((alone.room(), queued.room()), (5, 5));
        counters.established.add(10);
        assert_eq!((alone.room(), queued.room()), (0, 0));
        counters.tls.secured.add(60);
        assert_eq!((alone.room(), queued.room()), (55, 7));
    }
}
