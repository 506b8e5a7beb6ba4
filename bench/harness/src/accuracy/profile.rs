//! Whether a rate profile is followed: messages that arrived in each second against those that the
//! profile has due in it.

use super::grid::{Grid, percent};
use super::receiver::{MESSAGE, Receiver};
use super::subject::Subject;
use crate::suite::Effort;
use std::time::Duration;

/// As `--only` calls it.
pub const NAME: &str = "accuracy-profile";

/// Pieces: seconds, rate at its beginning, rate at its end. The same as [`SPEC`].
const PIECES: [(f64, f64, f64); 4] = [
    (2.0, 1e3, 1e3),
    (4.0, 1e3, 9e3),
    (2.0, 9e3, 9e3),
    (2.0, 100.0, 100.0),
];
const SPEC: &str = "2s:1k,4s:1k..9k,2s:9k,2s:100";
const CONNECTIONS: u32 = 10;

/// Messages due in the first `t` seconds.
fn due(t: f64) -> f64 {
    let (mut from, mut sum) = (0.0, 0.0);
    for (seconds, a, b) in PIECES {
        let x = (t - from).clamp(0.0, seconds);
        sum += a * x + (b - a) * x * x / (2.0 * seconds);
        from += seconds;
    }
    sum
}

fn whole() -> u32 {
    PIECES.iter().map(|p| p.0).sum::<f64>() as u32
}

pub fn measure(subject: &Subject, _: Effort) -> (Vec<Grid>, bool) {
    let mut grid = Grid {
        title: "Rate profile".to_owned(),
        about: format!(
            "Messages that arrived at a receiver of the harness in each second from the first message on, \
             against those due by the profile. `throng load -c {CONNECTIONS} -m xxxxxxxxxxxxxxxx --profile \
             {SPEC} --hold {}s`",
            whole()
        ),
        head: ["second", "due", "arrived", ""].map(str::to_owned).to_vec(),
        rows: Vec::new(),
    };
    match arrivals(subject) {
        Ok(at) => {
            grid.rows = rows(&at);
            for row in &grid.rows {
                eprintln!("{NAME} {}", row.join(" "));
            }
            (vec![grid], true)
        }
        Err(why) => {
            eprintln!("{NAME}: {why}");
            grid.about = format!("missing: {why}");
            (vec![grid], false)
        }
    }
}

fn arrivals(subject: &Subject) -> Result<Vec<Duration>, String> {
    let receiver = Receiver::start(CONNECTIONS)?;
    let arguments = format!(
        "load -c {CONNECTIONS} -m {} --profile {SPEC} --hold {}s {}",
        "x".repeat(MESSAGE),
        whole(),
        receiver.address()
    );
    subject.run(&arguments, CONNECTIONS)?;
    let at = receiver.arrivals()?;
    match at.is_empty() {
        true => Err("nothing arrived".to_owned()),
        false => Ok(at),
    }
}

fn rows(at: &[Duration]) -> Vec<Vec<String>> {
    let row = |name: String, from: u32, to: u32| {
        let wanted = due(to.into()) - due(from.into());
        let begin = |s: u32| at[0] + Duration::from_secs(s.into());
        let arrived = at.iter().filter(|t| (begin(from)..begin(to)).contains(t));
        let arrived = arrived.count() as f64;
        vec![
            name,
            format!("{wanted:.0}"),
            format!("{arrived:.0}"),
            percent(arrived, wanted),
        ]
    };
    let mut rows: Vec<_> = (0..whole())
        .map(|s| row((s + 1).to_string(), s, s + 1))
        .collect();
    // The sum includes what arrives late at the end.
    rows.push(row("all".to_owned(), 0, whole() + 10));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_is_the_area_under_the_profile() {
        assert_eq!(due(0.0), 0.0);
        assert_eq!(due(2.0), 2000.0);
        assert_eq!(due(6.0), 2000.0 + 4.0 * 5000.0);
        assert_eq!(due(4.0), 2000.0 + 2.0 * 3000.0);
        assert_eq!(due(100.0), 2000.0 + 20_000.0 + 18_000.0 + 200.0);
    }
}
