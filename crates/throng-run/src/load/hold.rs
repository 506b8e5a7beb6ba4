//! How long connections are held: for a fixed time, for the length of a profile, as long as lines arrive on stdin, or until
//! the run is asked to end.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;
use throng_core::behaviour::Steer;
use throng_core::pacing::Piece;
use throng_core::scenario::{LoadScenario, RunRate};
use throng_engine::{Clock, Control};

/// How long after it was read a line of stdin takes effect, so that it reaches all workers in time.
const AHEAD: Duration = Duration::from_millis(5);

/// When the hold ends.
pub(crate) enum Hold {
    /// At this time.
    Until(Duration),
    /// At the end of the last line's piece.
    Lines(Lines),
    /// When the run is asked to end.
    Forever,
}

impl Hold {
    /// A hold that begins now. `profile` has the lines that the rate follows, if the scenario asks for that.
    pub fn begin(
        scenario: &LoadScenario,
        control: &Arc<Control>,
        clock: Clock,
        profile: Option<Box<dyn BufRead + Send>>,
    ) -> Hold {
        let now = clock.elapsed();
        match scenario.pace.sending.run_rate() {
            Some(RunRate::Profile(profile)) => {
                Hold::Until(now + scenario.pace.delay + profile.duration())
            }
            Some(RunRate::Stdin) => {
                let lines = profile.unwrap_or_else(|| Box::new(std::io::empty()));
                Hold::Lines(Lines::follow(lines, Arc::clone(control), clock))
            }
            Some(RunRate::Constant(_)) | None => match scenario.hold.length() {
                Some(length) => Hold::Until(now + length),
                None => Hold::Forever,
            },
        }
    }

    /// When it ends, if that is known.
    pub fn end(&self) -> Option<Duration> {
        match self {
            Hold::Until(end) => Some(*end),
            Hold::Lines(lines) => lines.end(),
            Hold::Forever => None,
        }
    }

    /// Whether it ends only when the run is asked to end.
    pub fn is_forever(&self) -> bool {
        matches!(self, Hold::Forever)
    }

    /// What went wrong, if anything did.
    pub fn trouble(&self) -> Option<String> {
        match self {
            Hold::Until(_) | Hold::Forever => None,
            Hold::Lines(lines) => lines.trouble().clone(),
        }
    }

    /// Messages that the lines asked for; `None` without lines.
    pub fn asked(&self) -> Option<f64> {
        match self {
            Hold::Until(_) | Hold::Forever => None,
            Hold::Lines(lines) => {
                Some(*lines.shared.asked.lock().unwrap_or_else(|p| p.into_inner()))
            }
        }
    }
}

/// Lines `<duration_ms> <rate>` from stdin, which steer the rate as they arrive.
pub(crate) struct Lines {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// When the last piece ends: nanoseconds since the run began.
    end_ns: AtomicU64,
    /// There are no more lines.
    over: AtomicBool,
    trouble: Mutex<Option<String>>,
    /// Messages asked for in all.
    asked: Mutex<f64>,
}

impl Lines {
    /// Reads lines in a thread of its own, which ends with the last line (or with the process, if it waits for one).
    fn follow(lines: Box<dyn BufRead + Send>, control: Arc<Control>, clock: Clock) -> Lines {
        let shared = Arc::new(Shared::default());
        shared.end_ns.store(clock.now().0, Ordering::Relaxed);
        let theirs = Arc::clone(&shared);
        let reading = thread::Builder::new()
            .name("profile".into())
            .spawn(move || theirs.read(lines, &control, clock));
        if let Err(e) = reading {
            *shared.trouble() = Some(format!("can't start a thread to read the profile: {e}"));
            shared.over.store(true, Ordering::Release);
        }
        Lines { shared }
    }

    fn end(&self) -> Option<Duration> {
        let over = self.shared.over.load(Ordering::Acquire);
        over.then(|| Duration::from_nanos(self.shared.end_ns.load(Ordering::Relaxed)))
    }

    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.shared.trouble()
    }
}

impl Shared {
    fn trouble(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(|p| p.into_inner())
    }

    fn read(&self, lines: impl BufRead, control: &Control, clock: Clock) {
        for (number, line) in lines.lines().enumerate() {
            let piece = match line {
                Ok(line) => Piece::from_line(&line, number as u64 + 1).map_err(|e| e.to_string()),
                Err(e) => Err(format!("--profile -: {e}")),
            };
            match piece {
                Ok(None) => {}
                Ok(Some(piece)) => {
                    let from = clock.now() + AHEAD;
                    control.steer(Steer::Piece { from, piece });
                    let begins = self.end_ns.load(Ordering::Relaxed).max(from.0);
                    let length = piece.duration().as_nanos() as u64;
                    self.end_ns.store(begins + length, Ordering::Relaxed);
                    let messages =
                        (piece.from() + piece.to()) / 2.0 * piece.duration().as_secs_f64();
                    *self.asked.lock().unwrap_or_else(|p| p.into_inner()) += messages;
                }
                Err(trouble) => {
                    *self.trouble() = Some(trouble);
                    break;
                }
            }
        }
        self.over.store(true, Ordering::Release);
    }
}
