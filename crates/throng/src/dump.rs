//! Prints traffic while it flows (`--dump-all`, `--dump-one`): a line on stderr for each read and write.

use crate::Failure;
use crate::ask::report::{Dump, Whose};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use throng_core::behaviour::Tap;
use throng_report::dump::{self, Way};
use throng_run::Taps;

/// Lines that may wait to be printed. Beyond that a worker waits, because a dump should be complete.
const WAITING: usize = 4096;
/// No connection.
const NO_CONNECTION: u64 = u64::MAX;

/// Prints the traffic of a run.
#[derive(Clone)]
pub(crate) struct Dumping {
    asked: Dump,
    lines: SyncSender<Vec<u8>>,
    /// The one connection whose traffic is printed, if only one's is.
    one: Arc<AtomicU64>,
}

impl Dumping {
    /// Starts a thread that prints the traffic that `asked` selects; `None` if it selects none.
    pub fn start(asked: Dump) -> Result<Option<Dumping>, Failure> {
        if asked.is_off() {
            return Ok(None);
        }
        let (lines, printed) = sync_channel::<Vec<u8>>(WAITING);
        thread::Builder::new()
            .name("dump".into())
            .spawn(move || {
                for line in printed {
                    // If stderr's reader has gone away, only the dump ends.
                    if io::stderr().write_all(&line).is_err() {
                        return;
                    }
                }
            })
            .map_err(|e| Failure::fault(format!("can't start a thread to print traffic: {e}")))?;
        Ok(Some(Dumping {
            asked,
            lines,
            one: Arc::new(AtomicU64::new(NO_CONNECTION)),
        }))
    }
}

impl Taps for Dumping {
    /// Accepted connections have odd numbers, opened ones even numbers.
    fn tap(&self, worker: u32, workers: u32, accepted: bool) -> Box<dyn Tap> {
        Box::new(WorkerTap {
            dumping: self.clone(),
            worker: worker.into(),
            workers: workers.into(),
            accepted,
        })
    }
}

struct WorkerTap {
    dumping: Dumping,
    worker: u64,
    workers: u64,
    accepted: bool,
}

impl WorkerTap {
    /// A number that no other connection of the run has.
    fn number(&self, id: u32) -> u64 {
        match self.accepted {
            // Each worker numbers its accepted connections on its own.
            true => (u64::from(id) * self.workers + self.worker) * 2 + 1,
            false => u64::from(id) * 2,
        }
    }

    fn print(&self, whose: Whose, way: Way, id: u32, bytes: &[u8]) {
        let number = self.number(id);
        let wanted = match whose {
            Whose::None => false,
            Whose::All => true,
            Whose::One => {
                let one = &self.dumping.one;
                let taken = one.compare_exchange(NO_CONNECTION, number, Relaxed, Relaxed);
                taken.is_ok() || taken == Err(number)
            }
        };
        if wanted && !bytes.is_empty() {
            let mut line = Vec::new();
            dump::line(way, number, bytes, &mut line);
            // If the printing thread has ended, the traffic goes on.
            let _ = self.dumping.lines.send(line);
        }
    }
}

impl Tap for WorkerTap {
    fn received(&mut self, id: u32, bytes: &[u8]) {
        self.print(self.dumping.asked.received, Way::Received, id, bytes);
    }

    fn sent(&mut self, id: u32, bytes: &[u8]) {
        self.print(self.dumping.asked.sent, Way::Sent, id, bytes);
    }

    fn closed(&mut self, id: u32) {
        let number = self.number(id);
        let one = &self.dumping.one;
        let _ = one.compare_exchange(number, NO_CONNECTION, Relaxed, Relaxed);
    }
}
