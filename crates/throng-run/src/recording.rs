//! Makes the record of a run: once it is over, and for those who watch it before.

use crate::watch::Watch;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;
use throng_core::engine::Engine;
use throng_core::record::{About, Asked, Ending, Environment, Intervals, Part, Record, Source};
use throng_host::environment;

/// How a run was carried out.
pub(crate) struct Carried<'a> {
    pub asked: Asked,
    pub engine: Engine,
    pub why_epoll: Option<&'a str>,
    pub workers: u32,
}

/// The record of a run that was over at `ending.over`. Its workers have ended. Adds what the watch knows to `ending`.
pub(crate) fn record(mut watch: Watch, carried: Carried, mut ending: Ending) -> Record {
    let over = ending.over;
    let opened = (carried.asked.role == throng_core::record::Role::Load).then_some(over.opened);
    let finished = watch.finish(over.at, opened, over.accepted);
    watch.meter.wait_for_kernel();
    ending.closing = watch.clock.elapsed().saturating_sub(over.at);
    ending.memory_left = watch.guard.stopped_at.as_ref().map(|left| left.bytes);
    ending.histograms = Ending::pack(&finished.measured);
    ending.unreported.extend(finished.unreported);
    ending.used = watch.meter.used();
    ending.stolen = watch.meter.stolen();
    let environment = Environment(environment::read());
    of(&watch, carried, environment, finished.intervals, ending)
}

/// The record that the run would have if it was over at `ending.over`, with what the watch knows by then. The settings of
/// the machine are not in it: reading them takes time.
pub(crate) fn so_far(watch: &Watch, carried: Carried, mut ending: Ending) -> Record {
    let (intervals, measured) = watch.recorded();
    ending.memory_left = watch.guard.stopped_at.as_ref().map(|left| left.bytes);
    ending.histograms = Ending::pack(&measured);
    ending.used = watch.meter.used();
    ending.watched = watch.watching.as_ref().map(|w| Box::new(w.so_far()));
    of(watch, carried, Environment::default(), intervals, ending)
}

fn of(
    watch: &Watch,
    carried: Carried,
    environment: Environment,
    intervals: Intervals,
    ending: Ending,
) -> Record {
    let started = watch.meter.started_unix_s();
    let kernel = &watch.machine.kernel;
    let part = Part {
        about: About {
            tool: concat!("throng ", env!("CARGO_PKG_VERSION")).into(),
            agent: None,
            machine: None,
            start: None,
            // The caller fills it in.
            command: Vec::new(),
            started_unix_s: started,
            kernel: kernel.release.clone(),
            cores: kernel.cores as u32,
            engine: carried.engine,
            why_epoll: carried.why_epoll.map(str::to_owned),
            workers: carried.workers,
            asked: carried.asked,
            environment,
        },
        intervals,
        ending: Some(Box::new(ending)),
    };
    Record::of(unique(started), part)
}

/// A name that no other run has: its start time and 64 random bits (the keys of a hash map).
fn unique(started_unix_s: f64) -> Source {
    let random = RandomState::new().build_hasher().finish();
    let started = Duration::from_secs_f64(started_unix_s).as_micros();
    Source::new(format!("{started:x}-{random:016x}"))
}
