//! The live view of a run, on stderr. On a terminal it is one or two lines that each update overwrites, elsewhere a
//! plain line now and then, as logs want it: each second in the first minute, then less often, and then for a server only if
//! something has changed. Other output in between goes through [`Live::note`].
//!
//! The live view can't fail the run: write errors on stderr are ignored. A stopped terminal (Ctrl-S) blocks
//! [`Live::update`], as it does any program, so no worker calls it.

mod lines;
#[cfg(test)]
mod tests;

use crate::colour;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;
use throng_core::record::Phase;
use throng_core::summary::Snapshot;

/// How the live view looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveStyle {
    /// Lines that are overwritten: call [`Live::update`] ten times per second.
    Terminal,
    /// Lines without escape codes: call [`Live::update`] once per second.
    Plain,
    /// Notes only.
    Quiet,
}

impl LiveStyle {
    /// The style that suits stderr, or [`LiveStyle::Quiet`] if the user asked for it.
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

/// The number of columns if it is unknown.
const COLUMNS: usize = 80;

/// The live view. It clears its lines on a terminal when it is dropped.
pub struct Live<W: Write = io::Stderr> {
    out: W,
    style: LiveStyle,
    colour: bool,
    columns: Box<dyn Fn() -> usize + Send>,
    /// The lines that are on the terminal now.
    shown: Vec<String>,
    /// The last plain line: when, in which phase, and what it said.
    plain: Option<(Duration, Phase, String)>,
}

/// The interval between plain lines at this time of a run.
fn plain_every(elapsed: Duration) -> Duration {
    Duration::from_secs(match elapsed.as_secs() {
        0..60 => 1,
        60..600 => 10,
        _ => 60,
    })
}

impl Live {
    /// A live view on stderr, in colour if stderr has colours.
    pub fn new(style: LiveStyle) -> Live {
        let columns = || terminal_size::terminal_size_of(io::stderr()).map_or(0, |(w, _)| w.0);
        let colour = colour::wanted(&io::stderr());
        Live::over(io::stderr(), style, colour, move || columns().into())
    }
}

impl<W: Write> Live<W> {
    /// A live view on `out`. `columns` returns the width of the terminal; 0 if unknown.
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
            plain: None,
        }
    }

    /// Shows `snapshot`.
    pub fn update(&mut self, snapshot: &Snapshot) {
        match self.style {
            LiveStyle::Quiet => {}
            LiveStyle::Plain => self.update_plain(snapshot),
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

    fn update_plain(&mut self, snapshot: &Snapshot) {
        let line = lines::plain(snapshot);
        // Without the time.
        let said = line
            .trim_start()
            .split_once("  ")
            .map_or("", |(_, said)| said);
        let (elapsed, phase) = (snapshot.elapsed, snapshot.phase);
        if let Some((at, before, last)) = &self.plain
            && *before == phase
        {
            let every = plain_every(elapsed);
            let often = every == plain_every(Duration::ZERO);
            let news = often || phase != Phase::Serving || last != said;
            // An interval may end a little early.
            let due = elapsed + Duration::from_millis(100) >= *at + every;
            if !news || !due {
                return;
            }
        }
        self.plain = Some((elapsed, phase, said.to_owned()));
        self.write(&(line + "\n"));
    }

    /// Prints `text` on lines of its own above the live view. It does so in every style: a user who does not want
    /// progress may still want warnings.
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

    /// Clears the lines. The next update shows them again.
    pub fn clear(&mut self) {
        if !self.shown.is_empty() {
            let all = self.home() + "\x1b[J";
            self.shown.clear();
            self.write(&all);
        }
    }

    /// Clears the lines for good: the summary follows.
    pub fn finish(self) {
        // Dropping it does that.
    }

    /// The escape codes that move the cursor to the start of the lines.
    fn home(&self) -> String {
        match self.shown.len() {
            0 => String::new(),
            1 => "\r".into(),
            n => format!("\r\x1b[{}A", n - 1),
        }
    }

    fn write(&mut self, text: &str) {
        // In one write, so that a terminal does not show half a frame.
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
