//! Measurements: of one worker, and of several together.

use super::{Closed, Durations};
use crate::protocol::Latencies;
use crate::time::Time;
use std::time::Duration;

/// One round trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// When the message was handed to the kernel.
    pub sent: Time,
    /// From then to its answer.
    pub took: Duration,
    /// From then to the first byte of its answer, where the protocol says where answers begin; else zero.
    pub first: Duration,
    /// The connection's number.
    pub connection: u32,
    /// The message's id; 0 if answers have none.
    pub id: u16,
    /// The code in the answer (DNS: the rcode); 0 if answers have none.
    pub code: u8,
    /// Whether the answer says that the server left something out.
    pub truncated: bool,
    /// Whether the message was a ping.
    pub ping: bool,
}

macro_rules! measured {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The measurements of a worker.
        #[derive(Clone, Debug, Default)]
        pub struct Measured {
            $($(#[$doc])* pub $name: Durations,)*
            /// The latencies of protocols.
            pub protocols: Latencies<Durations>,
            /// Each round trip, if single ones are kept.
            pub samples: Vec<Sample>,
        }

        impl Measured {
            /// Adds the measurements of another worker or interval.
            pub fn merge(&mut self, other: Measured) {
                $(self.$name.absorb(other.$name);)*
                let mut protocols = other.protocols;
                for ((_, all), (_, more)) in self.protocols.each_mut().zip(protocols.each_mut()) {
                    all.absorb(std::mem::take(more));
                }
                if self.samples.is_empty() {
                    self.samples = other.samples;
                } else {
                    self.samples.extend(other.samples);
                }
            }

            /// All histograms by name, in a fixed order, including empty ones.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, &Durations)> {
                let protocols = self.protocols.each().map(|(facts, all)| (facts.name, all));
                [$((stringify!($name), &self.$name)),*].into_iter().chain(protocols)
            }

            /// The histogram of this name; `None` if there is none.
            pub fn by_name(&mut self, name: &str) -> Option<&mut Durations> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => {
                        let mut protocols = self.protocols.each_mut();
                        protocols.find(|(facts, _)| facts.name == name).map(|(_, all)| all)
                    }
                }
            }
        }
    };
}

measured! {
    /// From the start of an attempt to connect to its success.
    connect,
    /// From when a connection was established to the first byte received on it.
    first_byte,
    /// From when a message was due to when the kernel had taken it.
    lateness,
    /// From when a message was due to its answer.
    response,
    /// From when a message was sent to its answer: the response time without the wait before sending. A closed loop
    /// has only this.
    service,
    /// From when a message was sent to the first byte of its answer, where the protocol says where answers begin.
    ttfb,
    /// From when a message was sent to when this side closed its connection: its answer would have taken longer.
    unanswered,
    /// The same where the connection ended otherwise, and the answer was lost with it.
    unanswered_lost,
    /// From when a message with a time stamp was sent to when it was received here.
    marked,
    /// From when a connection was established to when its TLS handshake was done.
    handshake,
    /// From when a ping was due to its pong.
    pong,
    /// From when a ping was due to when this side closed its connection: its pong would have taken longer.
    pong_unanswered,
    /// The same where the connection ended otherwise, or so many later pings had no pong either that it was given up.
    pong_lost,
    /// The age of connections that the peer closed.
    age_closed_by_peer,
    /// The age of connections that the peer reset.
    age_reset_by_peer,
    /// The age of connections that the peer no longer acknowledged.
    age_timed_out,
    /// The age of connections that ended by an error on this side.
    age_error,
    /// When connections ended that this side did not close, since the run began.
    lost_at,
}

impl Measured {
    /// Records that a connection ended at `now` which was established for `age`, if this side did not close it.
    pub fn ended(&mut self, why: Closed, age: Duration, now: Time) {
        let ages = match why {
            Closed::ByUs => return,
            Closed::ByPeer => &mut self.age_closed_by_peer,
            Closed::ResetByPeer => &mut self.age_reset_by_peer,
            Closed::TimedOut => &mut self.age_timed_out,
            Closed::Error => &mut self.age_error,
        };
        ages.record(age);
        self.lost_at.record_between(Time::START, now);
    }

    /// Records that a message sent at `sent` had no answer when its connection ended at `now`.
    pub fn no_answer(&mut self, why: Closed, sent: Time, now: Time) {
        let waited = match why {
            Closed::ByUs => &mut self.unanswered,
            _ => &mut self.unanswered_lost,
        };
        waited.record_between(sent, now);
    }

    /// Records that a ping that was due at `due` had no pong when its connection ended at `now`.
    pub fn no_pong(&mut self, why: Closed, due: Time, now: Time) {
        let waited = match why {
            Closed::ByUs => &mut self.pong_unanswered,
            _ => &mut self.pong_lost,
        };
        waited.record_between(due, now);
    }

    /// The age of connections that ended so; `None` for those that this side closed.
    pub fn age(&self, why: Closed) -> Option<&Durations> {
        match why {
            Closed::ByUs => None,
            Closed::ByPeer => Some(&self.age_closed_by_peer),
            Closed::ResetByPeer => Some(&self.age_reset_by_peer),
            Closed::TimedOut => Some(&self.age_timed_out),
            Closed::Error => Some(&self.age_error),
        }
    }
}
