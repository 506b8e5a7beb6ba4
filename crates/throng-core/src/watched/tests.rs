//! What is told of readings, and what is not.

use super::{Binds, WatchedSummary};
use crate::record::{MemoryLeft, ServerFiles, Watched, WatchedEnd, WatchedReading};
use proptest::prelude::*;
use std::time::Duration;

/// A system that takes `rss` and `kernel` bytes per connection, at these numbers of connections, one reading per second.
fn system(rss: u64, kernel: u64, connections: &[u64]) -> Watched {
    let readings = connections.iter().enumerate();
    let readings = readings.map(|(second, open)| WatchedReading {
        at: Duration::from_secs(second as u64),
        processes: 3,
        threads: 3,
        rss_bytes: (8 << 20) + rss * open,
        anon_bytes: (4 << 20) + rss * open,
        connections: Some(*open),
        kernel_bytes: Some(kernel * open),
        descriptors: 30 + open,
        fullest: Some(ServerFiles {
            open: 10 + open / 2,
            limit: 10_010,
        }),
        softirq: 0.1,
        ..WatchedReading::default()
    });
    Watched {
        name: "process 4711 (nginx)".into(),
        processes: vec!["nginx".into()],
        socket_bytes: kernel,
        socket_bytes_read: true,
        memory: Some(MemoryLeft {
            available_bytes: 20 << 30,
            cgroup: None,
        }),
        readings: readings.collect(),
        ended: None,
        unread: Vec::new(),
    }
}

#[track_caller]
fn why_not(watched: &Watched, part: &str) {
    let told = WatchedSummary::of(watched, None);
    let why = told.why_not.clone().unwrap_or_default();
    assert!(why.contains(part), "{told:#?}");
    assert_eq!(told.bytes_per_connection, None);
    assert_eq!((told.memory_binds_at, told.margin_bytes), (None, None));
    assert!(told.text.contains(&why), "{told:#?}");
}

#[test]
fn memory_per_connection_its_parts_and_what_binds_are_told() {
    let told = WatchedSummary::of(&system(13_000, 5_000, &[0, 500, 1000, 1000, 1000]), None);
    assert!((told.bytes_per_connection.unwrap() - 18_000.0).abs() < 1.0);
    assert!((told.rss_bytes_per_connection.unwrap() - 13_000.0).abs() < 1.0);
    assert!(told.margin_bytes.unwrap() < 1.0);
    let memory = (20_u64 << 30) / 18_000;
    assert!(told.memory_binds_at.unwrap().abs_diff(memory) <= 1);
    // The fullest of two processes has half of the connections.
    assert!(told.descriptors_bind_at.unwrap().abs_diff(20_000) <= 1);
    assert_eq!(
        told.binds_first(),
        told.descriptors_bind_at.map(Binds::Descriptors)
    );
    assert!((told.softirq_mean - 0.1).abs() < 1e-9);
    assert_eq!(
        (told.connections_before, told.connections_peak),
        (Some(0), Some(1000))
    );
}

#[test]
fn memory_that_stays_after_connections_have_gone_does_not_count() {
    let mut watched = system(13_000, 5_000, &[0, 1000, 1000, 1000, 0, 0, 0]);
    for after in &mut watched.readings[4..] {
        after.rss_bytes = (8 << 20) + 13_000 * 1000;
    }
    let told = WatchedSummary::of(&watched, None);
    assert!((told.rss_bytes_per_connection.unwrap() - 13_000.0).abs() < 1.0);
}

#[test]
fn without_enough_to_go_by_it_says_what_is_missing() {
    why_not(&system(13_000, 5_000, &[0, 1000]), "there are 2 readings");
    why_not(&system(13_000, 5_000, &[7; 9]), "7 to 7 connections");
    why_not(&system(0, 0, &[0, 1000, 1000, 1000]), "did not grow");
    let mut blind = system(13_000, 5_000, &[0, 1000, 1000, 1000]);
    for reading in &mut blind.readings {
        (reading.connections, reading.kernel_bytes) = (None, None);
    }
    why_not(&blind, "could not be read");
    let mut moving = system(0, 5_000, &[0, 200, 200, 200, 200]);
    for (n, reading) in moving.readings.iter_mut().enumerate() {
        reading.rss_bytes = if n % 2 == 0 { 1 << 20 } else { 30 << 20 };
    }
    why_not(&moving, "does not follow");
    why_not(&Watched::default(), "nothing was read");
}

#[test]
fn a_system_that_ended_is_told_with_when() {
    let mut watched = system(1, 1, &[0, 0]);
    watched.ended = Some(WatchedEnd {
        at: Duration::from_secs(2),
        how: "ended with exit code 3".into(),
    });
    let told = WatchedSummary::of(&watched, Some("a1"));
    assert_eq!(told.ended_at_s, Some(2.0));
    assert!(
        told.text
            .starts_with("a1: process 4711 (nginx) ended with exit code 3 after 2.00 s;"),
        "{}",
        told.text
    );
}

proptest! {
    #[test]
    fn whatever_was_read_no_estimate_is_below_what_was_held(
        readings in prop::collection::vec((0_u64..50_000, 0_u64..1 << 30, 0_u64..1 << 30, 0_u64..20_000), 0..30),
        available in 0_u64..1 << 36,
    ) {
        let mut watched = system(0, 0, &vec![0; readings.len()]);
        watched.memory = Some(MemoryLeft { available_bytes: available, cgroup: None });
        for (reading, (open, rss, kernel, files)) in watched.readings.iter_mut().zip(&readings) {
            reading.connections = Some(*open);
            reading.rss_bytes = *rss;
            reading.kernel_bytes = Some(*kernel);
            reading.fullest = Some(ServerFiles { open: *files, limit: 20_000 });
        }
        let told = WatchedSummary::of(&watched, None);
        prop_assert_eq!(told.bytes_per_connection.is_some(), told.why_not.is_none());
        if let Some(each) = told.bytes_per_connection {
            prop_assert!(each > 0.0 && told.margin_bytes.unwrap() <= each / 4.0 + 1e-9);
            prop_assert!(told.memory_binds_at >= told.connections_before);
        }
        if let Some(at) = told.descriptors_bind_at {
            let most = readings.iter().map(|(open, ..)| *open).max().unwrap_or(0);
            prop_assert!(at as f64 >= most as f64 * 0.95 - 1.0);
        }
        prop_assert!(!told.text.is_empty() && !told.text.contains('?') && !told.text.contains("NaN"));
    }
}
