//! Tables of what was measured, and their cells.

use std::fmt::Write;

/// A table without ratios.
#[derive(Clone, Debug, Default)]
pub struct Grid {
    /// Its heading.
    pub title: String,
    /// What to know about it, with the command.
    pub about: String,
    /// The columns' headings; the first is that of the rows.
    pub head: Vec<String>,
    /// The rows, as long as the head.
    pub rows: Vec<Vec<String>>,
}

impl Grid {
    /// As text for a terminal, or as Markdown.
    pub fn draw(&self, markdown: bool) -> String {
        let lines = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|c| lines().map(|l| l[c].chars().count()).max().unwrap_or(0))
            .collect();
        let (edge, gap, end, heading) = match markdown {
            true => ("| ", " | ", " |", "### "),
            false => ("", "  ", "", ""),
        };
        let mut out = String::new();
        let _ = writeln!(out, "{heading}{}\n\n{}\n", self.title, self.about);
        for (l, line) in lines().enumerate() {
            let cells: Vec<String> = line
                .iter()
                .zip(&widths)
                .enumerate()
                .map(|(c, (cell, &w))| match c {
                    0 => format!("{cell:<w$}"),
                    _ => format!("{cell:>w$}"),
                })
                .collect();
            let _ = writeln!(
                out,
                "{}",
                format!("{edge}{}{end}", cells.join(gap)).trim_end()
            );
            if l == 0 && markdown {
                let _ = writeln!(out, "|---|{}", "---:|".repeat(self.head.len() - 1));
            }
        }
        out
    }
}

/// `54 µs`, `3.1 ms`, `1.2 s`.
pub(super) fn time(us: f64) -> String {
    let (n, unit) = match us {
        1e6.. => (us / 1e6, "s"),
        1e3.. => (us / 1e3, "ms"),
        _ => (us, "µs"),
    };
    let digits = usize::from(n < 10.0 && unit != "µs");
    format!("{n:.digits$} {unit}")
}

/// `1`, `100`, `10k`, `1m`.
pub(super) fn short(n: f64) -> String {
    match n {
        1e6.. => format!("{}m", n / 1e6),
        1e3.. => format!("{}k", n / 1e3),
        _ => format!("{n}"),
    }
}

/// `99.98 %`
pub(super) fn percent(reached: f64, asked: f64) -> String {
    format!("{:.2} %", 100.0 * reached / asked)
}

/// A run's cells, or why it has none, on stderr and in the first of `columns` cells.
pub(super) fn cells(
    what: &str,
    columns: usize,
    result: Result<Vec<String>, String>,
) -> (Vec<String>, bool) {
    match result {
        Ok(cells) => {
            eprintln!("{what}: {}", cells.join(", "));
            (cells, true)
        }
        Err(why) => {
            eprintln!("{what}: {why}");
            let mut cells = vec!["–".to_owned(); columns];
            cells[0] = format!("missing: {why}");
            (cells, false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_counts_are_short() {
        for (us, text) in [
            (54.4, "54 µs"),
            (999.0, "999 µs"),
            (3140.0, "3.1 ms"),
            (31_400.0, "31 ms"),
            (1_250_000.0, "1.2 s"),
        ] {
            assert_eq!(time(us), text);
        }
        for (n, text) in [(0.1, "0.1"), (100.0, "100"), (1e4, "10k"), (1e6, "1m")] {
            assert_eq!(short(n), text);
        }
    }

    #[test]
    fn a_grid_has_as_many_cells_in_each_line() {
        let words = |w: &[&str]| w.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let grid = Grid {
            title: "T".to_owned(),
            about: "A.".to_owned(),
            head: words(&["rate", "1", "100"]),
            rows: vec![words(&["1/s", "99 %", "–"])],
        };
        let text = grid.draw(true);
        let counts: Vec<usize> = text
            .lines()
            .filter(|l| l.starts_with('|'))
            .map(|l| l.matches('|').count())
            .collect();
        assert_eq!(counts, [4, 4, 4], "{text}");
    }
}
