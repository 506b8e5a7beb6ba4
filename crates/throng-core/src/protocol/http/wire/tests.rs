use super::*;
use crate::behaviour::{
    AnswerBy, Arriving, Behaviour, Load, LoadConn, Matching, NoMatcher, Outbox, Pacing,
    ReplyMatcher, TaggedReply, Task, Traffic,
};
use crate::pacing::Spacing;
use crate::payload::{Framing, Message, Messages, Script};
use crate::protocol::http::Status;
use crate::stats::{Counters, Durations, Tally};
use crate::time::Time;
use crate::units::Rate;
use proptest::prelude::*;
use std::time::Duration;

/// Counts what is passed on.
#[derive(Default)]
struct Heard {
    /// For each answer: how many were complete before it.
    begun: Vec<u32>,
    payload: usize,
    streams: u32,
    /// For each event: whether it was the first one of its stream.
    events: Vec<bool>,
    stamps: Vec<u64>,
}

impl Receiver for Heard {
    fn payload(&mut self, bytes: &[u8]) {
        self.payload += bytes.len();
    }

    fn message_ended(&mut self) {}

    fn reply(&mut self, _: &TaggedReply) -> bool {
        false
    }

    fn opened(&mut self, _: fn(&mut Measured) -> &mut Durations) {}

    fn took(&mut self, of: fn(&mut Measured) -> &mut Durations, since: Time) {
        let mut measured = Measured::default();
        of(&mut measured).record_between(since, since);
        let http = measured.protocols.http;
        self.events.push(http.first_event.count() > 0);
    }

    fn pong(&mut self, _: Time) {}

    fn stream(&mut self) -> Option<Time> {
        self.streams += 1;
        None
    }

    fn stamp(&mut self, _: fn(&mut Measured) -> &mut Durations, us: u64) {
        self.stamps.push(us);
    }

    fn begun(&mut self, before: u32) {
        self.begun.push(before);
    }
}

struct Rig<L: Look = ()> {
    client: HttpClient<L>,
    conn: HttpConn<L>,
    counters: Counters,
    heard: Heard,
    /// What the wire wrote.
    written: Vec<u8>,
}

impl Rig {
    fn new(most: Option<u32>) -> Rig {
        Rig::looking(most)
    }
}

impl<L: Look> Rig<L> {
    fn looking(most: Option<u32>) -> Rig<L> {
        Rig {
            client: HttpClient::new(
                Rules {
                    bodiless: Bodiless::None,
                    most: most.map(|n| n.to_string().parse().unwrap()),
                    seed: 1,
                    depth: NonZeroU16::MIN,
                    text: None,
                    events: false,
                    follow: None,
                    expected: Statuses::default(),
                },
                Box::new(|_| 0),
            ),
            conn: HttpConn::default(),
            counters: Counters::default(),
            heard: Heard::default(),
            written: Vec::new(),
        }
    }

    fn with<T>(
        &mut self,
        then: impl FnOnce(&mut HttpClient<L>, &mut HttpConn<L>, &At, &mut Heard) -> T,
    ) -> T {
        let at = At {
            id: 0,
            now: Time(0),
            up_us: 0,
            counters: &self.counters,
        };
        then(&mut self.client, &mut self.conn, &at, &mut self.heard)
    }

    fn send(&mut self) {
        self.with(|client, conn, at, _| client.sending(conn, 1, at));
    }

    fn receive(&mut self, bytes: &[u8]) -> Received {
        let mut written = std::mem::take(&mut self.written);
        let received = self.with(|client, conn, at, heard| {
            client.received(conn, 1, bytes, at, &mut written, heard)
        });
        self.written = written;
        received
    }

    fn close(&mut self, why: Closed) -> (bool, u32) {
        self.with(|client, conn, at, _| {
            let done = client.is_done(conn, why);
            let why = if done { Closed::ByUs } else { why };
            (done, client.closed(conn, why, at, &mut Measured::default()))
        })
    }

    fn tally(&self) -> Tally {
        self.counters.read()
    }
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_connection_is_remembered_in_32_bytes() {
    assert_eq!(size_of::<HttpConn>(), 32);
    assert_eq!(size_of::<HttpConn<Looked>>(), 64);
}

#[test]
fn a_whole_answer_completes_a_request_and_only_then_there_is_room() {
    let mut rig = Rig::new(None);
    for n in 1..=2 {
        rig.send();
        assert_eq!(rig.client.room(&rig.conn, 1), 0);
        let (first, rest) = OK.split_at(20);
        let begun = rig.receive(first).messages;
        assert_eq!((begun, rig.heard.begun.len()), (0, n));
        let received = rig.receive(rest);
        assert_eq!(
            (received.messages, received.over, rig.heard.begun.len()),
            (1, false, n)
        );
        assert_eq!(rig.client.room(&rig.conn, 1), 1);
    }
    let http = rig.tally().http;
    assert_eq!((http.requests, http.completed, http.body_bytes), (2, 2, 10));
    assert_eq!(http.head_bytes, 2 * (OK.len() as u64 - 5));
    assert_eq!(rig.close(Closed::ByPeer), (false, 0), "nobody had said so");
}

#[test]
fn answers_to_requests_that_were_sent_together_come_one_by_one_and_each_makes_room() {
    let mut rig = Rig::new(Some(5));
    rig.client.rules.depth = NonZeroU16::new(3).unwrap();
    assert_eq!(rig.client.room(&rig.conn, 1), 3);
    (0..3).for_each(|_| rig.send());
    assert_eq!(rig.client.room(&rig.conn, 1), 0);
    let two_and_a_half = [OK, OK, &OK[..20]].concat();
    let received = rig.receive(&two_and_a_half);
    assert_eq!((received.messages, received.over), (2, false));
    assert_eq!(rig.heard.begun, [0, 1, 2]);
    // Nothing is sent behind the fifth.
    assert_eq!(rig.client.room(&rig.conn, 1), 2);
    rig.send();
    rig.send();
    assert_eq!(rig.client.room(&rig.conn, 1), 0);
    let rest = [&OK[20..], OK, OK].concat();
    let received = rig.receive(&rest);
    assert_eq!((received.messages, received.over), (3, true));
    assert_eq!(rig.close(Closed::ByUs), (true, 0));
    let http = rig.tally().http;
    assert_eq!((http.requests, http.completed, http.announced), (5, 5, 1));
}

#[test]
fn answers_to_head_are_known_among_others() {
    let mut rig = Rig::new(None);
    rig.client.rules.depth = NonZeroU16::new(4).unwrap();
    let of_each: Box<[bool]> = Box::new([false, true, true]);
    rig.client.rules.bodiless = Bodiless::Some([of_each].into());
    (0..4).for_each(|_| rig.send());
    let head = &OK[..OK.len() - 5];
    let stream = [OK, head, head, OK].concat();
    assert_eq!(rig.receive(&stream).messages, 4);
    assert_eq!(rig.tally().http.completed, 4);
}

#[test]
fn what_was_sent_behind_the_last_answer_has_failed() {
    let mut rig = Rig::new(None);
    rig.client.rules.depth = NonZeroU16::new(3).unwrap();
    (0..3).for_each(|_| rig.send());
    let close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let received = rig.receive(close);
    assert_eq!((received.messages, received.over), (1, true));
    assert_eq!(rig.close(Closed::ByPeer), (true, 0));
    let http = rig.tally().http;
    assert_eq!((http.completed, http.failed(Failed::ClosedEarly)), (1, 2));
}

#[test]
fn an_answer_without_the_expected_text_has_failed() {
    let mut rig: Rig<Looked> = Rig::looking(None);
    rig.client.rules.text = Pattern::new(b"ell").map(Box::new);
    let other = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhexl";
    let empty = b"HTTP/1.1 204 \r\n\r\n";
    let error = b"HTTP/1.1 500 \r\nContent-Length: 0\r\n\r\n";
    for answer in [OK, other, OK, empty, error, OK] {
        rig.send();
        // Cut within the text.
        let (first, rest) = answer.split_at(answer.len() - 3);
        let messages = rig.receive(first).messages + rig.receive(rest).messages;
        assert_eq!(messages, 1);
    }
    let http = rig.tally().http;
    assert_eq!(http.completed, 3);
    assert_eq!(
        (http.failed(Failed::Body), http.failed(Failed::Status)),
        (2, 1)
    );
    assert_eq!((http.lacking, http.unexpected), (1, 1));
}

#[test]
fn an_event_stream_lasts_and_its_events_are_counted() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\
        Transfer-Encoding: chunked\r\n\r\n";
    let event = |n: u32| format!("{:x}\r\nid: {n}\ndata: 7\n\n\r\n", 15 + n / 10);
    let mut rig: Rig<Looked> = Rig::looking(None);
    rig.client.rules.events = true;
    rig.send();
    let received = rig.receive(head);
    assert_eq!(
        (received.messages, received.streams, rig.heard.streams),
        (0, 0, 1)
    );
    for n in [1, 2, 5] {
        rig.receive(event(n).as_bytes());
    }
    assert_eq!(rig.client.room(&rig.conn, 1), 0);
    assert_eq!(rig.heard.events, [true, false, false]);
    assert_eq!(rig.heard.stamps, [7, 7, 7]);
    // The server ends it; the next one is cut off by the end of the run, and one more by the server.
    let received = rig.receive(b"0\r\n\r\n");
    assert_eq!((received.messages, received.streams), (0, 1));
    for (why, lost) in [(Closed::ByUs, 0), (Closed::ResetByPeer, 1)] {
        rig.send();
        rig.receive(head);
        let mut measured = Measured::default();
        rig.with(|client, conn, at, _| client.closed(conn, why, at, &mut measured));
        assert_eq!(measured.protocols.http.event_silence.count(), 1);
        assert_eq!(rig.tally().http.streams_lost, lost);
    }
    let http = rig.tally().http;
    assert_eq!(
        (http.streams, http.streams_ended, http.completed),
        (3, 1, 1)
    );
    assert_eq!((http.events, http.events_missed), (3, 2));
    // Another answer is none.
    rig.send();
    assert_eq!(rig.receive(OK).messages, 1);
    // Nor is a stream, unless events are asked for.
    rig.client.rules.events = false;
    rig.send();
    rig.receive(head);
    rig.receive(event(1).as_bytes());
    assert_eq!(rig.tally().http.streams, 3);
}

/// A client that sends `message` and follows two redirects.
fn following(message: Message) -> Rig<Looked> {
    let mut rig: Rig<Looked> = Rig::looking(None);
    let messages = Messages {
        first: Vec::new(),
        repeated: vec![
            b"GET /0 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec().into(),
            message,
        ],
    };
    rig.client.rules.follow = Some(Follow {
        most: NonZeroU16::new(2).unwrap(),
        secure: false,
        script: Script::new(&messages, Framing::Raw, 1, 1).unwrap(),
    });
    rig
}

fn redirect(status: u16, to: &str, more: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} \r\nLocation: {to}\r\n{more}Content-Length: 4\r\n\r\nbody").into()
}

const POST: &[u8] = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";

#[test]
fn a_redirected_request_is_one_and_completed_by_the_last_answer() {
    let mut rig = following(POST.to_vec().into());
    rig.client.rules.expected = "200".parse().unwrap();
    rig.client.rules.text = Pattern::new(b"ell").map(Box::new);
    rig.send();
    assert_eq!(rig.receive(OK).messages, 1);
    rig.send();
    let redirects = [redirect(307, "/2?a", ""), redirect(303, "3", "")].concat();
    let received = rig.receive(&redirects[..redirects.len() - 5]);
    assert_eq!((received.messages, rig.client.room(&rig.conn, 1)), (0, 0));
    let again = "POST /2?a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi";
    assert_eq!(String::from_utf8_lossy(&rig.written), again);
    rig.receive(&redirects[redirects.len() - 5..]);
    let third = "GET /3 HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(
        String::from_utf8_lossy(&rig.written),
        [again, third].concat()
    );
    let received = rig.receive(OK);
    assert_eq!((received.messages, rig.client.room(&rig.conn, 1)), (1, 1));
    // The first byte is that of the first answer.
    assert_eq!(rig.heard.begun, [0, 0]);
    let http = rig.tally().http;
    assert_eq!(
        (
            http.requests,
            http.completed,
            http.redirected(Redirect::Followed)
        ),
        (2, 2, 2)
    );
    assert_eq!(
        (
            http.status(Status::SeeOther),
            http.status(Status::Ok),
            http.lacking
        ),
        (1, 2, 0)
    );
    assert!(rig.client.redirected.is_empty() && rig.client.sent.is_empty());
}

#[test]
fn a_request_whose_redirect_is_not_followed_has_failed() {
    let close = "Connection: close\r\n";
    let mut rig = following(POST.to_vec().into());
    rig.client.rules.text = Pattern::new(b"ell").map(Box::new);
    for (answer, why) in [
        (redirect(302, "http://b/", ""), Redirect::Elsewhere),
        (redirect(302, "https://a/", ""), Redirect::Elsewhere),
        (redirect(302, ":", ""), Redirect::BadLocation),
        (
            redirect(302, "/a", "Location: /b\r\n"),
            Redirect::BadLocation,
        ),
        (
            b"HTTP/1.1 301 \r\nContent-Length: 0\r\n\r\n".to_vec(),
            Redirect::BadLocation,
        ),
        (redirect(302, "/a", close), Redirect::Closed),
    ] {
        let before = rig.tally().http.redirected(why);
        rig.send();
        let received = rig.receive(&answer);
        assert_eq!(
            (received.messages, received.over),
            (1, why == Redirect::Closed)
        );
        assert_eq!(rig.tally().http.redirected(why), before + 1, "{why:?}");
    }
    rig.close(Closed::ByUs);
    // One that goes round in a circle.
    rig.send();
    for _ in 0..3 {
        rig.receive(&redirect(308, "/0", ""));
    }
    // Others are answers like any other.
    rig.send();
    rig.receive(b"HTTP/1.1 304 \r\nLocation: /a\r\n\r\n");
    let http = rig.tally().http;
    assert_eq!(http.redirected(Redirect::TooMany), 1);
    assert_eq!(
        (http.failed(Failed::Redirect), http.failed(Failed::Body)),
        (7, 1)
    );
    assert_eq!((http.strayed, http.lacking, http.completed), (2, 1, 0));
    // A redirect that ends with its connection is whole then; one that is cut off is none.
    for (why, failed) in [
        (Closed::ByPeer, Failed::Redirect),
        (Closed::ResetByPeer, Failed::Reset),
    ] {
        rig.send();
        rig.receive(b"HTTP/1.1 301 \r\nLocation: /a\r\n\r\nbody");
        let before = rig.tally().http.failed(failed);
        rig.close(why);
        assert_eq!(rig.tally().http.failed(failed), before + 1);
        assert!(rig.client.redirected.is_empty());
    }
}

/// A load of one connection whose requests differ.
#[test]
fn a_request_that_differs_is_sent_again_as_it_was() {
    let message = crate::payload::parse(
        br"POST /\{re [a-z]{8}} HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n\{re [a-z]{8}}",
        &crate::payload::ParseOptions {
            unescape: true,
            files: &|_| Ok(Vec::new()),
        },
    );
    let (mut load, counters) = in_a_loop(|task, rules| {
        let messages = Messages {
            first: Vec::new(),
            repeated: vec![message.unwrap()],
        };
        task.script = Script::new(&messages, Framing::Raw, 1, 1).unwrap();
        rules.follow = Some(Follow {
            most: NonZeroU16::MIN,
            secure: false,
            script: task.script.clone(),
        });
    });
    let (mut conn, mut out) = (LoadConn::default(), Outbox::default());
    load.opened(&mut conn, &at(0, &counters), &mut out);
    for n in 1..=3 {
        let sent = String::from_utf8(std::mem::take(&mut out.bytes)).unwrap();
        load.sent(&mut conn, sent.len(), &at(n * 10, &counters), &mut out);
        load.received(
            &mut conn,
            &redirect(307, "/x", ""),
            &at(n * 10 + 1, &counters),
            &mut out,
        );
        let again = String::from_utf8(std::mem::take(&mut out.bytes)).unwrap();
        let path = sent.split(' ').nth(1).unwrap();
        assert_eq!(again, sent.replacen(path, "/x", 1));
        load.received(&mut conn, OK, &at(n * 10 + 5, &counters), &mut out);
    }
    let measured = load.take_measured();
    assert_eq!((measured.service.count(), measured.ttfb.count()), (3, 3));
    let took = measured.service.min().unwrap();
    assert!(took >= Duration::from_millis(4), "{took:?}");
    assert_eq!(counters.read().http.completed, 3);
}

#[test]
fn connections_end_as_answers_say() {
    // After as many as were asked for.
    let mut rig = Rig::new(Some(1));
    rig.send();
    assert!(rig.receive(OK).over);
    assert_eq!(rig.close(Closed::ByUs), (true, 0));
    // As the server announces.
    let mut rig = Rig::new(None);
    rig.send();
    let close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    assert!(rig.receive(close).over);
    assert_eq!(rig.close(Closed::ResetByPeer), (true, 0));
    // By the end of the body, unless it is no end.
    for (why, ended) in [
        (Closed::ByPeer, (true, 1)),
        (Closed::ResetByPeer, (false, 0)),
    ] {
        let mut rig = Rig::new(None);
        rig.send();
        rig.receive(b"HTTP/1.1 200 OK\r\n\r\nhello");
        assert_eq!(rig.close(why), ended);
        let http = rig.tally().http;
        assert_eq!(http.completed, u64::from(ended.1));
        assert_eq!(http.failed(Failed::Reset), u64::from(1 - ended.1));
    }
    // A server that tires of an idle connection says so, and closes it without having been asked.
    let mut rig = Rig::new(None);
    let received = rig.receive(b"HTTP/1.1 408 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert!(received.leaving && !received.broken && received.messages == 0);
    assert!(!rig.client.is_ready(&rig.conn));
    assert_eq!(rig.close(Closed::ByPeer), (false, 0));
    assert_eq!(rig.tally().http.malformed(Malformed::Unasked), 0);
}

/// A load of one connection in a closed loop, with its counters, at a time in milliseconds.
fn in_a_loop(
    change: impl FnOnce(&mut Task, &mut Rules),
) -> (Load<HttpClient, ReplyMatcher>, Counters) {
    let messages = Messages {
        first: Vec::new(),
        repeated: vec![Message::from(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec())],
    };
    let script = Script::new(&messages, Framing::Raw, 1, 1).unwrap();
    let mut task = Task {
        most: 1,
        by_answers: true,
        ..Task::new(script, Pacing::ClosedLoop { in_flight: None })
    };
    let mut client = Rig::new(None).client;
    change(&mut task, &mut client.rules);
    let matcher = ReplyMatcher::new(Matching {
        answers: Some(AnswerBy::Message { echo: None }),
        ..Matching::default()
    });
    let mut load = Load::new(task, Traffic::On, client, matcher);
    load.traffic(Traffic::On, Time(0));
    (load, Counters::default())
}

fn at(ms: u64, counters: &Counters) -> At<'_> {
    At {
        id: 0,
        now: Time(ms * 1_000_000),
        up_us: 0,
        counters,
    }
}

#[test]
fn a_request_without_an_answer_in_time_has_failed_and_its_connection_is_closed() {
    let (mut load, counters) = in_a_loop(|task, _| task.timeout = Some(Duration::from_millis(100)));
    let (mut conn, mut out) = (LoadConn::default(), Outbox::default());
    load.opened(&mut conn, &at(0, &counters), &mut out);
    load.sent(&mut conn, 27, &at(1, &counters), &mut out);
    assert_eq!(out.wake, Some(at(100, &counters).now));
    // Answered in time: the next request has its own.
    load.received(&mut conn, OK, &at(60, &counters), &mut out);
    load.sent(&mut conn, 27, &at(61, &counters), &mut out);
    load.woken(&mut conn, &at(100, &counters), &mut out);
    assert!(!out.close);
    assert_eq!(out.wake, Some(at(160, &counters).now));
    load.received(&mut conn, &OK[..30], &at(159, &counters), &mut out);
    load.woken(&mut conn, &at(160, &counters), &mut out);
    assert!(out.close && out.abandon);
    // It is opened again at once.
    assert!(load.is_done(&mut conn, Closed::ByUs));
    load.closed(&mut conn, Closed::ByUs, &at(160, &counters));
    let tally = counters.read();
    assert_eq!(
        (tally.http.completed, tally.http.failed(Failed::Timeout)),
        (1, 1)
    );
    assert_eq!(tally.messages_unanswered, 1);
    assert_eq!(load.take_measured().unanswered_lost.count(), 1);
}

#[test]
fn a_connection_thinks_before_each_request() {
    let (mut load, counters) = in_a_loop(|task, _| task.think = "100ms".parse().ok());
    let (mut conn, mut out) = (LoadConn::default(), Outbox::default());
    load.opened(&mut conn, &at(0, &counters), &mut out);
    for n in 0..3 {
        let before = n * 110;
        assert_eq!(counters.read().http.requests, n);
        assert_eq!(out.wake, Some(at(before + 100, &counters).now));
        load.woken(&mut conn, &at(before + 50, &counters), &mut out);
        assert_eq!(counters.read().http.requests, n);
        load.woken(&mut conn, &at(before + 100, &counters), &mut out);
        assert_eq!(counters.read().http.requests, n + 1);
        load.sent(&mut conn, 27, &at(before + 101, &counters), &mut out);
        load.received(&mut conn, OK, &at(before + 110, &counters), &mut out);
    }
    assert_eq!(load.take_measured().service.count(), 3);
}

#[test]
fn a_peer_that_broke_the_protocol_gains_no_time_by_sending_on() {
    let messages = Messages {
        first: Vec::new(),
        repeated: vec![Message::from(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec())],
    };
    let script = Script::new(&messages, Framing::Raw, 1, 1).unwrap();
    let pacing = Pacing::ClosedLoop { in_flight: None };
    let mut load = Load::new(
        Task::new(script, pacing),
        Traffic::On,
        Rig::new(None).client,
        NoMatcher,
    );
    let (counters, mut conn) = (Counters::default(), LoadConn::default());
    let at = |ms: u64| At {
        id: 0,
        now: Time(ms * 1_000_000),
        up_us: 0,
        counters: &counters,
    };
    let mut out = Outbox::default();
    load.opened(&mut conn, &at(0), &mut out);
    load.sent(&mut conn, 27, &at(1), &mut out);
    for ms in (10..400).step_by(10) {
        let mut out = Outbox::default();
        load.received(&mut conn, b"junk\r\n", &at(ms), &mut out);
        assert!(!out.close);
        assert!(out.wake.unwrap() <= Time(600 * 1_000_000), "{ms}");
    }
    let mut out = Outbox::default();
    load.woken(&mut conn, &at(600), &mut out);
    assert!(out.close);
}

/// Four requests are due by 35 ms, and the first one waits for its answer until the connection ends.
#[test]
fn requests_that_waited_behind_one_without_an_answer_are_unsent_and_that_one_is_not() {
    let every_10_ms = Rate::per_second(100.0).unwrap();
    let arrivals = Pacing::Arrivals {
        spacing: Spacing::Uniform,
        rate: Arriving::Constant(every_10_ms),
    };
    for pacing in [Pacing::Rate(every_10_ms), arrivals] {
        let messages = Messages {
            first: Vec::new(),
            repeated: vec![Message::from(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec())],
        };
        let script = Script::new(&messages, Framing::Raw, 1, 1).unwrap();
        let client = Rig::new(None).client;
        let task = Task {
            most: 1,
            ..Task::new(script, pacing)
        };
        let mut load = Load::new(task, Traffic::On, client, NoMatcher);
        let (counters, mut conn) = (Counters::default(), LoadConn::default());
        let at = |ms: u64| At {
            id: 0,
            now: Time(ms * 1_000_000),
            up_us: 0,
            counters: &counters,
        };
        let mut out = Outbox::default();
        load.traffic(Traffic::On, Time(0));
        load.opened(&mut conn, &at(0), &mut out);
        for _ in 0..load.arrived(at(35).now) {
            load.turn(&mut conn, &at(35), &mut out);
        }
        load.sent(&mut conn, 27, &at(35), &mut out);
        load.closed(&mut conn, Closed::ByPeer, &at(35));
        let tally = counters.read();
        let counted = (tally.messages_sent, tally.messages_unsent);
        assert_eq!((counted, tally.http.requests), ((1, 3), 1));
    }
}

proptest! {
    /// Each request is completed, has failed, or was cut off by this side, whatever the peer does.
    #[test]
    fn requests_add_up(
        depth in 1u16..5,
        steps in prop::collection::vec((0usize..9, any::<bool>()), 1..40),
        last in 0usize..5,
    ) {
        let answers: [&[u8]; 8] = [
            OK,
            &OK[..10],
            &OK[10..],
            b"HTTP/1.1 200 OK\r\n\r\nx",
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\n",
            b"junk\r\n",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        ];
        let ends = [Closed::ByUs, Closed::ByPeer, Closed::ResetByPeer, Closed::TimedOut, Closed::Error];
        let mut rig = Rig::new(None);
        rig.client.rules.depth = NonZeroU16::new(depth).unwrap();
        let mut cut_off = 0;
        let mut close = |rig: &mut Rig, why| {
            let left = u64::from(rig.conn.under_way);
            let before = rig.tally().http.failed(Failed::ClosedEarly);
            let (done, _) = rig.close(why);
            if why == Closed::ByUs && !(done && rig.tally().http.failed(Failed::ClosedEarly) > before) {
                cut_off += left;
            }
        };
        for (step, peer) in steps {
            if rig.client.is_ready(&rig.conn) {
                (0..rig.client.room(&rig.conn, 1)).for_each(|_| rig.send());
            }
            let over = match answers.get(step) {
                Some(bytes) => {
                    let received = rig.receive(bytes);
                    received.over || received.leaving
                }
                None => true,
            };
            if over {
                close(&mut rig, if peer { Closed::ByPeer } else { Closed::ByUs });
            }
        }
        close(&mut rig, ends[last]);
        let http = rig.tally().http;
        let failed: u64 = Failed::ALL.iter().map(|why| http.failed(*why)).sum();
        prop_assert_eq!(http.requests, http.completed + failed + cut_off);
        prop_assert!(rig.client.partials.is_empty());
    }
}

#[test]
fn what_is_skipped_of_a_body_counts_and_ends_nothing() {
    for (head, length, rest) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 1000, ""),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n",
            1000,
            "\r\n0\r\n\r\n",
        ),
    ] {
        let mut rig = Rig::new(None);
        rig.send();
        assert_eq!(rig.client.skips(&rig.conn), 0);
        rig.receive(head.as_bytes());
        assert_eq!(rig.client.skips(&rig.conn), length - 1);
        rig.receive(b"x");
        rig.with(|client, conn, at, _| client.skipped(conn, 600, at));
        assert_eq!(rig.client.skips(&rig.conn), length - 602);
        rig.with(|client, conn, at, _| client.skipped(conn, length - 602, at));
        assert_eq!(rig.client.skips(&rig.conn), 0);
        assert_eq!(rig.receive(&[b"x", rest.as_bytes()].concat()).messages, 1);
        assert_eq!(rig.client.skips(&rig.conn), 0);
        let http = &rig.counters.http;
        assert_eq!((http.body_bytes.get(), http.completed.get()), (length, 1));
    }
    // Until the peer closes.
    let mut rig = Rig::new(None);
    rig.send();
    rig.receive(b"HTTP/1.0 200 OK\r\n\r\n");
    rig.with(|client, conn, at, _| client.skipped(conn, 5000, at));
    assert_eq!(rig.client.skips(&rig.conn), u64::MAX);
    assert_eq!(rig.close(Closed::ByPeer), (true, 1));
    assert_eq!(rig.counters.http.body_bytes.get(), 5000);
}
