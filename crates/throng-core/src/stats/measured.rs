//! What is measured: by one worker, and in all.

use super::Durations;
use crate::time::Time;
use std::time::Duration;

/// One round trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// When the query was handed to the kernel.
    pub sent: Time,
    /// From then to when its answer was there.
    pub took: Duration,
    /// The connection's number.
    pub connection: u32,
    /// The query's id.
    pub query: u16,
    /// How it went (DNS rcode).
    pub rcode: u8,
    /// Whether the server left something out.
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
                $(self.$name.merge(&other.$name);)*
                if self.samples.is_empty() {
                    self.samples = other.samples;
                } else {
                    self.samples.extend(other.samples);
                }
            }
        }
    };
}

measured! {
    /// From the start of an attempt to connect to its success.
    connect,
    /// From when a connection came up to the first byte that came on it.
    first_byte,
    /// From when a message was due to when the kernel had taken it.
    lateness,
    /// From when a message was due to its answer.
    response,
    /// From when a message was sent to its answer: what the response time is without the wait before
    /// sending. A closed loop has only this.
    service,
    /// From when a message that says when it was sent was sent to when it came here.
    marked,
    /// From when a connection was up to when its TLS handshake was done.
    handshake,
}
