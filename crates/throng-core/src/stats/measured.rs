//! What is measured: by one worker, and in all.

use super::Durations;
use crate::time::Time;
use std::time::Duration;

/// One round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the message, or query, was handed to the kernel.
    pub sent: Time,
    /// From then to when its answer was there.
    pub took: Duration,
    /// The connection's number.
    pub connection: u32,
    /// DNS: the query's id.
    pub query: u16,
    /// DNS: how it went.
    pub rcode: u8,
    /// DNS: whether the server left something out.
    pub truncated: bool,
}

macro_rules! measured {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What a worker measured.
        #[derive(Clone, Debug, Default)]
        pub struct Measured {
            $($(#[$doc])* pub $name: Durations,)*
            /// Each round trip, where they are kept one by one.
            pub samples: Vec<Sample>,
        }

        impl Measured {
            /// Adds another worker's, or another interval's.
            pub fn merge(&mut self, other: Measured) {
                $(self.$name.absorb(other.$name);)*
                if self.samples.is_empty() {
                    self.samples = other.samples;
                } else {
                    self.samples.extend(other.samples);
                }
            }

            /// The histograms by name, in a fixed order. Those that recorded nothing are among them.
            pub fn named(&self) -> impl Iterator<Item = (&'static str, &Durations)> {
                [$((stringify!($name), &self.$name)),*].into_iter()
            }

            /// The histogram of this name; `None` if there is none.
            pub fn by_name(&mut self, name: &str) -> Option<&mut Durations> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
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
    /// From when a message with a time stamp was sent to when it was received here.
    marked,
    /// From when a connection was established to when its TLS handshake was done.
    handshake,
}
