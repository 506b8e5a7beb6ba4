//! Orders from the main thread to the workers, and the clock they share.

use crate::socket::OwnedEvent;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use throng_core::time::Time;

/// The monotonic clock, counted from the beginning of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The time. Some 25 ns, no system call.
    #[inline]
    pub fn now(self) -> Time {
        Time(self.0.elapsed().as_nanos() as u64)
    }

    /// Since the beginning.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// What workers can be told. Orders add up; none is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Order {
    /// Open (or accept) no more connections; hold those there are.
    StopOpening = 1,
    /// Messages may be sent.
    StartTraffic = 2,
    /// Begin no new message.
    StopTraffic = 4,
    /// Close everything and return.
    Close = 8,
}

/// Orders to all workers of a run, who are woken for each.
#[derive(Debug, Default)]
pub struct Control {
    orders: AtomicU32,
    wakers: Mutex<Vec<Arc<OwnedEvent>>>,
}

impl Control {
    /// One without orders.
    pub fn new() -> Arc<Control> {
        Arc::default()
    }

    /// Gives `order` to all workers, those spawned later included.
    pub fn give(&self, order: Order) {
        self.orders.fetch_or(order as u32, Ordering::Release);
        for waker in self.wakers.lock().unwrap_or_else(|p| p.into_inner()).iter() {
            waker.signal();
        }
    }

    /// A new worker's eventfd, signalled for each order.
    pub(crate) fn enlist(&self) -> io::Result<Arc<OwnedEvent>> {
        let event = Arc::new(OwnedEvent::new()?);
        self.wakers
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .push(Arc::clone(&event));
        Ok(event)
    }

    pub(crate) fn orders(&self) -> Orders {
        Orders(self.orders.load(Ordering::Acquire))
    }
}

/// The orders given so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders(u32);

impl Orders {
    pub fn has(self, order: Order) -> bool {
        self.0 & order as u32 != 0
    }
}
