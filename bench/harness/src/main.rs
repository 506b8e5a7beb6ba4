//! Measures throng in alternation with its floor (bench/floor) and its peers (bench/peers), and prints
//! tables of ratios: `cargo run --release -p throng-harness -- --help`.
//!
//! Everything happens on 127.0.0.1. The contestants take turns, A B C A B C …, because a machine's
//! speed varies over time; ratios are computed within a round. Processor time and memory are read from the
//! kernel, for all contestants alike; only the number of connections, the time to open them and the number of
//! echoes come from the tools' own reports.
//!
//! On loopback the sender's thread also does the receiver's part of the TCP stack, so work moves from
//! one end to the other; so each table of one end has a column for both ends together.

#![forbid(unsafe_code)]

mod accuracy;
mod contestants;
mod field;
mod finding;
mod port;
mod process;
mod settle;
mod stats;
mod suite;
mod table;
mod trial;
mod usage;
mod warm;
mod words;

use accuracy::PARTS;
use clap::Parser;
use field::Field;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use suite::{Effort, SUITES, Suite};

/// Measure throng in alternation with its floor and its peers.
///
/// In the tables, "throng ×" is how many times better throng was (2 is twice the rate or half the
/// cost; below 1, throng was worse): the median of the rounds' ratios, and their range.
#[derive(Debug, Parser)]
struct Arguments {
    /// Two rounds, short holds, small sizes
    #[arg(long)]
    quick: bool,
    /// Rounds per contestant [default: 5, with --quick 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: Option<u32>,
    /// A million connections as well (both ends in one process; about 9 GB of kernel memory)
    #[arg(long)]
    million: bool,
    /// Only these tables (servers, clients, self, echo-servers, echo-clients, echo-self, throughput,
    /// plain-servers-16, ws-clients-1k, …, accuracy, accuracy-rates, …; a prefix such as tls or
    /// ws-servers selects all tables that begin with it) or contestants (go, python, node, throng-floor, iperf3,
    /// …; throng always takes part)
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    only: Vec<String>,
    /// Only this number of connections (1, 100, 1000, 10000, 100000 or 1000000; repeatable)
    #[arg(long, value_name = "N")]
    at: Vec<u32>,
    /// Print Markdown
    #[arg(long)]
    markdown: bool,
    /// Directory of throng and throng-floor [default: that of this program]
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("throng-harness: {why}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, String> {
    process::stop_in_order().map_err(|e| format!("cannot handle signals: {e}"))?;
    let binaries = match arguments.binaries {
        Some(dir) => dir,
        None => std::env::current_exe()
            .ok()
            .and_then(|p| Some(p.parent()?.to_owned()))
            .ok_or("cannot find this program's directory; use --binaries DIR")?,
    };
    let peers = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("peers");
    let mut field = Field::find(&binaries, &peers);

    let (tables, names): (Vec<String>, Vec<String>) = arguments.only.into_iter().partition(|n| {
        let accuracy = n == accuracy::NAME || PARTS.contains(&n.as_str());
        accuracy || SUITES.iter().any(|s| s.is_called(n))
    });
    let all = Effort {
        rounds: 1,
        quick: false,
        million: true,
    };
    let sizes: Vec<u32> = SUITES.iter().flat_map(|s| s.sizes(all)).collect();
    if let Some(n) = arguments.at.iter().find(|n| !sizes.contains(n)) {
        return Err(format!(
            "--at {n}: nothing is measured at that number of connections"
        ));
    }
    if let Some(unknown) = names.iter().find(|n| !field.names().contains(&n.as_str())) {
        let known: Vec<&str> = SUITES
            .iter()
            .map(|s| s.name)
            .chain([accuracy::NAME])
            .chain(PARTS)
            .chain(field.names())
            .collect();
        return Err(format!(
            "--only {unknown}: no such table or contestant; available: {}",
            known.join(", ")
        ));
    }
    if !names.is_empty() {
        field.keep(&names);
    }
    let effort = Effort {
        rounds: arguments
            .rounds
            .unwrap_or(if arguments.quick { 2 } else { 5 }),
        quick: arguments.quick,
        million: arguments.million || arguments.at.contains(&1_000_000),
    };

    let accuracy_wanted = match tables.is_empty() {
        true => names.is_empty() && arguments.at.is_empty(),
        false => tables
            .iter()
            .any(|t| t == accuracy::NAME || PARTS.contains(&t.as_str())),
    };
    let sizes = |suite: &Suite| -> Vec<u32> {
        let at = |n: &u32| arguments.at.is_empty() || arguments.at.contains(n);
        suite.sizes(effort).into_iter().filter(at).collect()
    };
    let (possible, impossible): (Vec<Suite>, Vec<Suite>) = SUITES
        .into_iter()
        .filter(|suite| tables.is_empty() || tables.iter().any(|t| suite.is_called(t)))
        .filter(|suite| !sizes(suite).is_empty())
        .partition(|suite| suite.lacks(&field).is_none());
    let mut all_ran = impossible.is_empty();
    if let Some(file) = impossible.first().and_then(|suite| suite.lacks(&field)) {
        let names: Vec<&str> = impossible.iter().map(|suite| suite.name).collect();
        let why = format!(
            "{}: run bench/peers/setup.sh (there is no bench/peers/{file})",
            names.join(", ")
        );
        eprintln!("throng-harness: left out: {why}");
        field.missing.push(why);
    }
    for suite in possible {
        for connections in sizes(&suite) {
            if process::stopped() {
                break;
            }
            if let Some(table) = suite.measure(&field, connections, effort) {
                all_ran &= table.complete();
                println!("{}", table.draw(arguments.markdown));
            }
        }
    }
    let parts: Vec<String> = tables
        .into_iter()
        .filter(|t| PARTS.contains(&t.as_str()))
        .collect();
    if accuracy_wanted && !process::stopped() {
        match field.clients.first().and_then(|c| c.throng()) {
            Some(program) => {
                let subject = accuracy::Subject { program };
                all_ran &= accuracy::measure(&subject, &parts, effort, arguments.markdown);
            }
            None => all_ran = false,
        }
    }
    for missing in &field.missing {
        println!("not here: {missing}");
    }
    println!("left out: wrk speaks HTTP only, so no echo of the same bytes can be asked of it");
    if process::stopped() {
        return Ok(ExitCode::from(130));
    }
    Ok(ExitCode::from(u8::from(!all_ran)))
}
