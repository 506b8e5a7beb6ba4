//! Orders to the workers, measurements from them, and the clock they share.

use crate::socket::EventFd;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use throng_core::behaviour::Steer;
use throng_core::pacing::ReconnectPolicy;
use throng_core::stats::Measured;
use throng_core::storm::Share;
use throng_core::time::Time;

/// The monotonic clock, counted from the start of the run.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// A clock that starts at this instant, at which it says 0, and before it, too.
    pub fn starting(at: Instant) -> Clock {
        Clock(at)
    }

    /// The time now. Takes about 25 ns and no system call.
    #[inline]
    pub fn now(self) -> Time {
        Time(self.elapsed().as_nanos() as u64)
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        Instant::now().saturating_duration_since(self.0)
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
    /// The most connections that clients hold in all.
    most: Most,
    /// All changes of the rate so far.
    steering: Log<Steer>,
    /// All orders to drop connections so far.
    drops: Log<DropOrder>,
    /// Whether the next connection that is lost wakes the thread that conducts the run.
    wakes_on_loss: AtomicBool,
    /// When a loss last did, in nanoseconds since the run began.
    woken_at: AtomicU64,
    conductor: Mutex<Option<Thread>>,
    wakers: Mutex<Vec<Arc<EventFd>>>,
    start: Mutex<Start>,
    start_changed: Condvar,
}

/// Orders that each worker carries out once, in their order.
#[derive(Debug)]
struct Log<T> {
    all: Mutex<Vec<T>>,
    /// Their number, to be read without the lock.
    number: AtomicU32,
}

impl<T> Default for Log<T> {
    fn default() -> Log<T> {
        Log {
            all: Mutex::default(),
            number: AtomicU32::new(0),
        }
    }
}

impl<T> Log<T> {
    fn push(&self, one: T) {
        let mut all = self.all.lock().unwrap_or_else(|p| p.into_inner());
        all.push(one);
        self.number.store(all.len() as u32, Ordering::Release);
    }

    /// Calls `apply` for each order after the first `known`. Returns their number now.
    fn after(&self, known: u32, apply: impl FnMut(&T)) -> u32 {
        if self.number.load(Ordering::Acquire) == known {
            return known;
        }
        let all = self.all.lock().unwrap_or_else(|p| p.into_inner());
        all.iter().skip(known as usize).for_each(apply);
        all.len() as u32
    }
}

/// An order to a client's workers to close open connections. They are opened again as if they had been lost.
#[derive(Clone, Copy, Debug)]
pub struct DropOrder {
    /// Which share of them, evenly spread over the run's numbers of connections.
    pub share: Share,
    /// What is added to these numbers, so that another order for the same share drops others.
    pub shift: u32,
    /// Whether they are reset (RST) instead of closed (FIN).
    pub reset: bool,
    /// How long connections wait from now on until they are opened again; `None` to leave that as it is.
    pub policy: Option<ReconnectPolicy>,
}

/// A bound that is none until it is set.
#[derive(Debug)]
struct Most(AtomicU32);

impl Default for Most {
    fn default() -> Most {
        Most(AtomicU32::new(u32::MAX))
    }
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

    /// Has clients hold at most `most` connections in all, each its share: those with the lowest numbers. They open what is
    /// missing, and close what is beyond. Unlike an [`Order`] it is changed by the next one.
    pub fn hold_at_most(&self, most: u32) {
        if self.most.0.swap(most, Ordering::Release) != most {
            self.wake_all();
        }
    }

    /// The most connections that clients hold in all.
    pub(crate) fn most(&self) -> u32 {
        self.most.0.load(Ordering::Acquire)
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
        self.steering.push(steer);
        self.wake_all();
    }

    /// Calls `apply` for each change of the rate after the first `known`. Returns their number now.
    pub(crate) fn steering(&self, known: u32, apply: impl FnMut(&Steer)) -> u32 {
        self.steering.after(known, apply)
    }

    /// Has all workers drop connections, including those spawned later.
    pub fn drop_connections(&self, order: DropOrder) {
        self.drops.push(order);
        self.wake_all();
    }

    /// Calls `apply` for each order to drop connections after the first `known`. Returns their number now.
    pub(crate) fn drops(&self, known: u32, apply: impl FnMut(&DropOrder)) -> u32 {
        self.drops.after(known, apply)
    }

    /// Has the next connection that is lost unpark the calling thread, once. [`Control::woken_at`] is then when it was.
    pub fn wake_on_loss(&self) {
        *self.conductor.lock().unwrap_or_else(|p| p.into_inner()) = Some(thread::current());
        self.wakes_on_loss.store(true, Ordering::Release);
    }

    /// When the connection was lost that last woke the thread that asked for it.
    pub fn woken_at(&self) -> Time {
        Time(self.woken_at.load(Ordering::Relaxed))
    }

    /// A connection was lost at `now`.
    #[inline]
    pub(crate) fn lost_one(&self, now: Time) {
        if self.wakes_on_loss.load(Ordering::Relaxed) {
            self.wake_conductor(now);
        }
    }

    #[cold]
    fn wake_conductor(&self, now: Time) {
        if self.wakes_on_loss.swap(false, Ordering::Acquire) {
            self.woken_at.store(now.0, Ordering::Relaxed);
            let conductor = self.conductor.lock().unwrap_or_else(|p| p.into_inner());
            conductor.iter().for_each(Thread::unpark);
        }
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
