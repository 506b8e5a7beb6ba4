//! `throng load`: opens connections, keeps them open, sends, measures.

use crate::cli::LoadArgs;
use crate::dump::Dumping;
use crate::observers::{self, Telling};
use crate::{Failure, ask, output, signals, voice};
use std::io::{self, BufReader};
use std::sync::Arc;
use throng_core::scenario::{LoadScenario, RunRate};
use throng_run::{Attached, Machine, Taps};

pub(crate) use crate::cli::LoadArgs as Args;

/// Runs it to its end. Returns the exit code.
pub(crate) fn run(args: &LoadArgs) -> Result<u8, Failure> {
    let scenario = ask::load::scenario(args)?;
    output::check(&args.common)?;
    let machine = Machine::for_load(&scenario)?;
    let voice = voice::of(scenario.options.like_tcpkali);
    let stop = signals::stop()?;
    voice.start(&scenario);
    let mut attached = Attached {
        observers: observers::of(&Telling {
            voice,
            quiet: args.common.quiet,
            options: &scenario.options,
            asked: format!("{scenario:#?}"),
        })?,
        taps: Dumping::start(scenario.options.dump)?.map(|d| Arc::new(d) as Arc<dyn Taps>),
        profile: follows_stdin(&scenario).then(|| Box::new(BufReader::new(io::stdin())) as _),
    };
    let mut summary = throng_run::load(&scenario, &machine, &mut attached, &stop)?;
    summary.command = std::env::args().collect();
    voice.finish(&summary, &scenario, &args.common)
}

/// Whether the rate follows lines on stdin.
fn follows_stdin(scenario: &LoadScenario) -> bool {
    let whole_run = scenario.options.whole_run.as_ref();
    whole_run.is_some_and(|whole| whole.rate == RunRate::Stdin)
}
