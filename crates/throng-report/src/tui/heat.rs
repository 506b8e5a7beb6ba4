//! Latency over time as a map: a column for each second, a row for each range of durations, and the more values a cell
//! has, the darker it is.

use crate::human;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style};
use std::collections::VecDeque;
use std::time::Duration;
use throng_core::metrics::Buckets;
use throng_core::stats::Durations;

/// Seconds that are kept: as many as the widest terminals have columns.
pub const KEPT: usize = 400;
/// Columns for the bounds of rows.
const BOUND: u16 = 9;
/// From few values to many.
const SHADES: [(&str, u8); 4] = [("░", 229), ("▒", 221), ("▓", 208), ("█", 196)];

/// The values of the last seconds, in buckets.
#[derive(Default)]
pub struct Heat(VecDeque<Vec<u64>>);

impl Heat {
    /// Adds a second.
    pub fn push(&mut self, durations: &Durations) {
        let mut buckets = Buckets::default();
        buckets.add(durations);
        self.0.push_back(buckets.counts().to_vec());
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// Draws the map into `area`, the last second at the right, the longest durations at the top.
    pub fn draw(&self, area: Rect, buffer: &mut Buffer) {
        let columns = usize::from(area.width.saturating_sub(BOUND));
        let rows = usize::from(area.height);
        let shown = self.0.len().min(columns);
        let seconds: Vec<&Vec<u64>> = self.0.iter().skip(self.0.len() - shown).collect();
        let used = |bucket: &usize| seconds.iter().any(|second| second[*bucket] > 0);
        let all = 0..=Buckets::bounds().count();
        let (Some(lowest), Some(highest)) = (all.clone().find(used), all.rev().find(used)) else {
            let dim = Style::new().dim();
            buffer.set_stringn(
                area.x,
                area.y,
                "nothing measured yet",
                area.width.into(),
                dim,
            );
            return;
        };
        if rows == 0 {
            return;
        }
        // Where there are too few rows, the lowest one has all that is below the others.
        let first = lowest.max(highest.saturating_sub(rows - 1));
        let bounds: Vec<f64> = Buckets::bounds().collect();
        for (row, bucket) in (first..=highest).rev().enumerate() {
            let y = area.y + row as u16;
            let bound = match bounds.get(bucket) {
                Some(bound) => format!("≤{}", human::duration(Duration::from_secs_f64(*bound))),
                None => format!(">{}", human::seconds(bounds[bounds.len() - 1])),
            };
            buffer.set_stringn(area.x, y, bound, BOUND.into(), Style::new().dim());
            for (n, second) in seconds.iter().enumerate() {
                let from = if bucket == first { 0 } else { bucket };
                let values: u64 = second[from..=bucket].iter().sum();
                let total: u64 = second.iter().sum();
                if let Some((shade, colour)) = shade(values, total) {
                    let x = area.x + BOUND + (columns - shown + n) as u16;
                    let style = Style::new().fg(Color::Indexed(colour));
                    buffer.set_string(x, y, shade, style);
                }
            }
        }
    }
}

/// How a share of a second's values is drawn: each shade stands for ten times as many as the one before.
fn shade(values: u64, total: u64) -> Option<(&'static str, u8)> {
    let share = values as f64 / total.max(1) as f64;
    match values {
        0 => None,
        _ if share < 0.01 => Some(SHADES[0]),
        _ if share < 0.1 => Some(SHADES[1]),
        _ if share < 0.5 => Some(SHADES[2]),
        _ => Some(SHADES[3]),
    }
}
