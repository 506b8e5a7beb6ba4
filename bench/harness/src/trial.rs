//! One run of a contestant, and its result.
//!
//! Each run is preceded by the same program with a single connection: what that uses (starting up,
//! its libraries and its fixed buffers) is subtracted, so that the numbers per connection are
//! those of the connections. A server's own start is subtracted in the same way.

use crate::contestants::{Contestant, Job, Mode};
use crate::port;
use crate::process::{Finished, Process};
use crate::usage::{Series, Usage};
use crate::words::Words;
use std::time::Duration;

/// How long a server takes from listening to being at rest: other listeners, imports, compilation.
const SERVER_REST: Duration = Duration::from_millis(300);
/// How long the run with one connection holds it.
const BASELINE_HOLD: Duration = Duration::from_secs(1);
/// A server must listen within this time, and must end within it when asked to.
const SERVER_PATIENCE: Duration = Duration::from_secs(60);
/// Echoes are counted by the client over the whole hold; processor time over this part of it, so that
/// neither the first messages nor the end is in it.
const WINDOW: (f64, f64) = (0.2, 0.9);

/// The side whose processor time and memory are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The server's.
    Server,
    /// The client's.
    Client,
}

/// The numbers of one run, in the order of the table's columns; `None` where one is not known.
pub type Numbers = Vec<Option<f64>>;

/// The result of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its numbers.
    pub numbers: Numbers,
    /// What a reader must know about them.
    pub remark: Option<String>,
}

/// A process over the run: what it had used before, and its readings.
struct Watched {
    base: Usage,
    series: Series,
}

impl Watched {
    /// (processor time, peak memory) per connection of `n`, in µs and bytes, and the peak in MiB.
    fn set_up(&self, at_unix_s: f64, n: u32) -> Option<(f64, f64, f64)> {
        let then = self.series.at(at_unix_s)?;
        let n = f64::from(n);
        let cpu = then.cpu.as_secs_f64() - self.base.cpu.as_secs_f64();
        let bytes = then.peak_rss as f64 - self.base.peak_rss as f64;
        let mib = then.peak_rss as f64 / f64::from(1 << 20);
        Some((cpu * 1e6 / n, bytes / n, mib))
    }

    /// Processor time per message at `per_s` messages per second, in µs.
    fn per_message(&self, from_unix_s: f64, to_unix_s: f64, per_s: f64) -> Option<f64> {
        let cpu = self.series.at(to_unix_s)?.cpu.as_secs_f64()
            - self.series.at(from_unix_s)?.cpu.as_secs_f64();
        Some(cpu * 1e6 / (per_s * (to_unix_s - from_unix_s)))
    }
}

/// When all connections were established. A contestant that does not report it prints its result right after the hold.
fn up_unix_s(words: &Words, done: &Finished, hold: Duration) -> f64 {
    words
        .up_unix_s
        .unwrap_or(done.printed_unix_s - hold.as_secs_f64())
}

/// How long a client may take: opening at 1,000 per second at worst, closing for as long, and the hold.
fn patience(job: Job) -> Duration {
    job.hold + Duration::from_secs(30 + 2 * u64::from(job.connections) / 1000)
}

fn held(name: &str, words: &Words, n: u32) -> Result<(), String> {
    if words.held < u64::from(n) {
        return Err(format!("{name} held {} of {n} connections", words.held));
    }
    Ok(())
}

/// The numbers for a table, from what the watched processes used: `of_interest` is the one that the
/// table is about, `other` is its opposite.
fn numbers(
    job: Job,
    words: &Words,
    up_unix_s: f64,
    of_interest: &Watched,
    other: Option<&Watched>,
) -> Result<Numbers, String> {
    let unwatched = || "was not seen while it held its connections".to_owned();
    let hold = job.hold.as_secs_f64();
    match job.mode {
        Mode::Sink => {
            let at = up_unix_s + hold / 2.0;
            let n = job.connections;
            let (cpu, bytes, mib) = of_interest.set_up(at, n).ok_or_else(unwatched)?;
            let rate = words.set_up_s.map(|s| f64::from(n) / s);
            let mut numbers = vec![rate, Some(cpu)];
            if let Some(other) = other {
                let (other_cpu, _, _) = other.set_up(at, n).ok_or_else(unwatched)?;
                numbers.push(Some(cpu + other_cpu));
            }
            numbers.extend([Some(bytes), Some(mib)]);
            Ok(numbers)
        }
        Mode::Echo | Mode::Stream => {
            let per_s = words
                .messages_per_s
                .filter(|r| *r > 0.0)
                .ok_or("counted no echoes")?;
            let (from, to) = (up_unix_s + hold * WINDOW.0, up_unix_s + hold * WINDOW.1);
            let cpu = of_interest
                .per_message(from, to, per_s)
                .ok_or_else(unwatched)?;
            let mut numbers = vec![Some(per_s), Some(cpu)];
            if let Some(other) = other {
                let other_cpu = other.per_message(from, to, per_s).ok_or_else(unwatched)?;
                numbers.push(Some(cpu + other_cpu));
            }
            Ok(numbers)
        }
    }
}

/// Runs `client` against `server`, and returns the numbers of `side`.
///
/// # Errors
/// Either could not be run, or did not hold all connections; one line for the user.
pub fn pair(
    server: &Contestant,
    client: &Contestant,
    job: Job,
    side: Side,
) -> Result<Outcome, String> {
    let port = port::free()?;
    let mut serving = Process::start(&server.server(port, job))?;
    serving.listening(port, SERVER_PATIENCE)?;
    let single = Job {
        connections: 1,
        hold: BASELINE_HOLD,
        ..job
    };
    let client_base = baseline(client, &client.client(port, single), single)?;
    serving.rest(SERVER_REST)?;
    let server_base = serving.usage()?;

    let done =
        Process::start(&client.client(port, job))?.finish(Some(&mut serving), patience(job))?;
    let words = client.words(&done.stdout)?;
    held(client.name, &words, job.connections)?;
    let up = up_unix_s(&words, &done, job.hold);

    let series = std::mem::take(&mut serving.series);
    let said = serving.terminate(SERVER_PATIENCE)?.stdout;
    // The kernel completes a connection before the server accepts it. A server that is busy with the
    // traffic of accepted connections may leave others waiting until the end: Node does.
    let remark = match held(server.name, &server.words(&said)?, job.connections) {
        Err(short) if job.mode == Mode::Echo => Some(format!("{short}, the others in the queue")),
        other => {
            other?;
            shortfall(client, &words)
        }
    };

    let server = Watched {
        base: server_base,
        series,
    };
    let client = Watched {
        base: client_base,
        series: done.series,
    };
    let (of_interest, other) = match side {
        Side::Server => (&server, &client),
        Side::Client => (&client, &server),
    };
    let numbers = numbers(job, &words, up, of_interest, Some(other))?;
    Ok(Outcome { numbers, remark })
}

/// Runs a contestant that is both ends.
///
/// # Errors
/// As [`pair`].
pub fn both_ends(contestant: &Contestant, job: Job) -> Result<Outcome, String> {
    let single = Job {
        connections: 1,
        hold: BASELINE_HOLD,
        ..job
    };
    let base = baseline(contestant, &contestant.both_ends(single), single)?;
    let done = Process::start(&contestant.both_ends(job))?.finish(None, patience(job))?;
    let words = contestant.words(&done.stdout)?;
    held(contestant.name, &words, job.connections)?;
    let up = up_unix_s(&words, &done, job.hold);
    let watched = Watched {
        base,
        series: done.series,
    };
    Ok(Outcome {
        numbers: numbers(job, &words, up, &watched, None)?,
        remark: shortfall(contestant, &words),
    })
}

/// Lets `contestant` send one way, from one process to another or within one. Returns GB/s, and seconds of
/// processor time per GB: of the sender, of the receiver, of both.
///
/// # Errors
/// As [`pair`].
pub fn one_way(contestant: &Contestant, job: Job) -> Result<Outcome, String> {
    let (done, receiver) = if contestant.is_both_ends() {
        let argv = contestant.both_ends(job);
        (Process::start(&argv)?.finish(None, patience(job))?, None)
    } else {
        let port = port::free()?;
        let mut receiving = Process::start(&contestant.server(port, job))?;
        receiving.listening(port, SERVER_PATIENCE)?;
        receiving.rest(SERVER_REST)?;
        let sending = Process::start(&contestant.client(port, job))?;
        let done = sending.finish(Some(&mut receiving), patience(job))?;
        let series = std::mem::take(&mut receiving.series);
        (done, Some(series))
    };
    let words = contestant.words(&done.stdout)?;
    held(contestant.name, &words, job.connections)?;
    let gb_per_s = words.bytes_per_s.ok_or("sent nothing")? / 1e9;
    let (up, hold) = (up_unix_s(&words, &done, job.hold), job.hold.as_secs_f64());
    let (from, to) = (up + hold * WINDOW.0, up + hold * WINDOW.1);
    let per_gb = |series: Series| {
        let base = Usage::default();
        let us = Watched { base, series }.per_message(from, to, gb_per_s);
        us.map(|us| us / 1e6)
    };
    let sender = per_gb(done.series);
    let numbers = match receiver {
        None => vec![Some(gb_per_s), None, None, sender],
        Some(series) => {
            let receiver = per_gb(series);
            let both = sender.zip(receiver).map(|(s, r)| s + r);
            vec![Some(gb_per_s), sender, receiver, both]
        }
    };
    Ok(Outcome {
        numbers,
        remark: shortfall(contestant, &words),
    })
}

fn shortfall(contestant: &Contestant, words: &Words) -> Option<String> {
    let verdict = words.shortfall.as_ref()?;
    Some(format!("{} says: {verdict}", contestant.name))
}

/// What `argv`, which holds a single connection, used until the middle of its hold.
fn baseline(contestant: &Contestant, argv: &[String], job: Job) -> Result<Usage, String> {
    let done = Process::start(argv)?.finish(None, patience(job))?;
    let words = contestant.words(&done.stdout)?;
    let at = up_unix_s(&words, &done, job.hold) + job.hold.as_secs_f64() / 2.0;
    done.series
        .at(at)
        .ok_or_else(|| format!("{} with one connection ended too early", contestant.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contestants::Talk;

    fn usage(cpu_ms: u64, peak_rss: u64) -> Usage {
        Usage {
            cpu: Duration::from_millis(cpu_ms),
            peak_rss,
        }
    }

    fn watched(base: Usage, readings: &[(f64, Usage)]) -> Watched {
        let mut series = Series::default();
        for (t, u) in readings {
            series.push(*t, *u);
        }
        Watched { base, series }
    }

    const JOB: Job = Job {
        connections: 1000,
        mode: Mode::Sink,
        talk: Talk::Plain,
        size: 16,
        hold: Duration::from_secs(2),
    };

    #[test]
    fn set_up_costs_are_what_exceeds_the_baseline() {
        let server = watched(
            usage(10, 2 << 20),
            &[(0.0, usage(10, 2 << 20)), (11.0, usage(40, 4 << 20))],
        );
        let client = watched(
            usage(5, 1 << 20),
            &[(0.0, usage(0, 0)), (11.0, usage(25, 3 << 20))],
        );
        let words = Words {
            set_up_s: Some(0.5),
            ..Words::default()
        };
        let numbers = numbers(JOB, &words, 10.0, &server, Some(&client)).unwrap();
        let expected = [2000.0, 30.0, 50.0, 2097.152, 4.0];
        assert_eq!(numbers.len(), expected.len());
        for (number, expected) in numbers.iter().zip(expected) {
            assert!((number.unwrap() - expected).abs() < 1e-6, "{numbers:?}");
        }
    }

    #[test]
    fn echo_costs_are_those_of_the_window() {
        let job = Job {
            mode: Mode::Echo,
            hold: Duration::from_secs(10),
            ..JOB
        };
        // A second of processor time per second; the ends of the hold are left out.
        let busy = watched(
            Usage::default(),
            &[
                (0.0, usage(0, 0)),
                (12.0, usage(2000, 0)),
                (19.0, usage(9000, 0)),
                (30.0, usage(9000, 0)),
            ],
        );
        let words = Words {
            messages_per_s: Some(50_000.0),
            ..Words::default()
        };
        let n = numbers(job, &words, 10.0, &busy, None).unwrap();
        assert_eq!(n[0], Some(50_000.0));
        assert!((n[1].unwrap() - 20.0).abs() < 1e-6, "{n:?}");
        assert!(numbers(job, &Words::default(), 10.0, &busy, None).is_err());
    }

    #[test]
    fn fewer_connections_than_asked_is_an_error_that_says_how_many() {
        let words = Words {
            held: 999,
            ..Words::default()
        };
        let error = held("node", &words, 1000).unwrap_err();
        assert_eq!(error, "node held 999 of 1000 connections");
        assert!(held("node", &words, 999).is_ok());
    }
}
