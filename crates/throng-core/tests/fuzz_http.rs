//! Whatever an HTTP peer sends, neither side panics, and it does not matter to the client where the stream was cut.

mod fuzzing;

use fuzzing::fuzz;
use throng_core::behaviour::{At, Behaviour, Outbox, Transmit};
use throng_core::partials::Partials;
use throng_core::payload::Dice;
use throng_core::protocol::http::{Answers, Event, Fields, HttpServer, Malformed, Served};
use throng_core::stats::{Closed, Counters};
use throng_core::time::Time;

/// Each final answer: its status, whether the connection persists, what else its head says, its body, and whether it is complete.
type Read = Vec<(u16, bool, Fields, Vec<u8>, bool)>;

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Read, Option<Malformed>) {
    let (mut answers, mut partials) = (Answers::default(), Partials::default());
    let mut all = Read::new();
    for mut piece in pieces {
        loop {
            let mut fields = Fields::default();
            match answers.next_reading(&mut piece, &mut partials, || false, &mut fields) {
                Ok(None) => break,
                Ok(Some(Event::Begun | Event::Interim(_))) => {}
                Ok(Some(Event::Head(head, _))) => {
                    let body = Vec::new();
                    all.push((head.status, head.persists, fields, body, false));
                }
                Ok(Some(Event::Data(data))) => all.last_mut().expect("a head").3.extend(data),
                Ok(Some(Event::End)) => all.last_mut().expect("a head").4 = true,
                Err(malformed) => return (all, Some(malformed)),
            }
        }
    }
    answers.reset(&mut partials);
    assert!(partials.is_empty());
    (all, None)
}

/// Cuts `stream` at random.
fn cut<'a>(mut stream: &'a [u8], below: &mut impl FnMut(usize) -> usize) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    while !stream.is_empty() {
        let longest = stream.len().min(1 << below(12));
        let (now, later) = stream.split_at(1 + below(longest));
        pieces.push(now);
        stream = later;
    }
    pieces
}

#[test]
fn answers_are_the_same_however_they_are_split_and_whatever_they_are() {
    let mut dice = Dice::new(5);
    let mut below = move |n: usize| (dice.word() % n.max(1) as u64) as usize;
    fuzz("http", 1, |stream| {
        // What is wrong with a line is seen at its end at the latest.
        let stream = [stream, b"\r\n\r\n"].concat();
        let pieces = cut(&stream, &mut below);
        assert_eq!(read(pieces), read([stream.as_slice()]));
    });
}

#[test]
fn a_server_answers_or_closes_whatever_is_asked_of_it() {
    let mut dice = Dice::new(7);
    let mut below = move |n: usize| (dice.word() % n.max(1) as u64) as usize;
    let counters = Counters::default();
    let mut server = HttpServer::new(0, 1);
    fuzz("http_requests", 2, |stream| {
        let mut conn = Served::default();
        let mut at = At {
            id: 0,
            now: Time(0),
            up_us: 0,
            counters: &counters,
        };
        let mut out = Outbox::default();
        server.opened(&mut conn, &at, &mut out);
        for piece in cut(stream, &mut below) {
            at.now = Time(at.now.0 + 1_000_000);
            out = Outbox::default();
            server.received(&mut conn, piece, &at, &mut out);
            // What takes time is taken, and what is due is done, a few times.
            for _ in 0..4 {
                if out.close {
                    break;
                }
                let (tells, wake) = (
                    matches!(out.send, Transmit::Memory(_) | Transmit::Bytes),
                    out.wake,
                );
                out = Outbox::default();
                if tells {
                    server.sent(&mut conn, 1, &at, &mut out);
                } else if let Some(due) = wake {
                    at.now = at.now.max(due);
                    server.woken(&mut conn, &at, &mut out);
                }
            }
            if out.close {
                break;
            }
        }
        server.closed(&mut conn, Closed::ByPeer, &at);
    });
    assert!(counters.read().http.completed > 0, "nothing was answered");
}
