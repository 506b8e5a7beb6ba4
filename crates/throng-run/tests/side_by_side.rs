//! Runs at the same time in one process: each holds its own connections, counts its own, and is stopped by its own
//! stop.

mod common;

use common::{run, to_itself};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;
use throng_core::engine::EngineChoice;
use throng_core::observer::{Interval, Note, Observer, Trouble};
use throng_core::summary::Phase;
use throng_run::{Attached, Stop};

/// Held until both runs hold, then stopped: far longer than any of it takes.
const FOR_LONG: Duration = Duration::from_secs(600);

/// Sends a message when its run holds all its connections.
struct Holds {
    connections: u64,
    word: Option<Sender<u64>>,
}

impl Observer for Holds {
    fn due(&self, from: Duration) -> Duration {
        from + Duration::from_millis(20)
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        let open = interval.subject().now.open();
        if interval.phase == Phase::Holding
            && open == self.connections
            && let Some(word) = self.word.take()
        {
            word.send(open).map_err(|e| Trouble(e.to_string()))?;
        }
        Ok(())
    }
}

#[test]
fn two_runs_hold_ten_thousand_connections_each_at_once() {
    let (word, words) = channel();
    let stops = [Stop::new(), Stop::new()];
    let runs = [
        (10_000, EngineChoice::Auto, stops[0].clone()),
        (10_007, EngineChoice::Auto, stops[1].clone()),
    ];
    let runs = runs.map(|(connections, engine, stop)| {
        let word = word.clone();
        thread::spawn(move || {
            let mut attached = Attached::default();
            attached.observers.push(Box::new(Holds {
                connections: connections.into(),
                word: Some(word),
            }));
            run(
                &to_itself(connections, engine, FOR_LONG),
                &mut attached,
                &stop,
            )
            .unwrap()
        })
    });
    drop(word);
    // Neither run ends by itself in this time, so when both messages are here both hold.
    let mut held = [words.recv().unwrap(), words.recv().unwrap()];
    held.sort_unstable();
    assert_eq!(held, [10_000, 10_007]);
    stops[0].request();
    let [first, second] = runs;
    let first = first.join().unwrap();
    assert!(!second.is_finished(), "the other run has a stop of its own");
    stops[1].request();
    let second = second.join().unwrap();
    for (summary, connections) in [(first, 10_000), (second, 10_007)] {
        assert!(summary.interrupted);
        let counts = &summary.connections;
        assert_eq!(counts.peak, connections);
        assert_eq!(counts.open_at_end, connections);
        assert_eq!(counts.established, connections);
        assert_eq!(counts.accepted, Some(connections));
    }
}

/// Keeps the notes that it receives.
#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for &mut Notes {
    fn due(&self, _from: Duration) -> Duration {
        Duration::MAX
    }

    fn interval(&mut self, interval: &Interval) -> Result<(), Trouble> {
        self.0.push(format!("{:?}", interval.phase));
        Ok(())
    }

    fn note(&mut self, note: &Note) {
        if let Note::Ramped { asked, all, .. } = note {
            self.0.push(format!("ramped {asked} {all}"));
        }
    }

    fn closing(&mut self) {
        self.0.push("closing".into());
    }

    fn finish(&mut self) -> Result<(), Trouble> {
        self.0.push("finish".into());
        Err(Trouble("nobody reads me".into()))
    }
}

#[test]
fn an_observer_hears_a_run_in_its_order_and_its_trouble_is_the_runs() {
    for engine in [EngineChoice::Uring, EngineChoice::Epoll] {
        let mut notes = Notes::default();
        let mut attached = Attached::default();
        attached.observers.push(Box::new(&mut notes));
        let scenario = to_itself(100, engine, Duration::from_millis(50));
        let summary = run(&scenario, &mut attached, &Stop::new()).unwrap();
        drop(attached);
        assert_eq!(notes.0, ["ramped 100 true", "closing", "Closing", "finish"]);
        assert!(!summary.reached);
    }
}

#[test]
fn a_stop_requested_before_the_run_ends_it_at_once() {
    let stop = Stop::new();
    stop.request();
    let scenario = to_itself(100, EngineChoice::Auto, FOR_LONG);
    let summary = run(&scenario, &mut Attached::default(), &stop).unwrap();
    assert!(summary.interrupted);
}
