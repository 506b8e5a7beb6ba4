//! Bandwidth limits of each connection, up and down: asked against reached.

use super::grid::{Grid, cells, percent};
use super::subject::{PATIENCE, Subject};
use crate::port;
use crate::process::{Process, stopped};
use crate::suite::Effort;

/// As `--only` calls it.
pub const NAME: &str = "accuracy-bandwidth";

/// As on the command line, and in bytes per second.
const LIMITS: [(&str, f64); 5] = [
    ("10kBps", 1e4),
    ("100kBps", 1e5),
    ("1MBps", 1e6),
    ("10MBps", 1e7),
    ("100MBps", 1e8),
];
const CONNECTIONS: [u32; 2] = [1, 100];
/// Two cores with both ends cannot transfer more than this many bytes per second: then the limit is not what binds.
const BEYOND: f64 = 2e9;

pub fn measure(subject: &Subject, effort: Effort) -> (Vec<Grid>, bool) {
    let head = ["limit each", "1, up", "100, up", "1, down", "100, down"];
    let mut grid = Grid {
        title: "Bandwidth of each connection".to_owned(),
        about: "Bytes moved of those that the limit allows, while all were up. Up: `throng load -c N -m \
                \"$(head -c 1024 /dev/zero | tr '\\0' x)\" --channel-bandwidth-upstream LIMIT --hold 4s` to \
                `throng serve`. Down: the same with `--channel-bandwidth-downstream` and without -m, from \
                `throng serve --mode chargen`. 1 and 100 connections. \"beyond\": more than 2 GB/s in all."
            .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: Vec::new(),
    };
    let mut all_ran = true;
    for (limit, per_s) in LIMITS {
        let mut row = vec![limit.to_owned()];
        for way in [Way::Up, Way::Down] {
            for connections in CONNECTIONS {
                let in_all = per_s * f64::from(connections);
                row.push(if in_all > BEYOND {
                    "beyond".to_owned()
                } else if stopped() {
                    "–".to_owned()
                } else {
                    let seconds = if effort.quick { 2 } else { 4 };
                    let reached = one(subject, way, connections, limit, seconds);
                    let what = format!("{NAME} {way:?} {connections} at {limit}");
                    let reached = reached.map(|r| vec![percent(r, in_all)]);
                    let (cell, ran) = cells(&what, 1, reached);
                    all_ran &= ran;
                    cell.concat()
                });
            }
        }
        grid.rows.push(row);
    }
    (vec![grid], all_ran)
}

/// Seen from the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

/// Bytes per second over all connections.
fn one(
    subject: &Subject,
    way: Way,
    connections: u32,
    limit: &str,
    seconds: u32,
) -> Result<f64, String> {
    let port = port::free()?;
    let message = "x".repeat(1024);
    let (mode, asked) = match way {
        Way::Up => (
            String::new(),
            format!("--channel-bandwidth-upstream {limit} -m {message}"),
        ),
        Way::Down => (
            format!("--mode chargen -m {message} "),
            format!("--channel-bandwidth-downstream {limit}"),
        ),
    };
    let mut server = Process::start(&subject.argv(&format!("serve {mode}127.0.0.1:{port}")))?;
    server.listening(port, PATIENCE)?;
    let arguments = format!("load -c {connections} --hold {seconds}s {asked} 127.0.0.1:{port}");
    let said = subject.run(&arguments, connections);
    server.terminate(PATIENCE)?;
    let (sent, received) = said?.bytes_per_s()?;
    Ok(match way {
        Way::Up => sent,
        Way::Down => received,
    })
}
