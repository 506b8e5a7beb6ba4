//! The run on a page that is served while it lasts (`--web`).

use super::output::{Occasion, Opened, Output};
use crate::cli::OUTPUT;
use crate::live_page::{At, LivePage, Place};
use crate::{Failure, command_line};
use clap::Args;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;
use throng_core::observer::{Interval, Note, Observer, Trouble};
use throng_core::record::{Phase, Record};
use throng_host::scheduling::ThreadTime;
use throng_report::html::live::{self, Now};
use throng_report::json::Outcome;

/// How often the page is drawn, at most.
const EVERY: Duration = Duration::from_secs(1);
/// Drawing takes at most one part in so many of a core's time.
const SHARE: u32 = 20;
/// Notes that are shown: the latest ones.
const NOTES: usize = 12;

/// Where the page is served.
#[derive(Clone, Default, Args)]
pub(crate) struct Web {
    /// Show the run on a page for a browser while it lasts, at http://ADDRESS:PORT; not on loopback, its address has a token
    /// [default: 127.0.0.1:9465]
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, require_equals = true, default_missing_value = "",
          value_parser = At::parse, help_heading = OUTPUT)]
    web: Option<At>,

    /// The page, once it is served.
    #[arg(skip)]
    page: Arc<OnceLock<LivePage>>,
}

impl Output for Web {
    fn only_here(&self) -> Option<&'static str> {
        self.web.is_some().then_some("--web")
    }

    fn open(&self, occasion: &Occasion) -> Opened {
        let Some(at) = &self.web else {
            return Ok(None);
        };
        let command = command_line::words();
        let begun = live::begun(occasion.role, &command, &Now::default());
        let page = Place::take(at)?.serve(begun)?;
        let page = self.page.get_or_init(|| page).clone();
        // One record at a time: the next one is wanted once this one is drawn.
        let (sender, receiver) = sync_channel(1);
        let wants = Arc::new(AtomicBool::new(true));
        let (shown, ready) = (page.clone(), Arc::clone(&wants));
        let drawing = thread::Builder::new().name("web".to_owned());
        let drawing = drawing.spawn(move || draw(&shown, &receiver, &ready));
        drawing.map_err(|e| Failure::fault(format!("--web: no thread: {e}")))?;
        Ok(Some(Box::new(Watched {
            page,
            role: occasion.role,
            command,
            now: Now::default(),
            drawn: false,
            wants,
            sender,
        })))
    }

    /// Shows the result to those who still look at the page.
    fn finish(&self, outcome: &Outcome) -> Result<(), Failure> {
        if let Some(page) = self.page.get().filter(|page| page.is_watched()) {
            page.show(live::of_ended_run(outcome));
            page.end();
        }
        Ok(())
    }
}

/// Draws what is received, and says when it is ready for more.
fn draw(page: &LivePage, received: &Receiver<(Record, Now)>, ready: &AtomicBool) {
    while let Ok((record, now)) = received.recv() {
        let before = ThreadTime::own().unwrap_or_default();
        page.show(live::of_run(&Outcome::of(record), &now));
        // It may have had to wait for a core.
        let took = ThreadTime::own().unwrap_or_default().since(&before);
        thread::sleep(took.ran * (SHARE - 1));
        ready.store(true, Ordering::Release);
    }
}

/// A run on its page.
struct Watched {
    page: LivePage,
    role: &'static str,
    command: Vec<String>,
    /// What the run is doing.
    now: Now,
    /// Whether the present interval is on the page.
    drawn: bool,
    /// Whether the thread that draws is ready for more.
    wants: Arc<AtomicBool>,
    sender: SyncSender<(Record, Now)>,
}

impl Observer for Watched {
    /// Nothing, while nobody looks.
    fn collects(&self, from: Duration) -> Option<Duration> {
        self.page.is_watched().then(|| from + EVERY)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        self.now = Now {
            phase: Some(interval.phase),
            elapsed: interval.to,
            left: interval.left,
            open: interval.subject().now.open(),
            asked: interval.asked,
            ..std::mem::take(&mut self.now)
        };
        self.drawn = false;
        Ok(())
    }

    fn wants_record(&self) -> bool {
        !self.drawn && self.now.phase.is_some() && self.wants.load(Ordering::Acquire)
    }

    fn record(&mut self, record: Record) {
        self.drawn = true;
        self.now.started_unix_s = record.started_unix_s();
        self.wants.store(false, Ordering::Release);
        let record = record.with_command(self.command.clone());
        // The channel has room: the one before was drawn.
        let _ = self.sender.try_send((record, self.now.clone()));
    }

    fn note(&mut self, note: &Note) {
        match note {
            // These say how the run goes on, which the page does, too.
            Note::Planned(_) | Note::Ramped { .. } | Note::Trial(_) => return,
            Note::OpeningPaused => {
                self.now.paused = true;
                return;
            }
            Note::OpeningGoesOn { .. } => self.now.paused = false,
            _ => {}
        }
        self.now.notes.push(note.to_string());
        let over = self.now.notes.len().saturating_sub(NOTES);
        self.now.notes.drain(..over);
    }

    fn closing(&mut self) {
        self.now.phase = Some(Phase::Closing);
        if self.page.is_watched() {
            let head = live::head(self.role, &self.command, &self.now);
            self.page.show_part(head);
        }
    }
}
