//! The run as it goes, on stderr: on a terminal one or two lines that are drawn over each time,
//! elsewhere one plain line for each call. What is printed in between goes through [`Live::note`].
//!
//! Nothing here can fail the run: what stderr does not take is dropped. A terminal that is stopped
//! (Ctrl-S) blocks [`Live::update`], as it does any program; so no worker calls it.

mod lines;
#[cfg(test)]
mod tests;

use crate::colour;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use throng_core::summary::Snapshot;

/// How the live view looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveStyle {
    /// Lines that are drawn over: call [`Live::update`] ten times a second.
    Terminal,
    /// One line for each call, without escape codes: once a second.
    Plain,
    /// Nothing but notes.
    Quiet,
}

impl LiveStyle {
    /// That which suits stderr, or [`LiveStyle::Quiet`] if the user asked for it.
    pub fn detect(quiet: bool) -> LiveStyle {
        let dumb = std::env::var_os("TERM").is_some_and(|t| t == "dumb");
        match (quiet, io::stderr().is_terminal() && !dumb) {
            (true, _) => LiveStyle::Quiet,
            (false, true) => LiveStyle::Terminal,
            (false, false) => LiveStyle::Plain,
        }
    }

    /// How often to call [`Live::update`].
    pub fn every(self) -> Duration {
        match self {
            LiveStyle::Terminal => Duration::from_millis(100),
            LiveStyle::Plain | LiveStyle::Quiet => Duration::from_secs(1),
        }
    }
}

/// The columns to reckon with where they can't be known.
const COLUMNS: usize = 80;

/// The live view. What it shows on a terminal is wiped when it is dropped.
pub struct Live<W: Write = io::Stderr> {
    out: W,
    style: LiveStyle,
    colour: bool,
    columns: Box<dyn Fn() -> usize + Send>,
    /// The lines that are on the terminal now.
    shown: Vec<String>,
}

impl Live {
    /// On stderr, in colour if that is wanted there.
    pub fn new(style: LiveStyle) -> Live {
        let columns = || terminal_size::terminal_size_of(io::stderr()).map_or(0, |(w, _)| w.0);
        let colour = colour::wanted(&io::stderr());
        Live::over(io::stderr(), style, colour, move || columns().into())
    }
}

impl<W: Write> Live<W> {
    /// On `out`. `columns` is asked for the terminal's width each time; 0 is unknown.
    pub fn over(
        out: W,
        style: LiveStyle,
        colour: bool,
        columns: impl Fn() -> usize + Send + 'static,
    ) -> Live<W> {
        Live {
            out,
            style,
            colour: colour && style == LiveStyle::Terminal,
            columns: Box::new(columns),
            shown: Vec::new(),
        }
    }

    /// Shows `snapshot`.
    pub fn update(&mut self, snapshot: &Snapshot) {
        match self.style {
            LiveStyle::Quiet => {}
            LiveStyle::Plain => {
                let line = lines::plain(snapshot) + "\n";
                self.write(&line);
            }
            LiveStyle::Terminal => {
                let columns = match (self.columns)() {
                    0 => COLUMNS,
                    n => n,
                };
                // One column less: a terminal wraps, or clears, once the last one is written.
                let lines = lines::of(snapshot, columns - 1, self.colour);
                let frame = self.home() + &lines.join("\x1b[K\r\n") + "\x1b[J";
                self.shown = lines;
                self.write(&frame);
            }
        }
    }

    /// Prints `text` on lines of its own, the live view staying below it. In every style: that
    /// progress is not wanted does not mean that warnings aren't.
    pub fn note(&mut self, text: &str) {
        let mut all = self.home();
        if !self.shown.is_empty() {
            all += "\x1b[J";
        }
        all += text.trim_end_matches('\n');
        all.push('\n');
        all += &self.shown.join("\r\n");
        self.write(&all);
    }

    /// Wipes what is shown; the next update shows it again.
    pub fn clear(&mut self) {
        if !self.shown.is_empty() {
            let all = self.home() + "\x1b[J";
            self.shown.clear();
            self.write(&all);
        }
    }

    /// Wipes what is shown, for good: the summary follows.
    pub fn finish(self) {
        // Dropping it does that.
    }

    /// What moves the cursor to the beginning of what is shown.
    fn home(&self) -> String {
        match self.shown.len() {
            0 => String::new(),
            1 => "\r".into(),
            n => format!("\r\x1b[{}A", n - 1),
        }
    }

    fn write(&mut self, text: &str) {
        // In one piece, so that a terminal does not show half a frame.
        let _ = self
            .out
            .write_all(text.as_bytes())
            .and_then(|()| self.out.flush());
    }
}

impl<W: Write> Drop for Live<W> {
    fn drop(&mut self) {
        self.clear();
    }
}
