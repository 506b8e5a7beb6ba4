//! The latencies of HTTP.

use crate::protocol::latencies::latencies;

latencies! {
    /// The latencies of HTTP's event streams.
    pub struct HttpLatencies {
        first_event: "first event",
            "from when an event stream was asked for to its first event (HTTP)",
            "add --events, and --http or an http:// target";
        event_gap: "event gap",
            "from one event of a stream to the next (HTTP)",
            "add --events, and --http or an http:// target";
        event_silence: "event silence",
            "from the last event of a stream to when it was broken off (HTTP)",
            "add --events, and --http or an http:// target";
        event_age: "event age",
            "age of events that say when they were sent (HTTP)",
            "add --events, and --http or an http:// target";
    }
}
