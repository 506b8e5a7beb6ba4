use super::*;
use crate::behaviour::Transmit;
use crate::pacing::Spacing;
use crate::payload::{Framing, Message, Messages, ParseOptions, Script, parse};
use crate::protocol::raw::Raw;
use crate::stats::Counters;
use crate::units::{Bandwidth, Rate};

const MS: u64 = 1_000_000;

fn message(text: &str) -> Message {
    let options = ParseOptions {
        unescape: false,
        files: &|_| Err(std::io::ErrorKind::NotFound.into()),
    };
    parse(text.as_bytes(), &options).expect("a message")
}

fn task(pacing: Pacing, first: &[&str], repeated: &[&str]) -> Task {
    let all = |texts: &[&str]| texts.iter().map(|t| message(t)).collect();
    let messages = Messages {
        first: all(first),
        repeated: all(repeated),
    };
    let script = Script::new(&messages, Framing::Raw, 8, 1).expect("a script");
    Task::new(script, pacing)
}

fn rate(per_second: f64) -> Pacing {
    Pacing::Rate(Rate::per_second(per_second).unwrap())
}

const LOOP: Pacing = Pacing::ClosedLoop { in_flight: None };

/// A load and some of its connections; each event at a time in milliseconds.
struct Rig<L: Matcher = NoMatcher> {
    load: Load<Raw, L>,
    conns: Vec<LoadConn<(), L::Conn>>,
    counters: Counters,
    /// What was sent last.
    bytes: Vec<u8>,
}

impl Rig {
    fn new(task: Task) -> Rig {
        Rig::looking(task, NoMatcher)
    }
}

impl<L: Matcher> Rig<L> {
    fn looking(task: Task, looks: L) -> Rig<L> {
        Rig {
            load: Load::new(task, Traffic::On, Raw, looks),
            conns: (0..4).map(|_| LoadConn::default()).collect(),
            counters: Counters::default(),
            bytes: Vec::new(),
        }
    }

    fn at(
        &mut self,
        id: usize,
        ms: u64,
        event: impl FnOnce(&mut Load<Raw, L>, &mut LoadConn<(), L::Conn>, &At, &mut Outbox),
    ) -> Outbox {
        let mut out = Outbox::default();
        let at = At {
            id: id as u32,
            now: Time(ms * MS),
            up_us: 0,
            counters: &self.counters,
        };
        event(&mut self.load, &mut self.conns[id], &at, &mut out);
        self.bytes = match &out.send {
            Transmit::Memory(r) => self.load.memory()[r.start as usize..r.end as usize].to_vec(),
            _ => out.bytes.clone(),
        };
        out
    }

    fn opened(&mut self, id: usize, ms: u64) -> Outbox {
        self.at(id, ms, |l, c, at, out| l.opened(c, at, out))
    }

    /// The send that connection `id` requested last is complete.
    fn sent(&mut self, id: usize, ms: u64) -> Outbox {
        let n = self.bytes.len();
        self.at(id, ms, |l, c, at, out| l.sent(c, n, at, out))
    }

    fn woken(&mut self, id: usize, ms: u64) -> Outbox {
        self.at(id, ms, |l, c, at, out| l.woken(c, at, out))
    }

    fn turn(&mut self, id: usize, ms: u64) -> Outbox {
        self.at(id, ms, |l, c, at, out| l.turn(c, at, out))
    }

    /// Bytes arrive, as an engine reports them.
    fn received(&mut self, id: usize, ms: u64, bytes: &[u8]) -> Outbox {
        let counts = self.load.reads() == Reads::Counts;
        self.at(id, ms, |l, c, at, out| match counts {
            true => l.counted(c, bytes.len(), at, out),
            false => l.received(c, bytes, at, out),
        })
    }

    fn closed(&mut self, id: usize, ms: u64) {
        self.at(id, ms, |l, c, at, _| l.closed(c, Closed::ByPeer, at));
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).expect("text")
    }
}

fn p50(durations: &crate::stats::Durations) -> Option<u128> {
    durations.percentile(50.0).map(|d| d.as_millis())
}

#[test]
fn first_messages_come_before_the_repeated_ones_which_go_round() {
    let mut rig = Rig::new(task(Pacing::Flood, &["hi", "ho"], &["a", "bc"]));
    rig.opened(0, 0);
    let mut sent = rig.text().to_owned();
    while sent.len() < 20 {
        rig.sent(0, 1);
        sent += rig.text();
    }
    assert!(sent.starts_with("hihoabcabcabcabc"), "{sent}");
    assert!(rig.counters.read().messages_sent >= 8);
}

#[test]
fn a_message_that_differs_is_written_anew_each_time() {
    let mut rig = Rig::new(task(rate(100.0), &[], &["<\\{connection.uid}>"]));
    let out = rig.opened(0, 0);
    assert_eq!((out.send, rig.text()), (Transmit::Bytes, "<1>"));
    rig.opened(1, 0);
    assert_eq!(rig.text(), "<2>");
    // Each new connection has a higher number, also in a place that was used before.
    rig.closed(0, 1);
    rig.opened(0, 1);
    rig.woken(0, 20);
    assert!(rig.text().starts_with("<3>"), "{}", rig.text());
}

#[test]
fn paced_messages_that_fell_behind_are_caught_up_and_their_lateness_is_reported() {
    let mut rig = Rig::new(task(rate(100.0), &[], &["ping"]));
    rig.opened(0, 0);
    assert_eq!(rig.text(), "ping", "phase 0 is due at once");
    let out = rig.sent(0, 0);
    assert_eq!(
        (out.send, out.wake),
        (Transmit::Nothing, Some(Time(10 * MS)))
    );
    rig.woken(0, 10);
    assert_eq!(rig.text(), "ping");
    // The peer blocks for 35 ms: messages due at 20, 30 and 40 ms go out together at 45 ms.
    rig.sent(0, 45);
    assert_eq!(rig.text(), "pingpingping");
    assert_eq!(rig.sent(0, 45).wake, Some(Time(50 * MS)));
    assert_eq!(rig.counters.read().messages_sent, 5);
    let worst = rig.load.measured.lateness.percentile(100.0).unwrap();
    assert!(worst.as_millis() == 35, "{worst:?}");
}

#[test]
fn at_high_rates_messages_go_in_groups_that_are_due_at_one_instant() {
    let mut rig = Rig::looking(task(rate(3000.0), &["hi"], &["ab"]), watching(marker(0)));
    rig.opened(0, 0);
    assert_eq!(rig.text(), "hi");
    rig.sent(0, 0);
    for ms in 0..5 {
        assert_eq!(rig.text(), "ababab");
        let out = rig.sent(0, ms);
        assert_eq!(
            (out.send, out.wake),
            (Transmit::Nothing, Some(Time((ms + 1) * MS)))
        );
        assert_eq!(
            rig.woken(0, ms).send,
            Transmit::Nothing,
            "not before they are due"
        );
        rig.woken(0, ms + 1);
    }
    // The peer blocks for 2 ms: what was due meanwhile is caught up, group by group.
    for _ in 0..2 {
        rig.sent(0, 7);
        assert_eq!(rig.text(), "ababab");
    }
    rig.sent(0, 7);
    assert_eq!(rig.counters.read().messages_sent, 24);
    let longest = |d: &crate::stats::Durations| d.percentile(100.0).unwrap().as_millis();
    assert_eq!(longest(&rig.load.measured.lateness), 2);
    // Response times count from the groups' instants, from 0 to 7 ms.
    rig.received(0, 9, "ok".repeat(24).as_bytes());
    let measured = &rig.load.measured;
    assert_eq!(measured.response.count(), 24);
    assert_eq!(longest(&measured.response), 9);
    assert_eq!(p50(&measured.response), Some(5));
    // Traffic ends when another group is due: all of it counts.
    rig.load.traffic(Traffic::Off, Time(8 * MS));
    rig.closed(0, 20);
    assert_eq!(rig.counters.read().messages_unsent, 3);
}

#[test]
fn a_group_is_no_larger_than_what_shares_a_write() {
    let long = "x".repeat(10_000);
    let mut rig = Rig::new(task(rate(20_000.0), &[], &[&long]));
    rig.opened(0, 0);
    assert_eq!(rig.bytes.len(), 60_000, "six fit into 64 KiB");
    assert_eq!(rig.sent(0, 0).wake, Some(Time(300_000)));
    // Each in a write of its own: none waits for another.
    let mut rig = Rig::new(Task {
        most: 1,
        ..task(rate(20_000.0), &[], &["ab"])
    });
    rig.opened(0, 0);
    assert_eq!(rig.text(), "ab");
    assert_eq!(rig.sent(0, 0).wake, Some(Time(50_000)));
}

#[test]
fn messages_that_differ_go_in_groups_too() {
    let mut rig = Rig::new(task(rate(3000.0), &[], &["<\\{re [a-z]}>", "-"]));
    rig.opened(0, 0);
    for ms in 0..4 {
        let (angles, dashes) = if ms % 2 == 0 { (2, 1) } else { (1, 2) };
        assert_eq!(rig.text().matches('<').count(), angles, "{}", rig.text());
        assert_eq!(rig.text().matches('-').count(), dashes, "{}", rig.text());
        assert_eq!(rig.sent(0, ms).wake, Some(Time((ms + 1) * MS)));
        rig.woken(0, ms + 1);
    }
}

#[test]
fn what_was_due_and_never_sent_counts_as_late() {
    let mut rig = Rig::new(task(rate(100.0), &[], &["ping"]));
    rig.opened(0, 0);
    rig.load.traffic(Traffic::Off, Time(95 * MS));
    rig.closed(0, 500);
    assert_eq!(rig.counters.read().messages_unsent, 10);
    assert_eq!(rig.load.measured.lateness.count(), 10);
}

#[test]
fn a_bandwidth_cuts_long_messages_and_joins_short_ones() {
    let bandwidth = |bytes| Pacing::Bandwidth(Bandwidth::bytes_per_second(bytes).unwrap());
    let long = "x".repeat(250);
    let mut rig = Rig::new(task(bandwidth(1000.0), &[], &[&long]));
    rig.opened(0, 0);
    let mut sent = 0;
    let mut now = 0;
    while sent < 500 {
        assert_eq!(rig.bytes.len(), if sent % 250 == 200 { 50 } else { 100 });
        sent += rig.bytes.len();
        let out = rig.sent(0, now);
        now = out.wake.expect("a time for the next piece").0 / MS;
        assert_eq!(now, sent as u64, "a millisecond a byte");
        rig.woken(0, now);
    }
    assert_eq!(rig.counters.read().messages_sent, 2);

    let mut rig = Rig::new(task(bandwidth(100_000.0), &[], &["0123456789"]));
    rig.opened(0, 0);
    assert_eq!(rig.bytes.len(), 80, "as many as share a write");
    assert_eq!(rig.sent(0, 0).wake, Some(Time(800_000)));
}

#[test]
fn a_closed_loop_waits_for_the_whole_echo_of_all_it_sent() {
    let mut rig = Rig::new(Task {
        samples: true,
        ..task(LOOP, &["hi"], &["ping"])
    });
    rig.opened(0, 0);
    assert_eq!(rig.text(), "hi");
    rig.sent(0, 1);
    assert_eq!(rig.text(), "ping");
    assert_eq!(rig.received(0, 2, b"hi").send, Transmit::Nothing);
    rig.bytes = b"ping".to_vec();
    assert_eq!(rig.sent(0, 3).send, Transmit::Nothing);
    assert_eq!(rig.received(0, 4, b"pi").send, Transmit::Nothing);
    rig.received(0, 5, b"ng");
    assert_eq!(rig.text(), "ping");
    assert_eq!(rig.counters.read().messages_received, 1);
    assert_eq!(p50(&rig.load.measured.service), Some(4));
    let kept: Vec<(u64, Duration)> = rig
        .load
        .measured
        .samples
        .iter()
        .map(|s| (s.sent.0, s.took))
        .collect();
    assert_eq!(kept, [(MS, Duration::from_millis(4))]);
}

#[test]
fn an_echo_that_is_not_inspected_is_only_counted() {
    let mut rig = Rig::new(Task {
        first_byte: true,
        ..task(LOOP, &[], &["ping"])
    });
    assert_eq!(rig.load.reads(), Reads::Counts);
    rig.opened(0, 0);
    rig.sent(0, 1);
    assert_eq!(rig.received(0, 2, b"pi").send, Transmit::Nothing);
    assert_ne!(rig.received(0, 3, b"ng").send, Transmit::Nothing);
    let measured = &rig.load.measured;
    assert_eq!(p50(&measured.service), Some(3));
    assert_eq!(p50(&measured.first_byte), Some(2));
    assert_eq!(rig.counters.read().messages_received, 1);
}

#[test]
fn a_bounded_number_of_messages_is_under_way_and_turns_are_passed_on() {
    let one = Pacing::ClosedLoop { in_flight: Some(1) };
    let mut rig = Rig::new(task(one, &[], &["ping"]));
    rig.opened(0, 0);
    assert_eq!(rig.text(), "ping");
    let out = rig.opened(1, 0);
    assert_eq!(
        out.send,
        Transmit::Nothing,
        "one message is under way already"
    );
    rig.sent(0, 1);
    let out = rig.received(0, 2, b"ping");
    assert_eq!((out.send, out.pass), (Transmit::Nothing, 1));
    rig.turn(1, 2);
    assert_eq!(rig.text(), "ping");
    // It closes with its message under way, so there is room for one again.
    rig.closed(1, 3);
    rig.turn(0, 4);
    assert_eq!(rig.text(), "ping");
}

#[test]
fn answers_in_a_row_pass_on_one_turn_each() {
    let two = Pacing::ClosedLoop { in_flight: Some(2) };
    let mut rig = Rig::new(task(two, &[], &["ping"]));
    for id in 0..4 {
        rig.opened(id, 0);
    }
    rig.sent(0, 1);
    rig.sent(1, 1);
    assert_eq!(rig.received(0, 2, b"ping").pass, 1);
    assert_eq!(
        rig.received(1, 2, b"ping").pass,
        1,
        "the first is not taken yet"
    );
    assert_ne!(rig.turn(2, 3).send, Transmit::Nothing);
    assert_eq!(rig.turn(2, 3).pass, 1, "it has a message under way");
    assert_ne!(rig.turn(3, 3).send, Transmit::Nothing);
}

#[test]
fn turns_that_went_with_all_connections_are_not_waited_for() {
    let one = Pacing::ClosedLoop { in_flight: Some(1) };
    let mut rig = Rig::new(task(one, &[], &["ping"]));
    rig.opened(0, 0);
    rig.sent(0, 1);
    assert_eq!(rig.received(0, 2, b"ping").pass, 1);
    // No connection is there to take it.
    rig.closed(0, 3);
    rig.opened(0, 4);
    assert_eq!(rig.text(), "ping");
    rig.sent(0, 5);
    assert_eq!(rig.received(0, 6, b"ping").pass, 1);
}

#[test]
fn an_echo_that_overtakes_the_end_of_its_own_send_is_not_lost() {
    let mut rig = Rig::new(task(LOOP, &[], &["ping"]));
    rig.opened(0, 0);
    assert_eq!(rig.received(0, 1, b"ping").send, Transmit::Nothing);
    rig.sent(0, 2);
    assert_eq!(rig.text(), "ping");
}

#[test]
fn nothing_new_is_begun_once_traffic_is_off() {
    let mut rig = Rig::new(task(Pacing::Flood, &[], &["ping"]));
    rig.opened(0, 0);
    rig.load.traffic(Traffic::Off, Time(MS));
    assert_eq!(rig.sent(0, 2).send, Transmit::Nothing);
}

#[test]
fn a_connection_that_opened_early_waits_until_traffic_starts() {
    let mut rig = Rig::new(task(Pacing::Flood, &[], &["ping"]));
    rig.load.traffic(Traffic::Waiting, Time::START);
    assert_eq!(rig.opened(0, 0).send, Transmit::Nothing);
    rig.load.traffic(Traffic::On, Time(MS));
    let out = rig.at(0, 1, |l, c, at, out| l.started(c, at, out));
    assert!(matches!(out.send, Transmit::Memory(_)));
}

#[test]
fn sending_is_held_back_for_the_delay() {
    let mut rig = Rig::new(Task {
        delay: Duration::from_millis(30),
        ..task(rate(100.0), &["hi"], &["ping"])
    });
    let out = rig.opened(0, 5);
    assert_eq!(
        (out.send, out.wake),
        (Transmit::Nothing, Some(Time(35 * MS)))
    );
    assert_eq!(rig.woken(0, 20).send, Transmit::Nothing);
    rig.woken(0, 35);
    assert_eq!(rig.text(), "hi");
}

#[test]
fn a_connection_ends_with_its_lifetime_and_a_whole_message() {
    let lifetime = Some(Duration::from_millis(30));
    let mut rig = Rig::new(Task {
        lifetime,
        ..task(rate(1.0), &[], &["ping"])
    });
    rig.opened(0, 0);
    let out = rig.sent(0, 1);
    assert_eq!((out.wake, out.close), (Some(Time(30 * MS)), false));
    assert!(rig.woken(0, 30).close);
    // In the middle of a message.
    rig.closed(0, 30);
    let mut rig = Rig::new(Task {
        lifetime,
        ..task(Pacing::Flood, &[], &["ping"])
    });
    rig.opened(0, 0);
    assert!(!rig.woken(0, 30).close);
    let out = rig.sent(0, 31);
    assert!(out.close && out.send == Transmit::Nothing);
}

#[test]
fn what_is_read_slowly_is_asked_for_at_its_time() {
    let mut rig = Rig::new(Task {
        receive: Bandwidth::bytes_per_second(1000.0),
        ..task(Pacing::Flood, &[], &[])
    });
    assert_eq!(rig.load.reads(), Reads::Asked);
    let mut now = 0;
    let mut came = 0;
    let mut asked = rig.opened(0, 0).read;
    while came < 1000 {
        assert_eq!(asked, 100, "a tenth of a second");
        let out = rig.received(0, now, &vec![0; asked as usize]);
        came += asked;
        now = out.wake.expect("a time to read on").0 / MS;
        assert_eq!((out.read, now), (0, came.into()));
        asked = rig.woken(0, now).read;
    }
    let never = Task {
        receive: Bandwidth::bytes_per_second(0.0),
        ..task(Pacing::Flood, &[], &[])
    };
    assert_eq!(Rig::new(never).load.reads(), Reads::Never);
}

#[test]
fn the_first_byte_is_measured_once_on_each_connection() {
    let mut rig = Rig::new(Task {
        first_byte: true,
        ..task(Pacing::Flood, &[], &[])
    });
    rig.opened(0, 3);
    rig.received(0, 7, b"x");
    rig.received(0, 9, b"y");
    rig.closed(0, 10);
    assert_eq!(rig.load.measured.first_byte.count(), 1);
    assert_eq!(p50(&rig.load.measured.first_byte), Some(7));
}

fn watching(by: Option<AnswerBy>) -> ReplyMatcher {
    ReplyMatcher::new(Matching {
        answers: by,
        paced: true,
        samples: false,
        stop: Pattern::new(b"STOP"),
        markers: true,
        unix_us: 1_000_000,
    })
}

fn marker(skip: u32) -> Option<AnswerBy> {
    let text = Marker::Same(Box::new(Pattern::new(b"ok").unwrap()));
    Some(AnswerBy::Marker { text, skip })
}

#[test]
fn latency_counts_from_when_a_message_was_due_with_the_time_from_sending_beside_it() {
    let mut rig = Rig::looking(task(rate(100.0), &[], &["ping"]), watching(marker(0)));
    rig.opened(0, 0);
    // The peer takes nothing for 35 ms: messages due at 10, 20 and 30 ms go out at 35 ms.
    rig.sent(0, 35);
    rig.sent(0, 36);
    // Markers come in pieces.
    for (ms, bytes) in [(40, "..o"), (41, "k..okok"), (45, "ok")] {
        rig.received(0, ms, bytes.as_bytes());
    }
    let measured = &rig.load.measured;
    assert_eq!(measured.response.count(), 4);
    assert_eq!(rig.counters.read().messages_received, 4);
    // Sent at 0, 35, 35, 35; due at 0, 10, 20, 30; answered at 41, 41, 41, 45.
    let longest = |d: &crate::stats::Durations| d.percentile(100.0).unwrap().as_millis();
    assert_eq!(
        (longest(&measured.response), p50(&measured.response)),
        (41, Some(21))
    );
    assert_eq!(
        (longest(&measured.service), p50(&measured.service)),
        (41, Some(6))
    );
    // No message waits for this answer.
    rig.received(0, 50, b"ok");
    assert_eq!(rig.load.measured.response.count(), 4);
    // The message at 40 ms is sent and never answered.
    rig.woken(0, 40);
    rig.closed(0, 60);
    assert_eq!(rig.counters.read().messages_unanswered, 1);
}

#[test]
fn each_connection_may_have_a_marker_of_its_own() {
    let text = "\\{connection.uid}:\\{connection.re [a-z]{9}}.";
    let marker = Some(AnswerBy::Marker {
        text: Marker::OfConnection(task(Pacing::Flood, &[text], &[]).script),
        skip: 0,
    });
    let mut rig = Rig::looking(task(rate(100.0), &[], &[text]), watching(marker));
    rig.opened(0, 0);
    let first = rig.bytes.clone();
    rig.opened(1, 0);
    let second = rig.bytes.clone();
    assert!(first.starts_with(b"1:") && second.starts_with(b"2:"));
    assert_ne!(first[2..], second[2..]);
    rig.received(0, 3, &[&second[..], &first, &first[..4]].concat());
    assert_eq!(rig.counters.read().messages_received, 1);
    rig.received(1, 3, &second);
    assert_eq!(rig.counters.read().messages_received, 2);
    rig.closed(0, 4);
    rig.closed(1, 4);
    // The next connection in that place has another one.
    rig.opened(0, 10);
    let third = rig.bytes.clone();
    rig.received(0, 11, &[&first[..], &third].concat());
    assert_eq!(rig.counters.read().messages_received, 3);
}

#[test]
fn the_first_answers_can_be_passed_over() {
    let mut rig = Rig::looking(task(rate(100.0), &[], &["ping"]), watching(marker(2)));
    rig.opened(0, 0);
    rig.sent(0, 35);
    rig.sent(0, 36);
    rig.received(0, 40, b"okok ok");
    assert_eq!(rig.load.measured.response.count(), 1);
    assert_eq!(p50(&rig.load.measured.response), Some(20));
}

#[test]
fn an_echo_answers_with_its_last_byte() {
    let mut rig = Rig::looking(
        task(rate(100.0), &["hello"], &["ping"]),
        watching(Some(AnswerBy::Echo)),
    );
    rig.opened(0, 0);
    rig.sent(0, 0);
    rig.sent(0, 25);
    rig.received(0, 30, b"helloping");
    assert_eq!(rig.load.measured.response.count(), 1);
    rig.received(0, 31, b"pin");
    assert_eq!(rig.load.measured.response.count(), 1);
    rig.received(0, 32, b"gp");
    assert_eq!(rig.load.measured.response.count(), 2);
    assert_eq!(p50(&rig.load.measured.service), Some(7));
}

#[test]
fn the_text_that_ends_the_run_and_message_markers_are_found_across_reads() {
    let mut rig = Rig::looking(task(Pacing::Flood, &[], &[]), watching(None));
    rig.opened(0, 0);
    // The run began at 1,000,000 us; this was sent 2 ms later.
    let text = format!(
        "..TCPKaliMsgTS-{:016x}.TCPKaliMsgTS-notahexnumber.STOPSTO",
        1_002_000
    );
    for byte in text.as_bytes() {
        rig.received(0, 9, &[*byte]);
    }
    let half = format!("P TCPKaliMsgTS-{:016x}.", 1_004_000);
    rig.received(0, 10, half.as_bytes());
    assert_eq!(rig.counters.read().stops_seen, 2);
    assert_eq!(rig.load.measured.marked.count(), 2);
    assert_eq!(p50(&rig.load.measured.marked), Some(6));
    assert_eq!(rig.counters.read().messages_received, 2);
}

#[test]
fn what_arrives_goes_to_the_connection_whose_turn_it_is_and_waits_if_that_is_busy() {
    let arrivals = Pacing::Arrivals {
        spacing: Spacing::Uniform,
        rate: Arriving::Constant(Rate::per_second(100.0).unwrap()),
    };
    let mut rig = Rig::looking(task(arrivals, &[], &["ping"]), watching(marker(0)));
    rig.load.traffic(Traffic::Waiting, Time::START);
    rig.opened(0, 0);
    rig.opened(1, 0);
    rig.load.traffic(Traffic::On, Time(100 * MS));
    for id in 0..2 {
        let out = rig.at(id, 100, |l, c, at, out| l.started(c, at, out));
        assert_eq!(out.send, Transmit::Nothing);
    }
    assert_eq!(rig.load.next_arrival(), Some(Time(100 * MS)));
    // Due at 100, 110, 120 and 130 ms; connection 0 stays busy with its first.
    assert_eq!(rig.load.arrived(Time(135 * MS)), 4);
    for id in [0, 1, 0] {
        let sends = rig.turn(id, 135).send != Transmit::Nothing;
        assert_eq!(sends, rig.load.arrived(Time(135 * MS)) != 1, "{id}");
    }
    assert_eq!(
        rig.load.arrived(Time(135 * MS)),
        1,
        "one has had no turn yet"
    );
    // Once it is free it sends what it owes, counted from when that was due.
    rig.bytes = b"ping".to_vec();
    rig.sent(0, 150);
    assert_eq!(rig.text(), "ping");
    rig.sent(0, 151);
    rig.received(0, 160, b"okok");
    let longest = rig.load.measured.response.percentile(100.0).unwrap();
    assert_eq!(longest.as_millis(), 60);
    assert_eq!(rig.load.measured.response.count(), 2);
    // Messages that no connection can take any more are reported.
    rig.closed(0, 170);
    rig.closed(1, 170);
    assert_eq!(
        rig.counters.read().messages_unsent,
        2,
        "one under way, one waiting"
    );
}
