//! Orders to the workers, measurements from them, and the clock they share.

use crate::socket::EventFd;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};
use throng_core::behaviour::Steer;
use throng_core::stats::Measured;
use throng_core::time::Time;

/// The monotonic clock, counted from the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The time now. Takes about 25 ns and no system call.
    #[inline]
    pub fn now(self) -> Time {
        Time(self.0.elapsed().as_nanos() as u64)
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// An order to the workers. Orders add up. None can be withdrawn but [`Order::PauseOpening`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Order {
    /// Clients: open no more connections and hold the open ones.
    StopOpening = 1,
    /// Clients: open no more connections until this is [withdrawn](Control::withdraw_pause), and hold the open ones.
    PauseOpening = 64,
    /// Servers: accept no more connections and hold the open ones.
    StopAccepting = 32,
    /// Start to send messages. Given by [`Control::start_traffic`].
    StartTraffic = 2,
    /// Start no new message.
    StopTraffic = 4,
    /// Close each connection as its protocol does (a WebSocket Close frame, for example).
    Farewell = 16,
    /// Close everything and return.
    Close = 8,
}

/// Orders to all workers of a run. Each order wakes them.
#[derive(Debug, Default)]
pub struct Control {
    orders: AtomicU32,
    /// Nanoseconds since the run began.
    traffic_began: AtomicU64,
    /// The number of collections asked for so far.
    collections: AtomicU32,
    /// All changes of the rate so far.
    steering: Mutex<Vec<Steer>>,
    /// Their number, to be read without the lock.
    steered: AtomicU32,
    wakers: Mutex<Vec<Arc<EventFd>>>,
    start: Mutex<Start>,
    start_changed: Condvar,
}

/// What workers wait for before they begin.
#[derive(Debug, Default)]
struct Start {
    all_spawned: bool,
    /// The number of workers that were spawned and are not set up yet.
    setting_up: u32,
}

impl Control {
    /// A control without orders.
    pub fn new() -> Arc<Control> {
        Arc::default()
    }

    /// Lets the workers begin, once all that were spawned are set up. Otherwise the connections of the first one could
    /// take the files or the memory that the next one needs for its event loop.
    pub fn begin(&self) {
        self.start().all_spawned = true;
        self.start_changed.notify_all();
    }

    /// Gives `order` to all workers, including those spawned later.
    pub fn give(&self, order: Order) {
        self.orders.fetch_or(order as u32, Ordering::Release);
        self.wake_all();
        if order == Order::Close {
            // The lock keeps this from falling between a worker's check and its wait.
            drop(self.start());
            self.start_changed.notify_all();
        }
    }

    /// Withdraws [`Order::PauseOpening`].
    pub fn withdraw_pause(&self) {
        let others = !(Order::PauseOpening as u32);
        self.orders.fetch_and(others, Ordering::Release);
        self.wake_all();
    }

    /// Gives [`Order::StartTraffic`]. Traffic counts from `now` on all workers.
    pub fn start_traffic(&self, now: Time) {
        self.traffic_began.store(now.0, Ordering::Relaxed);
        self.give(Order::StartTraffic);
    }

    /// When traffic began, if it was ordered.
    pub(crate) fn traffic_began(&self) -> Time {
        Time(self.traffic_began.load(Ordering::Relaxed))
    }

    /// Changes the rate of the whole run on all workers, including those spawned later.
    pub fn steer(&self, steer: Steer) {
        let mut all = self.steering.lock().unwrap_or_else(|p| p.into_inner());
        all.push(steer);
        self.steered.store(all.len() as u32, Ordering::Release);
        drop(all);
        self.wake_all();
    }

    /// Calls `apply` for each change of the rate after the first `known`. Returns their number now.
    pub(crate) fn steering(&self, known: u32, mut apply: impl FnMut(&Steer)) -> u32 {
        if self.steered.load(Ordering::Acquire) == known {
            return known;
        }
        let all = self.steering.lock().unwrap_or_else(|p| p.into_inner());
        all.iter().skip(known as usize).for_each(&mut apply);
        all.len() as u32
    }

    /// Asks all workers to leave in their [`Outlet`] what they measured since the last collection. Returns
    /// the number of this collection.
    pub fn collect(&self) -> u32 {
        let number = self.collections.fetch_add(1, Ordering::Release) + 1;
        self.wake_all();
        number
    }

    pub(crate) fn collection(&self) -> u32 {
        self.collections.load(Ordering::Acquire)
    }

    fn wake_all(&self) {
        for waker in self.wakers.lock().unwrap_or_else(|p| p.into_inner()).iter() {
            waker.signal();
        }
    }

    /// An eventfd for a new worker, signalled for each order.
    pub(crate) fn enlist(&self) -> io::Result<Arc<EventFd>> {
        let event = Arc::new(EventFd::new()?);
        self.wakers
            .lock()
            .unwrap_or_else(|p| p.into_inner())
            .push(Arc::clone(&event));
        Ok(event)
    }

    pub(crate) fn orders(&self) -> Orders {
        Orders(self.orders.load(Ordering::Acquire))
    }

    fn start(&self) -> MutexGuard<'_, Start> {
        self.start.lock().unwrap_or_else(|p| p.into_inner())
    }
}

/// A worker that is being set up. The others begin only once this is dropped.
#[derive(Debug)]
pub(crate) struct SettingUp(Arc<Control>);

impl SettingUp {
    pub fn new(control: Arc<Control>) -> SettingUp {
        control.start().setting_up += 1;
        SettingUp(control)
    }

    /// The worker is set up. Waits for the others, until they [begin](Control::begin) together or are to close.
    pub fn done(self) {
        let control = Arc::clone(&self.0);
        drop(self);
        let wait = |start: &mut Start| {
            let ready = start.all_spawned && start.setting_up == 0;
            !ready && !control.orders().has(Order::Close)
        };
        drop(control.start_changed.wait_while(control.start(), wait));
    }
}

impl Drop for SettingUp {
    fn drop(&mut self) {
        self.0.start().setting_up -= 1;
        self.0.start_changed.notify_all();
    }
}

/// Where a worker leaves its measurements, when it is asked to and when it ends.
#[derive(Debug, Default)]
pub struct Outlet {
    left: Mutex<(u32, Measured)>,
    thread: AtomicU32,
}

impl Outlet {
    /// The id of the thread that the worker runs in; `None` before it has started.
    pub fn thread(&self) -> Option<u32> {
        Some(self.thread.load(Ordering::Relaxed)).filter(|id| *id > 0)
    }

    pub(crate) fn run_by(&self, thread: u32) {
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// What was left here since the last call.
    pub fn take(&self) -> Measured {
        std::mem::take(&mut self.lock().1)
    }

    /// The last [collection](Control::collect) that the worker has answered; [`u32::MAX`] once it has
    /// ended. A worker answers a collection after it has taken all orders given before.
    pub fn collected(&self) -> u32 {
        self.lock().0
    }

    pub(crate) fn put(&self, collection: u32, measured: Measured) {
        let mut here = self.lock();
        here.0 = collection;
        here.1.merge(measured);
    }

    fn lock(&self) -> MutexGuard<'_, (u32, Measured)> {
        self.left.lock().unwrap_or_else(|p| p.into_inner())
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
