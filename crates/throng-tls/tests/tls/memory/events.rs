//! The events that the inner behaviour gets, and what it asks for: traffic, turns, reading, sending, closing.

use super::*;

#[test]
fn a_close_notify_before_the_end_distinguishes_it_from_a_cut() {
    let talk = || Probe::new(vec![Step::Memory(0..100)], Answer::Nothing);
    let sink = || Probe::new(vec![], Answer::Nothing);
    let mut cut = Pair::new(talk(), &client_options(Version::Tls13), sink(), &SERVER);
    let (_, mut s) = cut.run(0, &[100_000]);
    cut.server.closed(&mut s, Closed::ByPeer);
    assert_eq!(cut.server.counters.read().tls.truncated, 1);
    assert_eq!(cut.server_saw.borrow().closed, [Closed::ByPeer]);

    for v in [Version::Tls12, Version::Tls13] {
        let mut client = talk();
        client.close_after = Some(0);
        let mut clean = Pair::new(client, &client_options(v), sink(), &SERVER);
        let (mut c, mut s) = (clean.client.open(0), clean.server.open(0));
        clean.carry(&mut c, &mut s, &[100_000]);
        assert_eq!(clean.server_saw.borrow().got.len(), 100);
        assert!(
            c.closing && !s.closing,
            "{v}: the one who closes TLS closes the connection"
        );
        // If it does not, we do.
        clean.server.woken(&mut s);
        assert!(s.closing);
        clean.server.closed(&mut s, Closed::ByPeer);
        assert_eq!(clean.server.counters.read().tls.truncated, 0);
    }
}

#[test]
fn traffic_starts_once_whenever_it_is_switched_on() {
    let run = |when: usize| {
        let mut client = Probe::new(vec![Step::Memory(0..9)], Answer::Nothing);
        client.traffic = Traffic::Waiting;
        let options = client_options(Version::Tls13);
        let mut pair = Pair::new(
            client,
            &options,
            Probe::new(vec![], Answer::Nothing),
            &SERVER,
        );
        pair.client.behaviour.traffic(Traffic::Waiting, Time::START);
        let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
        for moment in 0..3 {
            if moment == when {
                pair.client.behaviour.traffic(Traffic::On, Time::START);
            }
            if moment == 1 {
                pair.carry(&mut c, &mut s, &[100_000]);
            }
        }
        // An engine starts all that were established when it got the order.
        pair.client.started(&mut c);
        pair.carry(&mut c, &mut s, &[100_000]);
        let got = pair.server_saw.borrow().got.len();
        (got, pair.client_saw.borrow().started)
    };
    assert_eq!(run(0), (9, 0), "before the handshake was done");
    assert_eq!(run(2), (9, 1), "after that");
}

#[test]
fn turns_pass_over_connections_that_are_not_secured_yet() {
    let mut pair = Pair::new(
        Probe::new(vec![], Answer::Nothing),
        &client_options(Version::Tls13),
        Probe::new(vec![], Answer::Nothing),
        &SERVER,
    );
    let mut first = pair.client.open(0);
    pair.client.turn(&mut first);
    assert_eq!(first.passed, 0, "there is none to pass it to");
    let mut s = pair.server.open(0);
    pair.carry(&mut first, &mut s, &[100_000]);
    assert_eq!(
        first.passed, 1,
        "the first one that is secured makes up for it"
    );
    let mut second = pair.client.open(1);
    pair.client.turn(&mut second);
    assert_eq!(second.passed, 1);
    pair.client.turn(&mut first);
    assert_eq!((first.passed, pair.client_saw.borrow().turns), (1, 1));
}

#[test]
fn a_behaviour_that_reads_on_demand_gets_what_it_asked_for_and_no_record_gets_stuck() {
    for v in [Version::Tls12, Version::Tls13] {
        let mut client = Probe::new(vec![], Answer::Nothing);
        (client.reads, client.ask) = (Reads::Asked, 1000);
        let server = Probe::new(vec![Step::Memory(0..150_000)], Answer::Nothing);
        let mut pair = Pair::new(client, &client_options(v), server, &SERVER);
        let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
        for _ in 0..1000 {
            let up = pair.client.take(&mut c, usize::MAX);
            if !up.is_empty() {
                pair.server.received(&mut s, &up);
            }
            let asked = std::mem::take(&mut c.read);
            let down = pair.server.take(&mut s, asked);
            if down.is_empty() {
                c.read = asked;
            } else {
                pair.client.received(&mut c, &down);
            }
        }
        assert_eq!(pair.client_saw.borrow().got, memory()[..150_000], "{v}");
    }
}

#[test]
fn a_long_send_is_sealed_in_portions_so_that_little_waits() {
    let client = Probe::new(vec![Step::Memory(0..200_000)], Answer::Nothing);
    let mut pair = Pair::new(
        client,
        &client_options(Version::Tls13),
        Probe::new(vec![], Answer::Nothing),
        &SERVER,
    );
    let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
    let hello = pair.client.take(&mut c, usize::MAX);
    pair.server.received(&mut s, &hello);
    let flight = pair.server.take(&mut s, usize::MAX);
    pair.client.received(&mut c, &flight);
    let first = pair.client.take(&mut c, 1);
    assert!(!first.is_empty());
    let waiting: usize = c.waiting();
    assert!(waiting < 64 * 1024, "{waiting} bytes wait");
    let up = pair.client.take(&mut c, usize::MAX);
    pair.server.received(&mut s, &[first, up].concat());
    assert_eq!(pair.server_saw.borrow().got.len(), 200_000);
    assert_eq!(pair.client_saw.borrow().sent, [200_000]);
}

#[test]
fn what_a_peer_sends_after_the_end_is_ignored() {
    let mut client = Probe::new(vec![Step::Memory(0..10)], Answer::Nothing);
    client.close_after = Some(0);
    let server = Probe::new(vec![Step::Memory(0..70_000)], Answer::Back);
    let mut pair = Pair::new(client, &client_options(Version::Tls13), server, &SERVER);
    let (mut c, mut s) = (pair.client.open(0), pair.server.open(0));
    pair.carry(&mut c, &mut s, &[100_000]);
    assert!(c.closing);
    assert_eq!(pair.client_saw.borrow().got, b"", "it had closed before");
    pair.server.received(&mut s, &[0; 100]);
    assert_eq!(pair.server.counters.read().tls.failed_in_all(), 0);
}

#[test]
fn a_reply_goes_behind_the_send_that_was_asked_for_before() {
    let client = Probe::new(vec![Step::Bytes(b"question".into())], Answer::Nothing);
    let server = Probe::new(vec![Step::Memory(0..150_000)], Answer::Reply);
    let mut pair = Pair::new(client, &client_options(Version::Tls13), server, &SERVER);
    pair.run(0, &[100_000]);
    let wanted = [&memory()[..150_000], b"question"].concat();
    assert!(
        pair.client_saw.borrow().got == wanted,
        "in the order asked for"
    );
    assert_eq!(pair.server_saw.borrow().sent, [150_000]);
}

#[test]
fn what_is_being_sent_is_sent_before_the_connection_closes() {
    for step in [
        Step::Memory(0..150_000),
        Step::Bytes(memory()[..150_000].to_vec()),
    ] {
        let mut client = Probe::new(vec![step], Answer::Nothing);
        client.close_with_last = true;
        let sink = Probe::new(vec![], Answer::Nothing);
        let mut pair = Pair::new(client, &client_options(Version::Tls12), sink, &SERVER);
        let (c, _) = pair.run(0, &[10_000]);
        assert!(c.closing);
        assert_eq!(pair.server_saw.borrow().got, memory()[..150_000]);
        assert_eq!(pair.server.counters.read().tls.truncated, 0);
    }
}
