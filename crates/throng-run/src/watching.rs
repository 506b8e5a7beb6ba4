//! Watches the system under test: a thread takes its readings, so that one that takes long delays nothing.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use throng_core::record::{Thinning, Watched, WatchedReading};
use throng_engine::Clock;
use throng_host::watched::Sampler;

/// The interval between readings.
const EVERY: Duration = Duration::from_secs(1);
/// Readings take at most one part of these of a core.
const SHARE: u32 = 10;
/// How long the first reading may take.
const FIRST: Duration = Duration::from_secs(5);

/// A system under test that is watched, from just before a run.
pub struct Watching {
    orders: Sender<Order>,
    known: Arc<Mutex<Known>>,
    thread: JoinHandle<()>,
}

enum Order {
    /// The run begins: its times count from here on.
    Since(Clock),
    /// It is over: take the last reading.
    Finish,
}

/// What is known so far.
#[derive(Default)]
struct Known {
    watched: Watched,
    latest: Option<WatchedReading>,
    /// Whether the latest is among the readings of `watched`.
    kept: bool,
}

impl Watching {
    /// Takes the first reading of what `sampler` reads, and then one per second: fewer if that would take more than a
    /// tenth of a core.
    ///
    /// # Errors
    /// The thread can't be started.
    pub fn start(mut sampler: Sampler) -> io::Result<Watching> {
        let (orders, ordered) = mpsc::channel();
        let known = Arc::new(Mutex::new(Known {
            watched: sampler.about(),
            ..Known::default()
        }));
        let publish = Arc::clone(&known);
        let (first, began) = mpsc::channel::<()>();
        let watching = move || {
            let mut thinning = Thinning::default();
            let mut clock: Option<Clock> = None;
            let mut first = Some(first);
            loop {
                let before = Instant::now();
                let read = sampler.read(clock.map_or(Duration::ZERO, Clock::elapsed));
                let took = before.elapsed();
                {
                    let mut known = held(&publish);
                    if let Some(reading) = read {
                        known.kept = known.watched.add(reading, &mut thinning);
                        known.latest = Some(reading);
                    }
                    sampler.update(&mut known.watched);
                }
                drop(first.take());
                if read.is_none() {
                    return;
                }
                let until = Instant::now() + EVERY.saturating_sub(took).max(took * (SHARE - 1));
                loop {
                    let left = until.saturating_duration_since(Instant::now());
                    match ordered.recv_timeout(left) {
                        Ok(Order::Since(started)) => clock = Some(started),
                        Err(RecvTimeoutError::Timeout) => break,
                        // The last reading, and no more.
                        Ok(Order::Finish) | Err(RecvTimeoutError::Disconnected) => {
                            let read = sampler.read(clock.map_or(Duration::ZERO, Clock::elapsed));
                            let mut known = held(&publish);
                            if let Some(reading) = read {
                                known.kept = false;
                                known.latest = Some(reading);
                            }
                            sampler.update(&mut known.watched);
                            return;
                        }
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("watching".into());
        let thread = thread.spawn(watching)?;
        // It ends with the first reading, by which the sender is dropped.
        let _ = began.recv_timeout(FIRST);
        Ok(Watching {
            orders,
            known,
            thread,
        })
    }

    /// The same, in a run whose time began with `clock`.
    #[must_use]
    pub(crate) fn since(self, clock: Clock) -> Watching {
        // It may have ended already.
        let _ = self.orders.send(Order::Since(clock));
        self
    }

    /// The latest reading.
    pub(crate) fn latest(&self) -> Option<WatchedReading> {
        held(&self.known).latest
    }

    /// What is known so far.
    pub(crate) fn so_far(&self) -> Watched {
        let known = held(&self.known);
        let mut watched = known.watched.clone();
        watched
            .readings
            .extend(known.latest.filter(|_| !known.kept));
        watched
    }

    /// Takes the last reading, for which it waits at most for as long as `within`. Returns what is known then.
    pub(crate) fn finish(self, within: Duration) -> Watched {
        let _ = self.orders.send(Order::Finish);
        let began = Instant::now();
        while !self.thread.is_finished() && began.elapsed() < within {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut watched = self.so_far();
        if !self.thread.is_finished() {
            let late = "the last reading: it takes longer than the run may";
            watched.unread.push(late.into());
        }
        watched
    }
}

/// What is known, whatever became of the thread that published it.
fn held(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
