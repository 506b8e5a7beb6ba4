//! What bytes mean on a connection: a folder for each protocol, and the table that registers them.
//!
//! A folder has what can be asked of the protocol, with its [`Facts`] (`ask.rs`), how it carries a load's messages
//! (`wire.rs`), its servers (`serve.rs`), what is counted (`counts.rs`) and timed (`latencies.rs`) of it, what those counts say
//! (`summary.rs`), and its parsers.

mod choice;
pub mod dns;
mod facts;
pub mod http;
mod latencies;
mod lingering;
pub mod mqtt;
mod options;
mod pings;
pub mod proxy;
pub mod proxy_protocol;
pub mod raw;
#[cfg(test)]
mod rig;
mod sections;
mod serve_mode;
pub mod tls;
pub mod tunnel;
pub mod websocket;

pub use choice::{Prepared, Protocol, ProtocolKind};
pub use facts::{
    Answers, Authority, Choose, Facts, HandshakesSent, Says, Scheme, Serves, Summarize,
    UseBehaviour, UseWire, Violated, Waits,
};
pub use latencies::{Latencies, LatencyFacts};
pub use options::{Flag, OptionError, OptionFile, ProtocolOption, Takes};
pub use sections::Sections;
pub use serve_mode::ServeMode;

/// The table of protocols, handed to the macro `$then`. A line has the name of the folder, the variant of [`Protocol`],
/// the type that has its [`Facts`], its servers (each a variant of [`ServeMode`]) and, if the folder has counts of its own,
/// the type that implements [`Summarize`] for them; if it has latencies of its own, the type that has one of each.
macro_rules! protocols {
    ($then:ident) => {
        $then! {
            /// TCP alone: messages one behind the other.
            raw: Raw(RawAsked), serves [Sink, Echo, Chargen];
            /// WebSocket (RFC 6455): each message is a frame.
            websocket: Websocket(WebSocketAsked), serves [Ws, WsSink], counts WebSocketSummary, latencies WebSocketLatencies;
            /// DNS over TCP (RFC 7766): questions are sent instead of messages.
            dns: Dns(DnsAsked), serves [], counts DnsSummary;
            /// HTTP/1.1 (RFC 9110, RFC 9112): each message is the body of a request.
            http: Http(HttpAsked), serves [Http], counts HttpSummary, latencies HttpLatencies;
            /// MQTT 3.1.1 and 5.0 (OASIS): each message is published.
            mqtt: Mqtt(MqttAsked), serves [Mqtt], counts MqttSummary, latencies MqttLatencies;
        }
    };
}

pub(crate) use protocols;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn modes_and_schemes_have_names_of_their_own_and_modes_are_written_by_theirs() {
        let names: BTreeSet<&str> = ServeMode::ALL.iter().map(|mode| mode.name()).collect();
        assert_eq!(names.len(), ServeMode::ALL.len());
        for mode in ServeMode::ALL {
            let written = serde_json::to_value(mode).unwrap();
            assert_eq!(written, mode.name());
        }
        let schemes: BTreeSet<&str> = Protocol::schemes().map(|scheme| scheme.name).collect();
        assert_eq!(schemes.len(), Protocol::schemes().count());
        for scheme in Protocol::schemes() {
            assert_eq!(Protocol::of_scheme(scheme.name).unwrap().1, scheme);
        }
    }

    #[test]
    fn a_mode_names_the_own_server_that_does_the_same() {
        let own = |mode: ServeMode| mode.of_own_server();
        assert_eq!(own(ServeMode::Sink), Some((ProtocolKind::Raw, false)));
        assert_eq!(own(ServeMode::Echo), Some((ProtocolKind::Raw, true)));
        assert_eq!(own(ServeMode::Ws), Some((ProtocolKind::Websocket, true)));
        assert_eq!(
            own(ServeMode::WsSink),
            Some((ProtocolKind::Websocket, false))
        );
        assert_eq!(own(ServeMode::Http), Some((ProtocolKind::Http, false)));
        assert_eq!(own(ServeMode::Mqtt), Some((ProtocolKind::Mqtt, false)));
        assert_eq!(own(ServeMode::Chargen), None);
    }

    #[test]
    fn an_option_of_several_protocols_is_written_the_same_for_each() {
        let all = || ProtocolKind::ALL.iter().flat_map(|kind| kind.flags());
        for flag in all() {
            for other in all().filter(|other| other.long == flag.long) {
                assert_eq!((flag.alias, flag.short), (other.alias, other.short));
                assert_eq!((flag.takes, flag.asks), (other.takes, other.asks));
            }
        }
    }
}
