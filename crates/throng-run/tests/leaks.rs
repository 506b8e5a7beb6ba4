//! Runs one after another leave nothing behind in the process: no thread, no file, no byte.

mod common;

use common::{run, to_itself};
use std::time::{Duration, Instant};
use throng_core::engine::EngineChoice;
use throng_run::{Attached, Stop};

#[global_allocator]
static HEAP: dhat::Alloc = dhat::Alloc;

/// After these the process has all that a first run makes once: the standard library's and the C library's own.
const WARM_UP: usize = 3;
const RUNS: usize = 50;

/// Threads and descriptors of this process. A thread that was joined may be in the list for a moment longer.
fn threads_and_files(expected: Option<(usize, usize)>) -> (usize, usize) {
    let count = |of: &str| std::fs::read_dir(of).unwrap().count();
    let began = Instant::now();
    loop {
        let now = (count("/proc/self/task"), count("/proc/self/fd"));
        if expected.is_none_or(|e| e == now) || began.elapsed() > Duration::from_secs(10) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn fifty_runs_leak_no_thread_no_file_and_no_byte() {
    let _profiler = dhat::Profiler::builder().testing().build();
    for engine in [EngineChoice::Uring, EngineChoice::Epoll] {
        let scenario = to_itself(50, engine, Duration::from_millis(1));
        let once = || {
            let summary = run(&scenario, &mut Attached::default(), &Stop::new()).unwrap();
            assert!(summary.reached, "{:?}", summary.findings);
        };
        (0..WARM_UP).for_each(|_| once());
        let before = threads_and_files(None);
        let bytes = dhat::HeapStats::get().curr_bytes;
        (0..RUNS).for_each(|_| once());
        assert_eq!(threads_and_files(Some(before)), before, "{engine:?}");
        assert_eq!(dhat::HeapStats::get().curr_bytes, bytes, "{engine:?}");
    }
}
