//! Connections whose first bytes go with the SYN (TCP Fast Open): how they are opened and fail, and what is counted.
//!
//! They need no cookie here, so that all of them send early; these servers take the data only after the handshake.
//! The end-to-end tests have servers that take it at once.

use crate::connecting::full_listener;
use crate::peer;
use crate::rig::{Connect, Serve, Side, wait_until};
use crate::script::{Event, Report, RoundTrips, load, script};
use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use throng_core::behaviour::{Load, NoMatcher, Pacing, Task, Traffic, Transmit};
use throng_core::engine::Engine;
use throng_core::payload::{Framing, Messages, Script as Messaging};
use throng_core::protocol::proxy_protocol::{Headers, Version};
use throng_core::protocol::raw::{Echo, Raw, Sink};
use throng_core::scenario::FastOpen;
use throng_core::stats::{Closed, FailCause, Tally};
use throng_core::time::Time;
use throng_engine::Order;

on_each_engine![
    first_messages_of_every_size_come_back,
    what_is_refused_was_never_sent,
    what_times_out_was_never_sent,
    what_was_refused_is_sent_once_somebody_listens,
    connections_with_nothing_to_send_are_established,
    an_empty_first_send_is_done_once_established,
    what_is_asked_for_at_first_waits_for_the_handshake,
    traffic_that_starts_during_a_handshake_starts_after_it,
    a_close_that_is_asked_for_at_first_waits_for_what_is_sent,
    what_the_peer_resets_at_once_was_established,
    attempts_under_way_at_the_end_are_in_flight,
    the_lifetime_begins_when_the_connection_is_established,
    a_header_of_the_proxy_protocol_goes_first,
];

const LOOP: Pacing = Pacing::ClosedLoop { in_flight: None };

fn early(engine: Engine, target: SocketAddr, count: u32) -> Connect {
    let mut setup = Connect::to(engine, &[target], count);
    setup.options.fastopen_connect = Some(FastOpen::NoCookie);
    setup
}

/// Nothing was sent, and nothing measured, on any connection.
fn assert_nothing_sent(tally: &Tally) {
    assert_eq!(
        (tally.established, tally.bytes_sent, tally.writes),
        (0, 0, 0),
        "{tally:?}"
    );
    assert_eq!(
        (tally.messages_sent, tally.questions, tally.ready),
        (0, 0, 0)
    );
    assert_eq!((tally.messages_unanswered, tally.messages_unsent), (0, 0));
}

fn first_messages_of_every_size_come_back(engine: Engine) {
    // More than a SYN has room for, too, and more than a socket's buffer.
    const SIZES: &[usize] = &[1, 700, 1400, 1500, 4096, 5000, 60_000, 65_537, 1 << 20];
    const N: u32 = 45;
    let server = Serve::on(engine).with(|| Echo);
    let report = Arc::<Report>::default();
    let client = early(engine, server.address(), N)
        .with(|| RoundTrips::new(SIZES, SIZES.len() as u32, true, &report));
    client.wait("all are done", |t| t.closed_in_all() == u64::from(N));
    report.assert_perfect(N.into());
    let (sent, measured) = client.close();
    server.wait("all have ended", |t| t.open() == 0);
    let (served, _) = server.close();
    assert_eq!(
        (sent.attempted, sent.established, sent.failed_in_all()),
        (N.into(), N.into(), 0)
    );
    assert_eq!(served.accepted, sent.established);
    assert_eq!(served.bytes_received, sent.bytes_sent);
    assert_eq!(sent.bytes_received, sent.bytes_sent);
    assert_eq!(measured.connect.count(), N.into());
    assert!(sent.writes >= u64::from(N) * SIZES.len() as u64);
}

fn what_is_refused_was_never_sent(engine: Engine) {
    let (_port, target) = peer::closed_port();
    let client =
        early(engine, target, 50).with(|| load(LOOP, Traffic::On, b"first", b"repeated", 1));
    client.wait("all are refused", |t| t.failed(FailCause::Refused) == 50);
    client.stays("nothing is tried again", |t| t.attempted == 50);
    let (tally, measured) = client.close();
    assert_eq!(tally.failed_in_all(), 50);
    assert_nothing_sent(&tally);
    assert_eq!(measured.connect.count(), 0);
    assert_eq!(measured.unanswered_lost.count(), 0);
}

fn what_times_out_was_never_sent(engine: Engine) {
    let (listener, _fill) = full_listener();
    let mut setup = early(engine, listener.local_addr().expect("bound"), 20);
    setup.timeout = Duration::from_millis(200);
    // More than the SYN has room for: the rest of it waits in the kernel.
    let long = vec![b'x'; 100_000];
    let client = setup.with(|| load(Pacing::Flood, Traffic::On, b"", &long, 1));
    client.wait("all time out", |t| t.failed(FailCause::TimedOut) == 20);
    client.stays("nothing comes after", |t| t.bytes_sent == 0);
    let (tally, _) = client.close();
    assert_eq!((tally.attempted, tally.failed_in_all()), (20, 20));
    assert_nothing_sent(&tally);
}

fn what_was_refused_is_sent_once_somebody_listens(engine: Engine) {
    const N: u64 = 10;
    let (port, target) = peer::closed_port();
    let mut setup = early(engine, target, N as u32);
    setup.reconnect = true;
    let client = setup.with(|| {
        let messages = Messages {
            first: Vec::new(),
            repeated: vec![b"a message".to_vec().into()],
        };
        let script = Messaging::new(&messages, Framing::Raw, 1, 0).expect("a script");
        let task = Task {
            requests: Some(N as u32),
            ..Task::new(script, Pacing::Flood)
        };
        Load::new(task, Traffic::On, Raw, NoMatcher)
    });
    client.wait("each is refused", |t| t.failed(FailCause::Refused) >= 2 * N);
    port.listen(100).expect("a listener");
    client.wait("all are up", |t| t.open() == N);
    // What went with the SYNs that were refused was not among them.
    client.settles("all are sent", |t| t.messages_sent == N);
    let (tally, _) = client.close();
    assert_eq!(tally.attempted, tally.established + tally.failed_in_all());
    assert_eq!(tally.bytes_sent, N * b"a message".len() as u64);
    assert_eq!(tally.shares_spent, 1);
}

fn connections_with_nothing_to_send_are_established(engine: Engine) {
    let server = Serve::on(engine).with(|| Sink);
    let client =
        early(engine, server.address(), 50).with(|| load(Pacing::Flood, Traffic::On, b"", b"", 1));
    client.wait("all are up", |t| t.open() == 50);
    client.stays("silent", |t| t.open() == 50 && t.bytes_sent == 0);
    assert_eq!(server.tally().reads, 0);
    client.close();
    server.close();
}

fn an_empty_first_send_is_done_once_established(engine: Engine) {
    let server = Serve::on(engine).with(|| Echo);
    let client = early(engine, server.address(), 20).with(|| {
        script(*b"after", |(): &mut (), event, _, out| match event {
            Event::Opened(_) => out.send = Transmit::Memory(2..2),
            Event::Sent(0) => out.send = Transmit::Memory(0..5),
            Event::Received(b"after") => out.close = true,
            _ => {}
        })
    });
    client.wait("all are done", |t| t.closed(Closed::ByUs) == 20);
    assert_eq!(client.close().0.bytes_sent, 100);
    server.close();
}

/// What happened on the connections, in order: the first letter of each event.
type Story = Arc<Mutex<String>>;

/// The letter of an event.
fn letter(event: &Event) -> char {
    match event {
        Event::Opened(_) => 'o',
        Event::Established => 'e',
        Event::Unopened => 'u',
        Event::Started(_) => 't',
        Event::Received(_) => 'r',
        Event::Sent(_) => 's',
        Event::Woken => 'w',
        Event::Turn => 'n',
        Event::Closed(_) => 'c',
    }
}

/// One connection that sends as it opens, and does there what `asks` says; its story.
fn told(
    setup: Connect,
    asks: impl Fn(&mut throng_core::behaviour::Outbox, Time) + Send + Clone + 'static,
) -> (Side, Story) {
    let story = Story::default();
    let client = setup.with(|| {
        let (story, asks) = (Arc::clone(&story), asks.clone());
        script(*b"early", move |(): &mut (), event, moment, out| {
            story.lock().expect("no panic").push(letter(&event));
            if let Event::Opened(_) = event {
                out.send = Transmit::Memory(0..5);
                asks(out, moment.now);
            }
        })
    });
    (client, story)
}

fn what_is_asked_for_at_first_waits_for_the_handshake(engine: Engine) {
    let (listener, fill) = full_listener();
    let setup = early(engine, listener.local_addr().expect("bound"), 1);
    let (client, story) = told(setup, |out, now| {
        out.wake = Some(now + Duration::from_millis(1));
    });
    client.stays("nothing happens", |t| {
        t.attempted <= 1 && t.established + t.bytes_sent == 0
    });
    assert_eq!(*story.lock().expect("no panic"), "o");
    // The SYN is sent again after a second, and there is room.
    let mut peers = peer::accept(&listener, fill.len() + 1);
    let mut got = [0; 5];
    let peer = peers.last_mut().expect("the last one");
    peer.read_exact(&mut got).expect("what it sent");
    assert_eq!(&got, b"early");
    let all = || {
        let mut story: Vec<char> = story.lock().expect("no panic").chars().collect();
        story.sort_unstable();
        String::from_iter(story)
    };
    wait_until("it is woken and told", || all() == "eosw", all);
    let so_far = story.lock().expect("no panic").clone();
    assert!(so_far.starts_with("oe"), "{so_far}");
    client.close();
}

fn traffic_that_starts_during_a_handshake_starts_after_it(engine: Engine) {
    let (listener, fill) = full_listener();
    let mut setup = early(engine, listener.local_addr().expect("bound"), 1);
    setup.traffic = Traffic::Waiting;
    let (client, story) = told(setup, |_, _| {});
    client.wait("it is tried", |t| t.attempted == 1);
    client.give_and_wait(Order::StartTraffic);
    client.stays("nothing happens", |t| t.established == 0);
    assert_eq!(*story.lock().expect("no panic"), "o");
    let _peers = peer::accept(&listener, fill.len() + 1);
    let so_far = || story.lock().expect("no panic").clone();
    wait_until("it is started", || so_far() == "oets", so_far);
    client.close();
}

fn a_close_that_is_asked_for_at_first_waits_for_what_is_sent(engine: Engine) {
    let listener = peer::listener();
    let setup = early(engine, listener.local_addr().expect("bound"), 1);
    let (client, story) = told(setup, |out, _| out.close = true);
    let mut got = Vec::new();
    peer::accept(&listener, 1)[0]
        .read_to_end(&mut got)
        .expect("no reset");
    assert_eq!(got, b"early");
    client.wait("it is closed", |t| t.closed(Closed::ByUs) == 1);
    let so_far = story.lock().expect("no panic").clone();
    assert!(so_far == "oesc" || so_far == "oec", "{so_far}");
    assert_eq!(client.close().0.bytes_sent, 5);
}

fn what_the_peer_resets_at_once_was_established(engine: Engine) {
    let listener = peer::listener();
    let client = early(engine, listener.local_addr().expect("bound"), 200)
        .with(|| load(LOOP, Traffic::On, b"", b"a request", 1));
    peer::accept(&listener, 200)
        .into_iter()
        .for_each(peer::reset);
    client.wait("all are reset", |t| t.closed_in_all() == 200);
    let (tally, _) = client.close();
    assert_eq!(
        (tally.established, tally.failed_in_all()),
        (200, 0),
        "{tally:?}"
    );
    assert_eq!(tally.closed(Closed::ResetByPeer), 200, "{tally:?}");
    assert_eq!(tally.bytes_sent, 200 * b"a request".len() as u64);
    assert_eq!((tally.questions, tally.messages_unanswered), (200, 200));
}

fn attempts_under_way_at_the_end_are_in_flight(engine: Engine) {
    let (listener, _fill) = full_listener();
    let client = early(engine, listener.local_addr().expect("bound"), 30)
        .with(|| load(LOOP, Traffic::On, b"", &vec![b'x'; 50_000], 1));
    client.wait("all are tried", |t| t.attempted == 30);
    client.stays("no answer", |t| t.in_flight() == 30);
    let (tally, _) = client.close();
    assert_eq!((tally.in_flight(), tally.failed_in_all()), (30, 0));
    assert_nothing_sent(&tally);
}

fn the_lifetime_begins_when_the_connection_is_established(engine: Engine) {
    let (listener, fill) = full_listener();
    let setup = early(engine, listener.local_addr().expect("bound"), 1);
    let client = setup.with(|| {
        let messages = Messages::default();
        let script = Messaging::new(&messages, Framing::Raw, 1, 0).expect("a script");
        let task = Task {
            lifetime: Some(Duration::from_millis(300)),
            ..Task::new(script, Pacing::Flood)
        };
        Load::new(task, Traffic::On, Raw, NoMatcher)
    });
    client.stays("no answer", |t| t.established == 0);
    let _peers = peer::accept(&listener, fill.len() + 1);
    client.wait("it is closed", |t| t.closed(Closed::ByUs) == 1);
    let up = Time(client.counters[0].last_up_ns.get());
    let age = client.clock.now().since(up);
    assert!(age >= Duration::from_millis(300), "{age:?}");
    client.close();
}

fn a_header_of_the_proxy_protocol_goes_first(engine: Engine) {
    const HEADER: usize = 28;
    let listener = peer::listener();
    // In memory, written, larger than a SYN, and none.
    for (len, written) in [(5, false), (5, true), (100_000, false), (0, false)] {
        let mut setup = early(engine, listener.local_addr().expect("bound"), 10);
        setup.headers = Some(Headers::new(Version::V2, &[]));
        let message = peer::noise(3, len);
        let told = Arc::new(AtomicUsize::new(0));
        let client = setup.with(|| {
            let (message, told) = (message.clone(), Arc::clone(&told));
            script(
                message.clone(),
                move |(): &mut (), event, _, out| match event {
                    Event::Opened(_) if len == 0 => {}
                    Event::Opened(_) if written => {
                        out.bytes.extend_from_slice(&message);
                        out.send = Transmit::Bytes;
                    }
                    Event::Opened(_) => out.send = Transmit::Memory(0..len as u32),
                    Event::Sent(n) => drop(told.fetch_add(n, Relaxed)),
                    _ => {}
                },
            )
        });
        // Peers stay until the behaviour has heard of its sends: who hears of a close first hears of nothing else.
        let mut peers = peer::accept(&listener, 10);
        for peer in &mut peers {
            let mut all = vec![0; HEADER + len];
            peer.read_exact(&mut all).expect("a header and a message");
            assert_eq!(all[..12], *b"\r\n\r\n\0\r\nQUIT\n");
            assert!(all[HEADER..] == message);
        }
        client.wait("all is sent", |t| {
            t.established == 10 && t.bytes_sent == 10 * (HEADER + len) as u64
        });
        // A send is counted before the behaviour hears of it.
        let heard = || told.load(Relaxed);
        wait_until(
            "all is told",
            || heard() >= 10 * len,
            || heard().to_string(),
        );
        client.close();
        // The behaviour is not told of the headers.
        assert_eq!(heard(), 10 * len);
    }
}
