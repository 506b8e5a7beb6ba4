use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use throng_core::stats::{Closed, Counters, FailCause, Tally};
use throng_core::summary::Phase;

/// 412,345 of 1,000,000 up, 36,200 of them in the last second, 12 failed; with traffic if asked.
fn opening(traffic: bool) -> Snapshot {
    let counters = Counters::default();
    counters.attempted.add(376_145);
    counters.established.add(376_145);
    let before = counters.read();
    counters.attempted.add(36_300);
    counters.established.add(36_200);
    for _ in 0..12 {
        counters.failed(FailCause::Refused);
    }
    if traffic {
        counters.messages_sent.add(60_000);
        counters.messages_received.add(59_000);
        counters.bytes_sent.add(960_000);
        counters.bytes_received.add(944_000);
    }
    let now = counters.read();
    Snapshot {
        elapsed: Duration::from_millis(11_400),
        phase: Phase::Opening,
        asked: Some(1_000_000),
        peak: 412_345,
        now,
        recent: now.since(&before),
        interval: Duration::from_secs(1),
        latency: None,
        late: None,
        server: None,
        left: None,
        dialled_per_s: None,
    }
}

fn serving() -> Snapshot {
    let counters = Counters::default();
    counters.accepted.add(54_321);
    counters.closed(Closed::ByPeer, 34_321);
    counters.bytes_received.add(1 << 20);
    counters.reads.add(60_000);
    Snapshot {
        elapsed: Duration::from_secs(75),
        phase: Phase::Serving,
        asked: None,
        peak: 30_000,
        now: counters.read(),
        recent: counters.read(),
        interval: Duration::from_secs(2),
        latency: None,
        late: None,
        server: None,
        left: None,
        dialled_per_s: None,
    }
}

/// What `use_it` makes a live view of that style write.
fn written(
    style: LiveStyle,
    columns: usize,
    use_it: impl FnOnce(&mut Live<&mut Vec<u8>>),
) -> String {
    let mut out = Vec::new();
    let mut live = Live::over(&mut out, style, true, move || (columns, 10));
    use_it(&mut live);
    drop(live);
    String::from_utf8(out).unwrap()
}

#[test]
fn plain_lines_are_whole_and_have_no_escape_codes() {
    let text = written(LiveStyle::Plain, 20, |live| {
        live.update(&opening(true));
        live.note("careful");
        live.update(&serving());
        live.clear();
    });
    assert_eq!(
        text,
        "    11 s  412,345 of 1,000,000 (41 %), 36.2k/s, 12 failed: refused, all in 17 s, \
         out 60.0k messages/s 938 KiB/s, in 59.0k replies/s 922 KiB/s, 60,000 messages sent\n\
         careful\n  \
         1m 15s  20,000 connections, peak 30,000, 54,321 accepted, 27.2k accepts/s, \
         in 30.0k reads/s 512 KiB/s\n"
    );
}

#[test]
fn plain_lines_become_rare_and_a_server_s_do_not_repeat_themselves() {
    let lines = |snapshot: fn() -> Snapshot| {
        let text = written(LiveStyle::Plain, 80, |live| {
            for second in 1..=7200 {
                live.update(&Snapshot {
                    elapsed: Duration::from_secs(second),
                    ..snapshot()
                });
            }
        });
        text.lines().count()
    };
    assert_eq!(lines(|| opening(true)), 59 + 54 + 110);
    assert_eq!(lines(serving), 59);
}

#[test]
fn terminal_lines_are_never_wider_than_the_terminal() {
    let mut closing = opening(true);
    closing.phase = Phase::Closing;
    let mut measured = opening(true);
    measured.latency = Some((Duration::ZERO, Duration::MAX));
    for snapshot in [opening(false), opening(true), serving(), closing, measured] {
        for columns in 0..200 {
            for line in lines::of(&snapshot, columns, false) {
                assert!(line.chars().count() <= columns, "{columns}: {line}");
            }
        }
    }
    assert_eq!(
        lines::of(&opening(false), 79, false),
        ["█████▎░░░░░░░ 412,345 of 1,000,000 (41 %) · 36.2k/s · 12 failed: refused"]
    );
    assert_eq!(lines::of(&opening(false), 10, false), ["412,345 o…"]);
}

#[test]
fn latency_of_the_last_interval_has_room_in_80_columns() {
    let mut snapshot = opening(true);
    let us = Duration::from_micros;
    snapshot.latency = Some((us(310), us(31_500)));
    assert_eq!(
        lines::of(&snapshot, 79, false)[1],
        "out 60.0k messages/s · in 59.0k replies/s · p50 310 µs p99 31.5 ms"
    );
    assert_eq!(
        lines::of(&snapshot, 130, false)[1],
        "out 60.0k messages/s · in 59.0k replies/s · p50 310 µs p99 31.5 ms · \
         out 938 KiB/s · in 922 KiB/s · 60,000 messages sent"
    );
    // A slow one as well.
    snapshot.latency = Some((us(59_949_999), us(3_599_000_000)));
    let line = &lines::of(&snapshot, 79, false)[1];
    assert!(line.ends_with("p50 59.9 s p99 59m 59s"), "{line}");
}

#[test]
fn the_width_is_read_again_each_time() {
    let columns = Arc::new(AtomicUsize::new(200));
    let mut out = Vec::new();
    let read = columns.clone();
    let mut live = Live::over(&mut out, LiveStyle::Terminal, false, move || {
        (read.load(Relaxed), 10)
    });
    live.update(&opening(false));
    columns.store(40, Relaxed);
    live.update(&opening(false));
    assert_eq!(live.shown, ["412,345 of 1,000,000 (41 %) · 36.2k/s"]);
    columns.store(1, Relaxed);
    live.update(&opening(true));
    columns.store(0, Relaxed);
    live.update(&opening(true));
    assert!(live.shown[0].contains("41 %"));
}

#[test]
fn a_terminal_is_drawn_over_and_wiped_at_the_end() {
    let text = written(LiveStyle::Terminal, 100, |live| {
        live.update(&opening(true));
        live.update(&opening(true));
        live.note("careful\n");
    });
    let frames: Vec<&str> = text.split("\r\x1b[1A").collect();
    assert_eq!(frames.len(), 4, "{text:?}");
    assert!(frames[0].contains("\x1b[K\r\n") && frames[0].ends_with("\x1b[J"));
    assert!(frames[2].starts_with("\x1b[Jcareful\n") && frames[2].contains("412,345"));
    assert_eq!(frames[3], "\x1b[J");
    assert!(text.contains("\x1b[31m"), "failures are red: {text:?}");
}

#[test]
fn colour_is_only_used_where_it_is_wanted() {
    let mut out = Vec::new();
    let mut live = Live::over(&mut out, LiveStyle::Terminal, false, || (100, 10));
    live.update(&opening(true));
    drop(live);
    let text = String::from_utf8(out).unwrap();
    assert!(!text.contains("\x1b[3"), "{text:?}");
}

#[test]
fn quiet_shows_notes_only() {
    let text = written(LiveStyle::Quiet, 80, |live| {
        live.update(&opening(true));
        live.note("careful");
        live.update(&opening(true));
    });
    assert_eq!(text, "careful\n");
}

#[test]
fn a_hold_reports_what_was_lost_and_what_the_server_has() {
    let mut holding = opening(false);
    let counters = Counters::default();
    counters.established.add(1_000_000);
    counters.closed(Closed::ResetByPeer, 3);
    counters.failed(FailCause::Refused);
    counters.failed(FailCause::TimedOut);
    counters.failed(FailCause::TimedOut);
    holding.phase = Phase::Holding;
    holding.now = counters.read();
    holding.left = Some(Duration::from_millis(64_100));
    let server = Counters::default();
    server.accepted.add(999_990);
    holding.server = Some(server.read());
    let line = &lines::of(&holding, 200, false)[0];
    assert!(
        line.ends_with(
            "999,997 of 1,000,000 (99 %) · holding · 3 failed, 2 timed out · 3 lost · \
             1m 05s left · server has 999,990"
        ),
        "{line}"
    );
}

#[test]
fn odd_snapshots_are_drawn_too() {
    let nothing = Snapshot {
        elapsed: Duration::MAX,
        phase: Phase::Opening,
        asked: Some(0),
        peak: u64::MAX,
        now: Tally::default(),
        recent: Tally::default(),
        interval: Duration::ZERO,
        latency: None,
        late: None,
        server: Some(Tally::default()),
        left: Some(Duration::MAX),
        dialled_per_s: Some(f64::MAX),
    };
    for asked in [None, Some(0), Some(u64::MAX)] {
        let snapshot = Snapshot {
            asked,
            ..nothing.clone()
        };
        assert!(!lines::of(&snapshot, 100, true).is_empty());
    }
}

#[test]
fn a_stderr_that_is_gone_is_no_matter() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
    }
    for style in [LiveStyle::Terminal, LiveStyle::Plain] {
        let mut live = Live::over(Gone, style, true, || (80, 10));
        live.update(&opening(true));
        live.note("lost");
        live.finish();
    }
}

/// In its second `n`, with answers: 100 messages per second, one of which is still without an answer.
fn answering(n: u64) -> Snapshot {
    let counters = Counters::default();
    counters.established.add(1_000_000);
    let sent = |count: u64| {
        counters.messages_sent.add(count);
        counters.questions.add(count);
        counters.bytes_sent.add(count * 5);
    };
    sent(100 * n.saturating_sub(1));
    counters.answers.add((100 * n).saturating_sub(101));
    let before = counters.read();
    sent(100);
    counters.answers.add(100);
    counters.failed(FailCause::Refused);
    counters.failed(FailCause::Refused);
    counters.failed(FailCause::TimedOut);
    counters.closed(Closed::ByPeer, 7);
    let now = counters.read();
    Snapshot {
        elapsed: Duration::from_secs(n),
        phase: Phase::Holding,
        now,
        recent: now.since(&before),
        latency: Some((Duration::from_micros(310), Duration::from_millis(3))),
        late: Some(Duration::from_micros(48)),
        ..opening(false)
    }
}

#[test]
fn missing_answers_have_a_line_on_any_terminal() {
    let line = |columns| lines::of(&answering(9), columns, false)[2].clone();
    assert_eq!(
        line(79),
        "1 answer missing now · 900 sent · 899 answered · late p99 48.0 µs"
    );
    assert_eq!(line(59), "1 answer missing now · 900 sent · 899 answered");
    let mut lost = answering(9);
    lost.now.messages_unanswered = 1;
    assert_eq!(
        lines::of(&lost, 59, false)[2],
        "0 answers missing now · 1 never answered · 900 sent"
    );
    assert!(lines::plain(&lost).contains("0 answers missing now, 1 never answered"));
}

#[test]
fn keys_that_change_the_rate_are_named_with_the_rate_that_is_asked_for() {
    let dialled = Snapshot {
        dialled_per_s: Some(11_487.0),
        ..answering(9)
    };
    let lines = |columns| lines::of(&dialled, columns, false);
    assert_eq!(
        lines(79)[3],
        "11.5k/s asked for · ↑ faster · ↓ slower · q ends the run"
    );
    assert_eq!(lines(40)[3], "11.5k/s asked for · ↑ faster · ↓ slower");
    assert_eq!(lines::of(&answering(9), 79, false).len(), 3);
    // Without a terminal there are no keys.
    assert!(!lines::plain(&dialled).contains("faster"));
}

/// What a terminal of this size shows after so many seconds.
fn shown(columns: usize, rows: usize, seconds: u64) -> Vec<String> {
    let mut out = Vec::new();
    let size = move || (columns, rows);
    let mut live = Live::over(&mut out, LiveStyle::Terminal, false, size);
    for second in 1..=seconds {
        live.update(&answering(second));
    }
    live.shown.clone()
}

#[test]
fn a_large_terminal_has_room_for_causes_and_for_values_over_time() {
    let small = shown(60, 15, 30);
    assert_eq!(small.len(), 3, "{small:?}");
    let usual = shown(80, 24, 30);
    assert_eq!(
        usual[3..],
        [
            "failed         2 refused · 1 timed out",
            "closed         7 by the peer",
            "the last 30 seconds",
            "messages       ██████████████████████████████ 100/s, up to 100/s",
            "answers        ██████████████████████████████ 100/s, up to 100/s",
            "p99            ██████████████████████████████ 3.00 ms, up to 3.00 ms",
        ]
    );
    let tall = shown(120, 50, 30);
    assert_eq!(tall.len(), 3 + 2 + 1 + 3 * 4, "{tall:?}");
    for (columns, rows) in [(1, 1), (20, 20), (40, 24), (60, 21), (80, 24), (300, 100)] {
        let lines = shown(columns, rows, 500);
        assert!(lines.len() <= rows, "{rows}: {lines:?}");
        for line in lines {
            assert!(line.chars().count() < columns.max(2), "{columns}: {line}");
        }
    }
}

#[test]
fn a_terminal_that_has_become_narrower_is_drawn_over_all_the_same() {
    let columns = Arc::new(AtomicUsize::new(100));
    let read = columns.clone();
    let mut out = Vec::new();
    let mut live = Live::over(&mut out, LiveStyle::Terminal, true, move || {
        (read.load(Relaxed), 10)
    });
    live.update(&opening(false));
    assert_eq!(live.shown.len(), 1);
    let columns_taken = seen(&live.shown[0]);
    assert!((51..100).contains(&columns_taken), "{columns_taken}");
    // The line now takes two.
    columns.store(50, Relaxed);
    live.update(&opening(false));
    drop(live);
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("\r\x1b[1A"), "{text:?}");
}

#[test]
fn connections_that_are_lost_at_once_give_no_time_to_the_end() {
    let mut snapshot = opening(false);
    assert!(lines::plain(&snapshot).contains("all in 17 s"));
    let lost = Counters::default();
    lost.closed(Closed::ByPeer, 36_200);
    snapshot.recent += lost.read();
    assert!(!lines::plain(&snapshot).contains("all in"));
}
