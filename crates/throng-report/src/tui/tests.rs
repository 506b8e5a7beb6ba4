//! What is on the screen, at several sizes.

use super::*;
use crate::tui::escapes::between;
use std::time::Duration;
use throng_core::expect::latencies;
use throng_core::observer::Counts;
use throng_core::record::Phase;
use throng_core::stats::{Measured, Tally};

fn tally(all: &[(&str, u64)]) -> Tally {
    Tally::from_named(all.iter().copied()).unwrap()
}

/// A load of 10,000 connections, so many seconds after its beginning.
fn interval(second: u64, measured: &Measured) -> Interval<'_> {
    let now = tally(&[
        ("attempted", 9_990),
        ("established", 9_800),
        ("failed.refused", 180),
        ("failed.timed_out", 10),
        ("closed.reset_by_peer", 7),
        ("messages_sent", 5_000 * second),
        ("answers", 4_000 * second),
        ("bytes_sent", 1 << (20 + second)),
    ]);
    Interval {
        from: Duration::from_secs(second - 1),
        to: Duration::from_secs(second),
        phase: Phase::Holding,
        asked: Some(10_000),
        peak: 9_793,
        left: Some(Duration::from_secs(30)),
        dialled_per_s: Some(5_000.0),
        watched: None,
        opened: Some(Counts { now, recent: now }),
        accepted: None,
        measured: Some(measured),
    }
}

fn screen() -> Screen {
    let shown = ["response", "service", "connect"];
    let measured = latencies().iter().filter(|l| shown.contains(&l.name));
    let measured: Vec<Latency> = measured.copied().collect();
    let mut screen = Screen::new(
        "throng load".into(),
        &measured,
        "q ends the run".into(),
        true,
    );
    screen.note(&Note::Trouble("metrics don't reach StatsD".into()));
    for second in 1..=5 {
        let mut measured = Measured::default();
        measured
            .response
            .record_many(Duration::from_micros(900), 90);
        measured
            .response
            .record_many(Duration::from_millis(20 * second), 10);
        measured.connect.record(Duration::from_micros(80));
        screen.interval(&interval(second, &measured));
    }
    screen
}

/// The lines of what is shown.
fn lines(screen: &mut Screen, columns: u16, rows: u16) -> Vec<String> {
    screen.drawn(columns, rows);
    let buffer = screen.shown.as_ref().unwrap();
    assert_eq!((buffer.area.width, buffer.area.height), (columns, rows));
    let row = |y: u16| {
        (0..columns)
            .map(|x| buffer[(x, y)].symbol())
            .collect::<String>()
    };
    (0..rows).map(|y| row(y).trim_end().to_owned()).collect()
}

#[test]
fn what_matters_is_on_every_screen_that_is_large_enough() {
    for (columns, rows) in [(60, 16), (80, 24), (120, 40), (200, 50)] {
        let mut screen = screen();
        let text = lines(&mut screen, columns, rows).join("\n");
        for part in [
            "throng load  holding",
            "30 s left",
            "9,793 of 10,000 open",
            "failed attempts",
            "190",
            "5.00k/s of 5.00k/s",
            "response",
            "response over time",
            "refused",
            "q ends the run",
            "StatsD",
        ] {
            assert!(
                text.contains(part),
                "no '{part}' at {columns} × {rows}:\n{text}"
            );
        }
    }
}

#[test]
fn the_map_has_a_row_for_each_range_and_the_last_second_at_the_right() {
    let mut screen = screen();
    let all = lines(&mut screen, 120, 40);
    let row = |bound: &str| {
        let line = all.iter().find(|line| line.contains(bound));
        line.unwrap_or_else(|| panic!("no {bound}: {all:#?}"))
            .clone()
    };
    // Nine in ten are below a millisecond, each second; the others wander upwards.
    assert!(row("≤1.00 ms").contains("█████│"), "{all:#?}");
    assert!(row("≤25.0 ms").contains("▓    │"), "{all:#?}");
    assert!(row("≤100 ms").contains("  ▓▓▓│"), "{all:#?}");
}

#[test]
fn no_size_is_too_small_to_say_so() {
    for columns in (0..=64).step_by(8) {
        for rows in (0..=20).step_by(4) {
            let mut screen = screen();
            screen.drawn(columns, rows);
        }
    }
    let text = lines(&mut screen(), 40, 10).join("\n");
    assert!(text.contains("40 × 10 is too small"), "{text}");
}

#[test]
fn a_resized_terminal_is_drawn_anew_and_an_unchanged_one_not_at_all() {
    let mut screen = screen();
    let clears = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("\x1b[2J");
    assert!(clears(&screen.drawn(80, 24)));
    let same = screen.shown.clone().unwrap();
    assert_eq!(screen.drawn(80, 24), between(Some(&same), &same, true));
    assert!(clears(&screen.drawn(100, 30)));
    screen.forget();
    assert!(clears(&screen.drawn(100, 30)));
}

#[test]
fn a_run_that_measures_nothing_and_a_server_are_shown_too() {
    let mut screen = Screen::new("throng serve".into(), &[], "q ends the run".into(), false);
    let measured = Measured::default();
    let accepted = tally(&[("accepted", 5), ("closed.by_peer", 2)]);
    screen.interval(&Interval {
        phase: Phase::Serving,
        asked: None,
        opened: None,
        accepted: Some(Counts {
            now: accepted,
            recent: accepted,
        }),
        dialled_per_s: None,
        ..interval(1, &measured)
    });
    let text = lines(&mut screen, 80, 24).join("\n");
    for part in ["serving", " 3 open", "accepted", "nothing measured yet"] {
        assert!(text.contains(part), "no '{part}':\n{text}");
    }
}
