//! A run on the full screen of a terminal (`--tui`): connections, rates and latencies over time, failures by cause, limits,
//! and what was worth a note.
//!
//! ratatui lays out and draws into a buffer; `escapes` turns what changed of it into bytes for the terminal. Nothing here
//! knows a terminal: the caller says how large it is and writes the bytes.

mod escapes;
mod heat;
mod panels;
mod view;

pub use panels::LEAST;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use std::io;
use throng_core::expect::Latency;
use throng_core::observer::{Interval, Note};
use view::View;

/// The columns and rows of the terminal on stderr, if it is one.
pub fn size() -> Option<(u16, u16)> {
    let (columns, rows) = terminal_size::terminal_size_of(io::stderr())?;
    Some((columns.0, rows.0))
}

/// What is on the screen.
pub struct Screen {
    view: View,
    colour: bool,
    /// What the terminal shows, if that is known.
    shown: Option<Buffer>,
}

impl Screen {
    /// The screen of a run that measures `latencies`. `keys` says in words what keys do.
    pub fn new(title: String, latencies: &[Latency], keys: String, colour: bool) -> Screen {
        Screen {
            view: View::new(title, latencies, keys),
            colour,
            shown: None,
        }
    }

    /// Takes in an interval.
    pub fn interval(&mut self, interval: &Interval) {
        self.view.interval(interval);
    }

    /// Takes in a note.
    pub fn note(&mut self, note: &Note) {
        self.view.note(note);
    }

    /// Draws everything anew next time: something else has written to the terminal, or it was resized.
    pub fn forget(&mut self) {
        self.shown = None;
    }

    /// The bytes that make a terminal of `columns` and `rows` show the run.
    pub fn drawn(&mut self, columns: u16, rows: u16) -> Vec<u8> {
        let area = Rect::new(0, 0, columns, rows);
        let mut buffer = Buffer::empty(area);
        panels::draw(&self.view, area, &mut buffer);
        let before = self.shown.take().filter(|shown| shown.area == area);
        let bytes = escapes::between(before.as_ref(), &buffer, self.colour);
        self.shown = Some(buffer);
        bytes
    }
}

#[cfg(test)]
mod tests;
