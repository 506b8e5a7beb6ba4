//! The run on the full screen of the terminal (`--tui`), in place of the live view.

use super::output::{Occasion, Opened, Output};
use crate::cli::OUTPUT;
use crate::screen::{self, FullScreen};
use clap::Args;
use std::io;
use std::time::Duration;
use throng_core::observer::{Interval, Note, Observer, Trouble};
use throng_core::record::Phase;
use throng_report::colour;
use throng_report::tui::{LEAST, Screen, size};

/// How often the screen is drawn.
const DRAWN: Duration = Duration::from_millis(250);
/// How often latencies are brought up to date.
const MEASURED: Duration = Duration::from_secs(1);

/// Whether the run has the full screen.
#[derive(Clone, Default, Args)]
pub(crate) struct Tui {
    /// Show the run on the full screen: rates and latencies over time, failures, limits; q ends the run. The terminal needs 60
    /// columns and 16 rows
    #[arg(long, conflicts_with = "quiet", help_heading = OUTPUT)]
    tui: bool,
}

impl Tui {
    /// Why the full screen that was asked for is not shown; `None` if it is, or was not asked for.
    fn why_not(&self) -> Option<String> {
        if !self.tui {
            return None;
        }
        let (columns, rows) = LEAST;
        match size().filter(|_| screen::is_there()) {
            None => Some("stderr is no terminal that has one".to_owned()),
            Some((has, _)) if has < columns => Some(format!(
                "it needs {columns} columns, and the terminal has {has}"
            )),
            Some((_, has)) if has < rows => {
                Some(format!("it needs {rows} rows, and the terminal has {has}"))
            }
            Some(_) => None,
        }
    }
}

impl Output for Tui {
    fn fills_screen(&self) -> bool {
        self.tui && self.why_not().is_none()
    }

    fn open(&self, occasion: &Occasion) -> Opened {
        if let Some(why) = self.why_not() {
            eprintln!("throng: no full screen (--tui): {why}");
        }
        if !self.fills_screen() {
            return Ok(None);
        }
        let keys = match (occasion.has_constant_rate, occasion.role) {
            (true, _) => "↑ faster  ↓ slower  p pauses opening  q ends the run",
            (false, "load") => "p pauses opening  q ends the run",
            (false, _) => "q ends the run",
        };
        let title = format!("throng {}", occasion.role);
        let colour = colour::wanted(&io::stderr());
        Ok(Some(Box::new(Shown {
            full: Some(FullScreen::take()),
            screen: Screen::new(title, &occasion.measures, keys.into(), colour),
            warnings: Vec::new(),
        })))
    }
}

struct Shown {
    /// The terminal, until the run is over.
    full: Option<FullScreen>,
    screen: Screen,
    /// What is worth reading after the run, too.
    warnings: Vec<String>,
}

impl Observer for Shown {
    fn due(&self, from: Duration) -> Duration {
        from + DRAWN
    }

    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + MEASURED)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        self.screen.interval(interval);
        if let (Some(full), Some((columns, rows))) = (&self.full, size())
            && interval.phase != Phase::Closing
        {
            let screen = &mut self.screen;
            full.show(|all| {
                if all {
                    screen.forget();
                }
                screen.drawn(columns, rows)
            });
        }
        Ok(())
    }

    fn note(&mut self, note: &Note) {
        self.screen.note(note);
        // The others say how the run went on, which its summary does, too.
        if !matches!(
            note,
            Note::Planned(_) | Note::Ramped { .. } | Note::Trial(_)
        ) {
            self.warnings.push(note.to_string());
        }
        if self.full.is_none() {
            self.tell();
        }
    }

    fn closing(&mut self) {
        self.leave();
    }
}

impl Shown {
    /// Gives the screen back, and says what was noted meanwhile.
    fn leave(&mut self) {
        if self.full.take().is_some() {
            self.tell();
        }
    }

    fn tell(&mut self) {
        for warning in self.warnings.drain(..) {
            for line in warning.lines() {
                eprintln!("throng: {line}");
            }
        }
    }
}

impl Drop for Shown {
    /// A run that failed has no end.
    fn drop(&mut self) {
        self.leave();
    }
}
