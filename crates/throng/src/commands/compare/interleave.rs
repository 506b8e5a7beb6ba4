//! Runs commands in turn, each round in a fresh process of this program: A B, then B A, and so on, so that what changes slowly on the
//! machine is the same for all.

use super::groups::Gathered;
use crate::{Failure, signals};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use throng_core::expect::Metric;
use throng_core::experiment::compare::{Group, Round};
use throng_core::human;
use throng_core::record::Record;
use throng_report::file::write_whole;
use throng_report::json::read_record;
use throng_run::Stop;

/// How often a child is looked after. It is seldom: this process shares the machine with what is measured.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Subcommands that are runs and end by themselves.
const RUNS: [&str; 3] = ["load", "http", "run"];

/// Commands to run in turn.
pub(super) struct Interleaved<'a> {
    commands: Vec<Vec<String>>,
    rounds: u32,
    directory: Option<&'a Path>,
    quiet: bool,
}

impl<'a> Interleaved<'a> {
    /// Reads the command lines.
    pub fn of(
        lines: &[String],
        rounds: u32,
        directory: Option<&'a Path>,
        quiet: bool,
    ) -> Result<Self, Failure> {
        Ok(Interleaved {
            commands: lines
                .iter()
                .map(|line| words(line))
                .collect::<Result<_, _>>()?,
            rounds,
            directory,
            quiet,
        })
    }

    /// Each command with its name, in a line.
    pub fn described(&self) -> Vec<String> {
        let each = self.commands.iter().enumerate();
        each.map(|(n, words)| format!("{}: throng {}", name(n), words.join(" ")))
            .collect()
    }

    /// Runs all rounds. Returns a group for each command, with its results if `keep`, and whether it was interrupted.
    pub fn carry_out(
        &self,
        metrics: &[Metric],
        keep: bool,
    ) -> Result<(Vec<Gathered>, bool), Failure> {
        let places = self.places()?;
        let stop = signals::stop()?;
        if !self.quiet {
            self.described().iter().for_each(|line| eprintln!("{line}"));
        }
        let began = Instant::now();
        let all = self.rounds as usize * self.commands.len();
        let names = (0..self.commands.len()).map(name);
        let mut groups: Vec<Gathered> = names.map(|name| Gathered::new(&name)).collect();
        let mut rounds: Vec<Vec<Round>> = vec![Vec::new(); self.commands.len()];
        let mut interrupted = false;
        for done in 0..all {
            let (round, which) = turn(done, self.commands.len());
            if !self.quiet {
                let left = match done {
                    0 => String::new(),
                    n => {
                        let left = began.elapsed().mul_f64((all - n) as f64 / n as f64);
                        format!(", {} left", human::countdown(left))
                    }
                };
                eprintln!(
                    "round {} of {}, {}{left}",
                    round + 1,
                    self.rounds,
                    name(which)
                );
            }
            let place = places
                .as_ref()
                .map(|places| places[which].join(format!("{:03}.json", round + 1)));
            match self.run(which, round, place.as_deref(), metrics, &stop)? {
                Some((round, record)) => {
                    if keep {
                        let kept = (round.name.clone(), record);
                        groups[which].results.rounds.push(kept);
                    }
                    rounds[which].push(round);
                }
                None => {
                    interrupted = true;
                    break;
                }
            }
        }
        for (n, rounds) in rounds.into_iter().enumerate() {
            groups[n].group = Group::of(name(n), rounds);
        }
        Ok((groups, interrupted))
    }

    /// The directory of each command's results. One that has some already would mix them.
    fn places(&self) -> Result<Option<Vec<PathBuf>>, Failure> {
        let Some(directory) = self.directory else {
            return Ok(None);
        };
        let place = |n: usize| {
            let place = directory.join(name(n).to_lowercase());
            let refused =
                |e: String| Failure::usage(format!("--output-dir: {}: {e}", place.display()));
            fs::create_dir_all(&place).map_err(|e| refused(e.to_string()))?;
            let mut entries = fs::read_dir(&place).map_err(|e| refused(e.to_string()))?;
            match entries.next() {
                Some(_) => Err(refused(
                    "it is not empty: results of other rounds would be mixed with these".into(),
                )),
                None => Ok(place),
            }
        };
        let places: Result<Vec<PathBuf>, Failure> = (0..self.commands.len()).map(place).collect();
        places.map(Some)
    }

    /// Runs a round. `None` if it was interrupted.
    fn run(
        &self,
        which: usize,
        round: usize,
        place: Option<&Path>,
        metrics: &[Metric],
        stop: &Stop,
    ) -> Result<Option<(Round, Record)>, Failure> {
        if stop.is_requested() {
            return Ok(None);
        }
        let about = format!(
            "--run {}: throng {}",
            name(which),
            self.commands[which].join(" ")
        );
        let fault = |e: &dyn std::fmt::Display| Failure::fault(format!("{about}: {e}"));
        // The link of the kernel leads to this program, even if its file has been replaced meanwhile.
        let mut child = Command::new("/proc/self/exe")
            .arg0("throng")
            .args(&self.commands[which])
            .args(["--output", "json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| fault(&e))?;
        let stdout = drained(child.stdout.take());
        let stderr = drained(child.stderr.take());
        let status = waited(&mut child, stop).map_err(|e| fault(&e))?;
        let read = |thread: thread::JoinHandle<Vec<u8>>| thread.join().unwrap_or_default();
        let (stdout, stderr) = (read(stdout), read(stderr));
        if stop.is_requested() || status.code() == Some(130) {
            return Ok(None);
        }
        // A run that fell short has a result, too.
        if !matches!(status.code(), Some(0 | 1)) || stdout.is_empty() {
            let said = String::from_utf8_lossy(&stderr);
            let said = said
                .lines()
                .last()
                .unwrap_or("it printed nothing")
                .trim_start_matches("throng: ");
            return Err(Failure::usage(format!("{about}: {said}")));
        }
        let record = read_record(&stdout).map_err(|e| fault(&e))?;
        if let Some(place) = place {
            write_whole(place, &stdout).map_err(|e| Failure::fault(e.to_string()))?;
        }
        let name = match place {
            Some(place) => place.display().to_string(),
            None => format!("round {} of {}", round + 1, name(which)),
        };
        Ok(Some((Round::of(name, &record, metrics), record)))
    }
}

/// `A`, `B` and so on; `run 27` beyond the alphabet.
fn name(n: usize) -> String {
    match u8::try_from(n) {
        Ok(n @ 0..26) => char::from(b'A' + n).to_string(),
        _ => format!("run {}", n + 1),
    }
}

/// The round of the run number `done`, and which of so many commands it is of: the first to the last, then the last to the first.
fn turn(done: usize, commands: usize) -> (usize, usize) {
    let (round, at) = (done / commands, done % commands);
    match round % 2 {
        0 => (round, at),
        _ => (round, commands - 1 - at),
    }
}

/// The words of a command line, as a shell splits them, without the name of the program.
fn words(line: &str) -> Result<Vec<String>, Failure> {
    let refused = |why: &str| Failure::usage(format!("--run '{}': {why}", line.escape_debug()));
    let mut words = shlex::split(line).ok_or_else(|| refused("a quote is not closed"))?;
    if words.first().is_some_and(|word| word == "throng") {
        words.remove(0);
    }
    let known = words
        .first()
        .is_some_and(|word| RUNS.contains(&word.as_str()));
    if !known {
        return Err(refused(
            "it is no run; write a command line such as 'load --self -c 1k'",
        ));
    }
    let output = |word: &&String| {
        let option = word.split('=').next().unwrap_or_default();
        ["--output", "--output-file"].contains(&option)
    };
    match words.iter().find(output) {
        Some(option) => Err(refused(&format!(
            "leave {option} out: results are read here; --output-dir keeps them"
        ))),
        None => Ok(words),
    }
}

/// Reads a pipe to its end, in a thread of its own.
fn drained(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What is missing is noticed by who reads it.
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut bytes));
        bytes
    })
}

/// Waits until the child has ended. Tells it to end when that is requested.
fn waited(child: &mut Child, stop: &Stop) -> std::io::Result<ExitStatus> {
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.is_requested() && !told {
            told = true;
            if let Ok(id) = i32::try_from(child.id()) {
                // It may have ended in this moment.
                let _ = kill(Pid::from_raw(id), Signal::SIGINT);
            }
        }
        thread::sleep(LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_there_and_back() {
        let of = |commands: usize, runs: usize| -> String {
            (0..runs).map(|done| name(turn(done, commands).1)).collect()
        };
        assert_eq!(of(2, 8), "ABBAABBA");
        assert_eq!(of(3, 9), "ABCCBAABC");
        assert_eq!((turn(0, 2).0, turn(3, 2).0, turn(5, 2).0), (0, 1, 2));
        assert_eq!(name(26), "run 27");
    }

    #[test]
    fn a_command_line_is_a_run_of_throng() {
        for (line, expected) in [
            ("load --self", &["load", "--self"][..]),
            (
                "throng load -m 'a b' --self",
                &["load", "-m", "a b", "--self"],
            ),
            (
                "http http://127.0.0.1:80/",
                &["http", "http://127.0.0.1:80/"],
            ),
        ] {
            assert_eq!(words(line).unwrap(), expected);
        }
        for (line, why) in [
            ("", "no run"),
            ("serve 9000", "no run"),
            ("load 'x", "quote"),
            ("load --self --output=json", "leave --output=json out"),
            ("load --self --output-file x", "--output-dir"),
        ] {
            let failure = words(line).unwrap_err();
            assert!(
                failure.code == 2 && failure.lines[0].contains(why),
                "{failure:?}"
            );
        }
    }
}
