//! Records of several sources.

use super::*;
use crate::record::Phase;
use std::collections::BTreeMap;

#[test]
fn sources_add_up_but_for_what_is_of_an_instant_or_a_machine() {
    let record = |name: &str, started_unix_s: f64| {
        let mut part = ten();
        part.about.started_unix_s = started_unix_s;
        Record::of(Source::new(name), part)
    };
    let together = |later: f64| {
        let record = record("a", 1000.0).merge(record("b", 1000.0 + later));
        of(&record.unwrap())
    };
    let s = together(0.5);
    assert!(s.reached, "{:?}", s.findings);
    let c = &s.connections;
    assert_eq!(
        (c.asked, c.established, c.accepted),
        (Some(20), 20, Some(20))
    );
    assert_eq!((c.peak, c.open_at_end), (20, 20));
    assert_eq!((s.seconds, s.hold_s), (3.5, Some(2.0)));
    let set_up = s.set_up.unwrap();
    assert_eq!((set_up.seconds, set_up.per_s), (1.0, 20.0));
    assert_eq!(set_up.latency.unwrap().count, 20);
    assert_eq!(s.cost.user_bytes, 2 << 20);
    assert_eq!((s.cores, s.workers, s.kernel.as_str()), (4, 4, "6.18"));
    assert_eq!(s.sources.len(), 2);
    // One after the other.
    let s = together(10.0);
    assert_eq!((s.reached, s.connections.peak), (false, 10));
    let missing = Finding::ConnectionsMissing {
        peak: 10,
        asked: 20,
        why: WhyMissing::NotAtOnce,
    };
    assert_eq!(s.findings, [missing]);
}

#[test]
fn agents_on_one_machine_share_its_cores_and_a_lost_one_is_told_with_what_it_had() {
    let agent = |name: &str, machine: &str| {
        let mut part = ten();
        part.about.agent = Some(name.into());
        part.about.machine = Some(machine.into());
        part
    };
    let mut lost = agent("b", "x");
    lost.ending = None;
    let parts = [agent("a", "x"), lost, agent("c", "y")];
    let named = ["1", "2", "3"].into_iter().zip(parts);
    let records = named.map(|(name, part)| Record::of(Source::new(name), part));
    let s = of(&records.reduce(|a, b| a.merge(b).unwrap()).unwrap());
    // Two of each machine.
    assert_eq!((s.cores, s.workers, s.reached), (4, 6, false));
    // What it had when it was lost, nobody knows. The others tell when theirs were open.
    let set_up = s.set_up.as_ref().expect("of a load");
    assert_eq!((set_up.seconds, set_up.per_s), (0.5, 40.0));
    let not_at_once = |f: &Finding| {
        matches!(
            f,
            Finding::ConnectionsMissing {
                why: WhyMissing::NotAtOnce,
                ..
            }
        )
    };
    assert!(!s.findings.iter().any(not_at_once), "{:?}", s.findings);
    let agents: Vec<_> = s
        .sources
        .iter()
        .filter_map(|s| s.agent.as_deref())
        .collect();
    assert_eq!(agents, ["a", "b", "c"]);
    let told = s.findings.iter().find_map(|f| match f {
        Finding::SourceLost { source, .. } => Some((source.as_str(), f.to_string())),
        _ => None,
    });
    let (source, text) = told.expect("b was lost");
    assert!(
        source == "b" && text.contains("b was lost before its first report"),
        "{text}"
    );
}

#[test]
fn an_agent_that_is_much_slower_than_the_others_is_named() {
    let agent = |name: &str, ms: u64| {
        let mut part = ten();
        part.about.agent = Some(name.into());
        let mut measured = Measured::default();
        measured.service.record(Duration::from_millis(ms));
        part.ending.as_mut().unwrap().histograms = Ending::pack(&measured);
        Record::of(Source::new(name), part)
    };
    let named = |ms: [u64; 3]| {
        let records = ["a", "b", "c"].into_iter().zip(ms);
        let records = records.map(|(name, ms)| agent(name, ms));
        let s = of(&records.reduce(|a, b| a.merge(b).unwrap()).unwrap());
        let slow = s.findings.into_iter().filter_map(|f| match f {
            Finding::AgentDiffers { agent, .. } => Some(agent),
            _ => None,
        });
        slow.collect::<Vec<_>>()
    };
    assert_eq!(named([2, 31, 3]), ["b"]);
    assert!(named([2, 8, 3]).is_empty());
}

#[test]
fn a_record_of_nothing_says_nothing() {
    let s = of(&Record {
        version: VERSION,
        sources: Default::default(),
    });
    assert_eq!((s.connections.peak, s.seconds), (0, 0.0));
    assert!(s.findings.is_empty() && s.over_time.is_empty());
}

#[test]
fn a_server_that_several_sources_may_share_is_told_of_one_only() {
    let memory = |mib: u64| ServerMemory {
        processes: 1,
        rss_bytes: mib << 20,
        pss_bytes: None,
    };
    let mut part = ten();
    let ending = part.ending.as_mut().unwrap();
    ending.peak = 2048;
    ending.server = Some(ServerUsed {
        before: Some(memory(10)),
        peak: Some(memory(12)),
        accepting: 1,
        ended: vec![ServerEnded {
            pid: 811,
            at: Duration::from_secs(2),
        }],
        unread: vec!["its proportional memory: Permission denied".into()],
        ..ServerUsed::default()
    });
    let one = of(&Record::of(Source::new("a"), part.clone()));
    let server = one.server.as_ref().unwrap();
    assert_eq!(server.rss_bytes_per_connection, Some(1024.0));
    assert_eq!((server.pss_bytes_peak, server.ended), (None, 1));
    // What its end did to connections decides, and here that was nothing.
    assert!(one.reached);
    assert_eq!(kinds(&one), ["server_ended"]);

    let both = Record::of(Source::new("a"), part.clone());
    let both = both.merge(Record::of(Source::new("b"), part)).unwrap();
    let both = of(&both);
    assert_eq!(both.server, None);
    assert_eq!(kinds(&both).last(), Some(&"server_ended"));
}

#[test]
fn merged_records_are_judged_as_a_whole_and_by_what_all_of_them_expect() {
    let part = |texts: &[&str]| {
        let mut part = ten();
        part.about.asked.expect = expecting(texts);
        part
    };
    let merged = |a: Part, b: Part| {
        let a = Record::of(Source::new("a"), a);
        of(&a.merge(Record::of(Source::new("b"), b)).unwrap())
    };
    let both = merged(part(&["peak>=15"]), part(&["peak>=15"]));
    assert!(both.reached && both.expectations.len() == 1, "{both:#?}");
    assert!(!of(&Record::of(Source::new("a"), part(&["peak>=15"]))).reached);
    let one = merged(part(&["peak>=15"]), part(&[]));
    let measured = one.expectations[0].measured.as_str();
    assert!(!one.reached && measured == "unknown: not all sources expect it");
    let mut lost = part(&["peak>=0"]);
    lost.ending = None;
    let lost = merged(part(&["peak>=0"]), lost);
    assert_eq!(lost.expectations[0].measured, "unknown: a source was lost");
}

#[test]
fn a_server_among_the_sources_leaves_what_the_loads_asked_for() {
    let mut server = ten();
    (server.about.asked.role, server.about.asked.connections) = (Role::Serve, None);
    // A signal is how it ends.
    server.ending.as_mut().unwrap().interrupted = true;
    let mut none = ten();
    none.about.asked.connections = Some(5);
    none.ending = Some(Box::default());
    let of_all = |parts: Vec<(&str, Part)>| {
        let records = parts
            .into_iter()
            .map(|(name, part)| Record::of(Source::new(name), part));
        let all = records.reduce(|a, b| a.merge(b).unwrap());
        of(&all.unwrap())
    };
    let well = of_all(vec![("load", ten()), ("server", server.clone())]);
    assert_eq!(well.connections.asked, Some(10));
    assert!(well.reached && !well.interrupted, "{well:#?}");
    let s = of_all(vec![("load", ten()), ("server", server), ("none", none)]);
    assert_eq!((s.connections.asked, s.reached), (Some(15), false));
    let verdict = s.findings[0].to_string();
    assert!(verdict.contains(" of 15 connections: "), "{verdict}");
}

#[test]
fn what_a_lost_source_had_open_is_neither_open_nor_closed() {
    let mut lost = ten();
    let ending = lost.ending.take().unwrap();
    let mut recorder = Recorder::default();
    let reading = Reading::of(&ending.over.opened, &ending.over.opened);
    recorder.add(
        Duration::ZERO,
        Duration::from_secs(2),
        Phase::Holding,
        Some(reading),
        None,
        Measured::default(),
    );
    lost.intervals = recorder.finish().0;
    lost.about.asked.own_server = false;
    let mut well = ten();
    well.about.asked.own_server = false;
    let record = Record::of(Source::new("a"), well);
    let s = of(&record.merge(Record::of(Source::new("b"), lost)).unwrap());
    let c = &s.connections;
    assert_eq!((c.established, c.open_at_end, c.unknown), (20, 10, 10));
    assert_eq!(c.closed_by_us, 10);
    assert_eq!(kinds(&s)[0], "source_lost");
}

/// A run of `n` connections that measured `values`, in the same time whatever `n` is.
fn of_connections(n: u64, values: impl Iterator<Item = u64>) -> Part {
    let mut part = ten();
    let opened = counts(|c| {
        c.attempted.add(n + 1);
        c.failed(FailCause::Refused);
        c.established.add(n);
        c.ready.add(n);
        c.messages_sent.add(7 * n);
        c.bytes_sent.add(70 * n);
    });
    let mut measured = Measured::default();
    for us in values {
        measured.service.record(Duration::from_micros(us));
    }
    part.about.asked.connections = Some(n);
    part.about.asked.own_server = false;
    let ending = part.ending.as_mut().unwrap();
    (ending.peak, ending.ready_peak, ending.closed) = (n, n, opened);
    for mark in [
        ending.opened.as_mut(),
        ending.held.as_mut(),
        Some(&mut ending.over),
    ] {
        let mark = mark.unwrap();
        (mark.opened, mark.accepted) = (opened, None);
    }
    ending.histograms = Ending::pack(&measured);
    part
}

#[test]
fn forty_sources_say_what_one_says_that_did_all() {
    // Spread over five decades.
    let values = || (0..80_000u64).map(|i| 20 + (i * i * 7919) % 10u64.pow(2 + (i % 5) as u32));
    let one = of(&Record::of(
        Source::new("one"),
        of_connections(400, values()),
    ));
    let parts = (0..40).map(|agent| {
        let own = values().skip(agent).step_by(40);
        Record::of(
            Source::new(format!("agent {agent}")),
            of_connections(10, own),
        )
    });
    let all = of(&parts.reduce(|a, b| a.merge(b).unwrap()).unwrap());
    let count = |s: &Summary| s.latency.service.map(|p| p.count);
    assert_eq!((count(&one), count(&all)), (Some(80_000), Some(80_000)));
    assert_eq!(one.latency, all.latency);
    assert_eq!(one.histogram, all.histogram);
    assert_eq!(one.traffic, all.traffic);
    // Each of them had an attempt that failed.
    let mut connections = one.connections.clone();
    connections.attempted += 39;
    connections.failed = BTreeMap::from([(FailCause::Refused, 40)]);
    assert_eq!(connections, all.connections);
    assert_eq!(one.set_up.map(|s| s.per_s), all.set_up.map(|s| s.per_s));
}
