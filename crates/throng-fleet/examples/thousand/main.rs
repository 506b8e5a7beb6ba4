//! What a coordinator costs: a thousand agents, simulated by another process, with a real coordinator and real messages. `docs/scale.md`
//! has the figures.
//!
//!     cargo run --release -p throng-fleet --example thousand -- [AGENTS [CONNECTIONS_EACH [SECONDS]]]
//!
//! The agents are throng's own, but what they run is made up: each holds so many connections and measures 10,000 messages per
//! second. They are on one pipe. The coordinator's process is measured as a whole: processor time per second of the run, and
//! memory.

mod agents;
mod carried;

use carried::Carried;
use std::env;
use std::error::Error;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use throng_core::human;
use throng_core::observer::{Interval, Note, Observer, Trouble};
use throng_core::summary::{self, LatencyReport};
use throng_fleet::{Fleet, OnLoss, Terms, conduct};
use throng_host::memory::own_bytes;
use throng_host::usage::CpuUsage;
use throng_run::Stop;

type Failure = Box<dyn Error>;

/// What this process is told to be its other half by.
const PLAY: &str = "play";

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == PLAY) {
        let numbers: Vec<u64> = words[1..]
            .iter()
            .map(|n| n.parse())
            .collect::<Result<_, _>>()?;
        let [agents, connections, seconds] = numbers[..] else {
            return Err("play AGENTS CONNECTIONS SECONDS".into());
        };
        return agents::play(agents as usize, u32::try_from(connections)?, seconds);
    }
    let number = |at: usize, usual: u32| match words.get(at) {
        Some(word) => word.parse().map_err(|_| format!("{word} is no number")),
        None => Ok(usual),
    };
    coordinate(number(0, 1000)?, number(1, 1_000_000)?, number(2, 30)?)
}

/// Coordinates `agents` agents with `each` connections that hold for so many seconds, and prints what it took.
fn coordinate(agents: u32, each: u32, seconds: u32) -> Result<(), Failure> {
    let connections = agents.checked_mul(each);
    let connections = connections.ok_or("a run has at most 4,294,967,295 connections")?;
    let mut child = Command::new(env::current_exe()?)
        .args([
            PLAY,
            &agents.to_string(),
            &connections.to_string(),
            &seconds.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (stdin, stdout) = (stdin.ok_or("no stdin")?, stdout.ok_or("no stdout")?);
    let carried = Carried::over(stdin, stdout, agents as usize)?;
    let began = Instant::now();
    let mut meter = Meter::start();
    let fleet = Fleet {
        run: "thousand".into(),
        terms: Terms {
            scenario: "version = 2\n".into(),
            connections,
            fit: false,
            on_loss: OnLoss::GoOn,
            lost_after: Duration::from_secs(60),
            token: None,
            latencies: LatencyReport::default(),
        },
        agents: carried.transports(),
        keeper: None,
        follows: None,
    };
    let over = {
        let observers: &mut [Box<dyn Observer + '_>] = &mut [Box::new(&mut meter)];
        conduct(fleet, observers, &Stop::new()).map_err(|why| format!("refused: {why:?}"))?
    };
    let took = began.elapsed();
    let (received, sent) = carried.bytes();
    child.wait()?;
    if !over.lost.is_empty() {
        return Err(format!(
            "{} agents were lost: this machine is too slow",
            over.lost.len()
        )
        .into());
    }
    meter.print(agents);
    let peak = own_bytes()?;
    let summing = CpuUsage::read()?;
    let summary = summary::of(&over.record);
    let summing = CpuUsage::read()?.since(&summing);
    if summary.connections.peak != u64::from(connections) || !summary.reached {
        return Err(format!("not as it was: {:?}", summary.findings).into());
    }
    let row = |what: &str, value: String| println!("{what:<44}{value}");
    row(
        "connections held, over all agents",
        human::count(summary.connections.peak),
    );
    row("whole run", human::seconds(took.as_secs_f64()));
    row(
        "received from an agent, in all",
        human::bytes(received / u64::from(agents)),
    );
    row(
        "sent to an agent, in all",
        human::bytes(sent / u64::from(agents)),
    );
    row("memory with all records", human::bytes(peak));
    row(
        "CPU for the summary",
        human::seconds((summing.user + summing.system).as_secs_f64()),
    );
    let bytes = serde_json::to_vec(&over.record)?.len();
    row("record as JSON", human::bytes(bytes as u64));
    Ok(())
}

/// Takes note of what this process used, interval by interval.
struct Meter {
    began: Instant,
    /// When the first agents were seen at work.
    started: Option<Duration>,
    last: CpuUsage,
    /// Processor time of each second of the run, in seconds, and memory at its end.
    seconds: Vec<(f64, u64)>,
    before: u64,
}

impl Meter {
    fn start() -> Meter {
        Meter {
            began: Instant::now(),
            started: None,
            last: CpuUsage::read().unwrap_or_default(),
            seconds: Vec::new(),
            before: own_bytes().unwrap_or(0),
        }
    }

    fn print(&self, agents: u32) {
        let row = |what: &str, value: String| println!("{what:<44}{value}");
        let started = self.started.unwrap_or_default().as_secs_f64();
        row("agents", human::count(agents.into()));
        row("until all were at work", human::seconds(started));
        // The first interval has the start in it, and the last one the records.
        let usual = self.seconds.get(1..self.seconds.len().saturating_sub(2));
        let usual = usual.unwrap_or(&self.seconds);
        let mut cpu: Vec<f64> = usual.iter().map(|(cpu, _)| *cpu).collect();
        cpu.sort_by(f64::total_cmp);
        let (median, most) = (cpu.get(cpu.len() / 2), cpu.last());
        let ms = |s: Option<&f64>| human::seconds(s.copied().unwrap_or(0.0));
        row("CPU per second of the run, median", ms(median));
        row("CPU per second of the run, most", ms(most));
        row("memory before", human::bytes(self.before));
        for (at, (_, bytes)) in usual.iter().enumerate() {
            if at + 1 == usual.len() || (at + 1).is_power_of_two() && at > 6 {
                row(&format!("memory after {} s", at + 2), human::bytes(*bytes));
            }
        }
    }
}

impl Observer for &mut Meter {
    fn collects(&self, from: Duration) -> Option<Duration> {
        Some(from + Duration::from_secs(1))
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        if interval
            .opened
            .is_some_and(|counts| counts.now.established > 0)
        {
            self.started.get_or_insert(self.began.elapsed());
        }
        let now = CpuUsage::read()?;
        let used = now.since(&self.last);
        self.last = now;
        let cpu =
            (used.user + used.system).as_secs_f64() / interval.length().as_secs_f64().max(0.5);
        self.seconds.push((cpu, own_bytes()?));
        Ok(())
    }

    fn note(&mut self, note: &Note) {
        if let Note::Fleet(line) | Note::Trouble(line) = note {
            eprintln!("{line}");
        }
    }
}
