//! The live view of a run, on stderr. On a terminal it is a few lines that each update overwrites, more of them where there
//! is room; elsewhere a plain line now and then, as logs want it: each second in the first minute, then less often, and then for a server only if
//! something has changed. Other output in between goes through [`Live::note`].
//!
//! The live view can't fail the run: write errors on stderr are ignored. A stopped terminal (Ctrl-S) blocks
//! [`Live::update`], as it does any program, so no worker calls it.

mod details;
mod history;
mod lines;
#[cfg(test)]
mod tests;

use crate::colour;
use history::History;
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

/// The size of a terminal whose size is unknown.
const UNKNOWN: (usize, usize) = (80, 24);
/// On lower terminals, the first lines are all.
const LOW: usize = 20;
/// The share of a terminal that the live view takes at most, as (part, whole): what was printed before stays in sight.
const SHARE: (usize, usize) = (2, 3);

/// The live view. It clears its lines on a terminal when it is dropped.
pub struct Live<W: Write = io::Stderr> {
    out: W,
    style: LiveStyle,
    colour: bool,
    /// Columns and rows of the terminal.
    size: Box<dyn Fn() -> (usize, usize) + Send>,
    history: History,
    /// The lines that are on the terminal now.
    shown: Vec<String>,
    /// Columns that the terminal had when they were written.
    columns: usize,
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
        let size = || match terminal_size::terminal_size_of(io::stderr()) {
            Some((columns, rows)) => (columns.0.into(), rows.0.into()),
            None => (0, 0),
        };
        Live::over(io::stderr(), style, colour::wanted(&io::stderr()), size)
    }
}

impl<W: Write> Live<W> {
    /// A live view on `out`. `size` returns the columns and rows of the terminal; 0 if unknown.
    pub fn over(
        out: W,
        style: LiveStyle,
        colour: bool,
        size: impl Fn() -> (usize, usize) + Send + 'static,
    ) -> Live<W> {
        Live {
            out,
            style,
            colour: colour && style == LiveStyle::Terminal,
            size: Box::new(size),
            history: History::default(),
            shown: Vec::new(),
            columns: UNKNOWN.0,
            plain: None,
        }
    }

    /// Shows `snapshot`.
    pub fn update(&mut self, snapshot: &Snapshot) {
        match self.style {
            LiveStyle::Quiet => {}
            LiveStyle::Plain => self.update_plain(snapshot),
            LiveStyle::Terminal => {
                self.history.add(snapshot);
                let (columns, rows) = self.size_now();
                let lines = self.lines(snapshot, columns, rows);
                let frame = self.home() + &lines.join("\x1b[K\r\n") + "\x1b[J";
                self.shown = lines;
                self.columns = columns;
                self.write(&frame);
            }
        }
    }

    fn size_now(&self) -> (usize, usize) {
        let known = |n: usize, usual: usize| if n == 0 { usual } else { n };
        let (columns, rows) = (self.size)();
        (known(columns, UNKNOWN.0), known(rows, UNKNOWN.1))
    }

    /// The lines for a terminal of this size.
    fn lines(&self, snapshot: &Snapshot, columns: usize, rows: usize) -> Vec<String> {
        // One column less: a terminal wraps, or clears, once the last one is written.
        let columns = columns - 1;
        let mut lines = lines::of(snapshot, columns, self.colour);
        lines.truncate(rows.max(1));
        if rows >= LOW {
            let room = (rows * SHARE.0 / SHARE.1).saturating_sub(lines.len());
            let details = details::of(snapshot, &self.history, columns, room, self.colour);
            lines.extend(details);
        }
        lines
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

    /// The escape codes that move the cursor to the start of the lines. A terminal that has become narrower has wrapped them.
    fn home(&self) -> String {
        let columns = self.size_now().0;
        let rows = |line: &String| match columns < self.columns {
            true => seen(line).div_ceil(columns).max(1),
            false => 1,
        };
        match self.shown.iter().map(rows).sum() {
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

/// Columns that `line` takes: its characters without those of the codes for colours, which end with an m.
fn seen(line: &str) -> usize {
    let mut parts = line.split('\x1b');
    let first = parts.next().map_or(0, |text| text.chars().count());
    let rest = parts.filter_map(|part| part.split_once('m'));
    first + rest.map(|(_, text)| text.chars().count()).sum::<usize>()
}

impl<W: Write> Drop for Live<W> {
    fn drop(&mut self) {
        self.clear();
    }
}
