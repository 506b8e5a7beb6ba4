//! Message rates per connection: asked for against reached, and how late messages were.

use super::grid::{Grid, cells, percent, short, time};
use super::subject::{Subject, run};
use crate::process::stopped;
use crate::suite::Effort;

/// As `--only` calls it.
pub const NAME: &str = "accuracy-rates";

/// Messages per second on each connection.
const RATES: [f64; 7] = [0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e5];
const CONNECTIONS: [u32; 4] = [1, 100, 10_000, 1_000_000];
const MILLION: u32 = 1_000_000;
/// More than this many messages per second, both ends on two cores, exceeds the machine, not the pacing.
const BEYOND: f64 = 300_000.0;
/// Fewer in a whole run are too few to judge a rate.
const TOO_FEW: f64 = 8.0;
/// The message for a million connections. It differs each time and is rendered when it is sent.
const DYNAMIC: &str = r"\{connection.uid} \{re [a-z]{8}}";

/// How long a run holds, in seconds.
fn hold(connections: u32, rate: f64, quick: bool) -> u32 {
    match (connections, quick) {
        (_, true) => 3,
        _ if rate * f64::from(connections) <= 10.0 => 10,
        _ => 5,
    }
}

pub fn measure(subject: &Subject, effort: Effort) -> (Vec<Grid>, bool) {
    let mut matrix = Grid {
        title: "Rate of each connection".to_owned(),
        about: "Messages sent of those asked for; lateness p50 / p99, from when a message was due to when \
                the kernel had taken it. `throng load --self -c N -m xxxxxxxxxxxxxxxx -r RATE --hold 5s`, \
                both ends on this machine. \"beyond\": more than 300k messages a second in all; a million connections: the next table."
            .to_owned(),
        head: std::iter::once("rate each".to_owned())
            .chain(CONNECTIONS.map(|n| format!("{} connections", short(n.into()))))
            .collect(),
        rows: Vec::new(),
    };
    let mut all_ran = true;
    for rate in RATES {
        let mut row = vec![format!("{}/s", short(rate))];
        for connections in CONNECTIONS {
            let in_all = rate * f64::from(connections);
            let seconds = hold(connections, rate, effort.quick);
            row.push(if in_all > BEYOND {
                "beyond".to_owned()
            } else if connections == MILLION {
                "below".to_owned()
            } else if in_all * f64::from(seconds) < TOO_FEW || stopped() {
                "–".to_owned()
            } else {
                let cell = one(subject, connections, rate, seconds);
                let what = format!("{NAME} {connections} at {rate}/s");
                let (cell, ran) = cells(&what, 1, cell.map(|c| vec![c]));
                all_ran &= ran;
                cell.concat()
            });
        }
        matrix.rows.push(row);
    }
    let mut grids = vec![matrix];
    if effort.million && !stopped() {
        let (grid, ran) = million(subject);
        grids.push(grid);
        all_ran &= ran;
    }
    (grids, all_ran)
}

fn one(subject: &Subject, connections: u32, rate: f64, seconds: u32) -> Result<String, String> {
    let arguments =
        format!("load --self -c {connections} -m xxxxxxxxxxxxxxxx -r {rate} --hold {seconds}s");
    let said = subject.run(&arguments, connections)?;
    let kept = said.rate()?;
    let late = kept.lateness.ok_or("no message was late or in time")?;
    let asked = rate * f64::from(connections);
    let (whole, due) = (kept.reached_per_s * kept.seconds, asked * kept.seconds);
    let share = match due {
        // Where one message more or less is a percent, show the count.
        ..100.0 => format!("{whole:.0} of {due:.0}"),
        _ => percent(whole, due),
    };
    Ok(format!(
        "{share}; {} / {}",
        time(late.p50_us),
        time(late.p99_us)
    ))
}

/// A million connections, each message different.
fn million(subject: &Subject) -> (Grid, bool) {
    let measured = || {
        let mut argv = subject.argv(&format!("load --self -c {MILLION} -r 0.1 --hold 60s"));
        argv.extend(["-m", DYNAMIC].map(str::to_owned)); // it has a blank
        let said = run(&argv, MILLION)?;
        let kept = said.rate()?;
        let late = kept.lateness.ok_or("no message was late or in time")?;
        let per = |n: Option<f64>, unit| n.map_or("–".to_owned(), |n| format!("{n:.1} {unit}"));
        Ok(vec![
            percent(kept.reached_per_s, 0.1 * f64::from(MILLION)),
            time(late.p50_us),
            time(late.p99_us),
            time(late.max_us),
            per(said.cost.user_bytes_per_connection, "B"),
            per(kept.cpu_us_per_message, "µs"),
        ])
    };
    let (row, ran) = cells(&format!("{NAME} million, dynamic"), 6, measured());
    let head = [
        "",
        "sent of 100k/s",
        "late p50",
        "late p99",
        "latest",
        "user memory / connection, both ends",
        "CPU / message, both ends",
    ];
    let grid = Grid {
        title: "A million connections, each message different".to_owned(),
        about: format!("`throng load --self -c 1m -m '{DYNAMIC}' -r 0.1 --hold 60s`"),
        head: head.map(str::to_owned).to_vec(),
        rows: vec![
            std::iter::once("1m at 0.1/s".to_owned())
                .chain(row)
                .collect(),
        ],
    };
    (grid, ran)
}
