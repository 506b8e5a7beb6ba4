//! `throng watch`: what a system under test on this machine spends.

mod args;

pub(crate) use args::Args;

use crate::files::{self, Named};
use crate::{Failure, output, signals};
use std::time::{Duration, Instant, SystemTime};
use throng_core::record::{Thinning, WatchedReading};
use throng_host::watched::{Sampler, Subject};
use throng_report::watched::{self, ReadingLog, WatchResult};
use throng_report::{file, json, text};

/// Readings take at most one part of these of a core.
const SHARE: u32 = 10;

/// Watches it until it ends, the time is over or a signal comes. Returns the exit code.
pub(crate) fn run(args: &Args) -> Result<u8, Failure> {
    let subject = Subject::find(&args.subject).map_err(Failure::usage)?;
    let mut outputs: Vec<Named> = args
        .file()
        .map(|path| Named::new("--output-file", path))
        .into_iter()
        .collect();
    outputs.extend(args.csv.iter().map(|path| Named::new("--csv", path)));
    files::check(&outputs, &[])?;
    let stop = signals::stop()?;
    let mut sampler = Sampler::open(&subject).map_err(Failure::usage)?;
    let mut log = match &args.csv {
        Some(path) => {
            let log = ReadingLog::create(path);
            Some(log.map_err(|e| Failure::usage(format!("--csv: {e}")))?)
        }
        None => None,
    };
    let tell = |line: &str| {
        if !args.quiet {
            eprintln!("{line}");
        }
    };
    tell(&format!("throng: watching {}", subject.name()));
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let started_unix_s = since_1970.map_or(0.0, |since| since.as_secs_f64());
    let began = Instant::now();
    let ends = args.length.and_then(|length| began.checked_add(length));
    let mut seen = sampler.about();
    let mut thinning = Thinning::default();
    let mut before: Option<WatchedReading> = None;
    let mut unwritten = None;
    loop {
        let reading_began = Instant::now();
        let Some(reading) = sampler.read(began.elapsed()) else {
            break;
        };
        tell(&watched::line(&reading, before.as_ref()));
        if let Some(log) = &mut log
            && let Err(e) = log.add(&reading)
        {
            unwritten = Some(e);
        }
        let kept = seen.add(reading, &mut thinning);
        before = Some(reading);
        let is_over = stop.is_requested() || ends.is_some_and(|ends| Instant::now() >= ends);
        if is_over {
            seen.readings.extend((!kept).then_some(reading));
            break;
        }
        let took = reading_began.elapsed();
        let next = reading_began + args.every.max(took * SHARE);
        wait(
            &stop,
            ends.map_or(next, |ends| next.min(ends)),
            &mut sampler,
        );
    }
    sampler.update(&mut seen);
    if let Some(log) = log {
        unwritten = log.finish().err().or(unwritten);
    }
    let interrupted = stop.is_requested();
    let tool = concat!("throng ", env!("CARGO_PKG_VERSION"));
    let result = WatchResult::of(tool, started_unix_s, interrupted, seen);
    told(args, &result)?;
    match unwritten {
        Some(e) => Err(Failure::fault(format!("--csv: {e}"))),
        None if interrupted => Ok(130),
        None => Ok(0),
    }
}

/// How often it is looked at whether what is watched is still there.
const LOOK: Duration = Duration::from_millis(50);

/// Waits until `next`, or until what is watched has ended: how is known only until its parent takes note of it.
fn wait(stop: &throng_run::Stop, next: Instant, sampler: &mut Sampler) {
    while Instant::now() < next && !stop.is_requested() && sampler.is_there() {
        stop.sleep_until(next.min(Instant::now() + LOOK));
    }
}

/// Prints the result, or writes it to a file.
fn told(args: &Args, result: &WatchResult) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    let drawn = match args.is_json() {
        true => json::write_json(result, &mut bytes),
        false => {
            let (columns, colour) = output::columns_and_colour(args.file());
            let whole = true;
            let form = text::Form {
                columns,
                colour,
                whole,
            };
            watched::write_text(&result.watched, &mut bytes, &form)
        }
    };
    drawn.map_err(|e| Failure::fault(format!("can't draw the result: {e}")))?;
    match args.file() {
        Some(path) => file::write_whole(path, &bytes).map_err(|e| Failure::fault(e.to_string())),
        None => output::to_stdout(&bytes),
    }
}
