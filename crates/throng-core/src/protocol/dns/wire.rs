//! DNS over TCP, as a load's wire: queries are sent as they are, and a reply's id says which query it answers.

use super::answers::Answers;
use crate::behaviour::{At, Received, Receiver, TaggedReply, Wire};
use crate::stats::{Closed, Measured};

/// The client side of DNS over TCP.
#[derive(Debug, Default)]
pub struct Dns;

impl Wire for Dns {
    type Conn = Answers;
    // Replies are counted instead.
    const MESSAGES: bool = false;

    #[inline]
    fn opened(&mut self, _: &mut Answers, _: u64, _: &At, _: &mut Vec<u8>) -> bool {
        true
    }

    #[inline]
    fn is_ready(&self, _: &Answers) -> bool {
        true
    }

    fn received(
        &mut self,
        conn: &mut Answers,
        _: u64,
        bytes: &[u8],
        at: &At,
        _: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Received {
        to.payload(bytes);
        let fed = conn.feed(bytes, |answer| {
            let answered = to.reply(&TaggedReply {
                id: answer.id,
                code: answer.rcode.number(),
                truncated: answer.truncated,
            });
            if answered && answer.rcode.is_error() {
                at.counters.dns.answered_with_error(answer.rcode);
            }
        });
        if fed.is_err() {
            at.counters.dns.not_dns.add(1);
        }
        Received {
            over: fed.is_err(),
            ..Received::default()
        }
    }

    fn farewell(&mut self, _: &mut Answers, _: &mut Vec<u8>) -> bool {
        false
    }

    fn closed(&mut self, conn: &mut Answers, _: Closed, _: &At, _: &mut Measured) -> u32 {
        *conn = Answers::default();
        0
    }
}
