//! What bytes mean on a connection: a folder for each protocol, and the table that registers them.
//!
//! A folder has what can be asked of the protocol, with its [`Facts`] (`ask.rs`), how it carries a load's messages
//! (`wire.rs`), its servers (`serve.rs`), what is counted of it (`counts.rs`) and its parsers.

pub mod dns;
mod facts;
pub mod http;
pub mod raw;
pub mod tls;
pub mod websocket;

pub use facts::{Answers, Authority, Choose, Facts, Scheme, Serves, UseBehaviour, UseWire};

use crate::behaviour::Task;
use crate::payload::{Framing, Message};
use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::error::Error;

/// Registers protocols: for each the variant of [`Protocol`], the type that has its [`Facts`], and its servers, the
/// variants of [`ServeMode`].
macro_rules! protocols {
    ($(
        $(#[$doc:meta])*
        $Variant:ident: $module:ident::$Asked:ident, serves [$($Mode:ident),*];
    )*) => {
        /// What bytes mean on the connections of a load.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Protocol {
            $($(#[$doc])* $Variant($module::$Asked),)*
        }

        impl Protocol {
            /// The protocol that a scheme of targets implies, as it is by default.
            pub fn of_scheme(name: &str) -> Option<(Protocol, &'static Scheme)> {
                $(if let Some(scheme) = $module::$Asked::SCHEMES.iter().find(|s| s.name == name) {
                    return Some((Protocol::$Variant(Default::default()), scheme));
                })*
                None
            }

            /// Every scheme.
            pub fn schemes() -> impl Iterator<Item = &'static Scheme> {
                let all: &[&'static [Scheme]] = &[$($module::$Asked::SCHEMES),*];
                all.iter().copied().flatten()
            }

            /// The same protocol as it is by default.
            pub fn by_default(&self) -> Protocol {
                match self {
                    $(Protocol::$Variant(_) => Protocol::$Variant(Default::default()),)*
                }
            }

            /// Its name for people.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Protocol::$Variant(_) => $module::$Asked::NAME,)*
                }
            }

            /// Framing of messages: on connections that are opened, and on those that are accepted.
            pub fn framing(&self) -> [Framing; 2] {
                match self {
                    $(Protocol::$Variant(_) => $module::$Asked::FRAMING,)*
                }
            }

            /// How answers are known.
            pub fn answers(&self) -> Answers {
                match self {
                    $(Protocol::$Variant(_) => $module::$Asked::ANSWERS,)*
                }
            }

            /// Whether it ends a connection with words of its own.
            pub fn says_farewell(&self) -> bool {
                match self {
                    $(Protocol::$Variant(_) => $module::$Asked::SAYS_FAREWELL,)*
                }
            }

            /// Connections that are past their handshake; `None` if the protocol has none.
            pub fn ready(&self, tally: &Tally) -> Option<u64> {
                match self {
                    $(Protocol::$Variant(_) => $module::$Asked::ready(tally),)*
                }
            }

            /// Messages that are sent instead of the user's; empty to send the user's.
            pub fn messages(&self) -> Vec<Message> {
                match self {
                    $(Protocol::$Variant(asked) => asked.messages(),)*
                }
            }

            /// Prepares what wires need. Without targets the server is in the same process.
            ///
            /// # Errors
            /// What was asked for cannot be sent.
            pub fn prepare(
                &self,
                targets: &[Authority],
                seed: u64,
            ) -> Result<Prepared, Box<dyn Error + Send + Sync>> {
                Ok(Prepared(match self {
                    $(Protocol::$Variant(asked) => Wires::$Variant(asked.prepare(targets, seed)?),)*
                }))
            }

            /// Hands one worker's server in the process of a load to `then`: one that sends messages back, or one
            /// that discards them.
            pub fn own_server<U: UseBehaviour>(&self, echo: bool, task: Task, then: U) -> U::Output {
                match (self, echo) {
                    $((Protocol::$Variant(_), true) => {
                        then.with(<$module::$Asked as Facts>::Echo::behaviour(task))
                    }
                    (Protocol::$Variant(_), false) => {
                        then.with(<$module::$Asked as Facts>::Sink::behaviour(task))
                    })*
                }
            }
        }

        /// What the wires of a run need, prepared once for all workers.
        pub struct Prepared(Wires);

        enum Wires {
            $($Variant(<$module::$Asked as Facts>::Prepared),)*
        }

        impl Prepared {
            /// Hands the wire of one worker's connections that are opened to `then`.
            pub fn client<U: UseWire>(&self, choose: Choose, then: U) -> U::Output {
                match &self.0 {
                    $(Wires::$Variant(prepared) => then.with($module::$Asked::client(prepared, choose)),)*
                }
            }

            /// Hands the wire of one worker's connections that are accepted to `then`.
            pub fn server<U: UseWire>(&self, then: U) -> U::Output {
                match &self.0 {
                    $(Wires::$Variant(prepared) => then.with($module::$Asked::server(prepared)),)*
                }
            }
        }

        /// What a server does with received bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ServeMode {
            $($(
                #[doc = concat!("See [`", stringify!($module), "::", stringify!($Mode), "`].")]
                $Mode,
            )*)*
        }

        impl ServeMode {
            /// Every mode.
            pub const ALL: &'static [ServeMode] = &[$($(ServeMode::$Mode,)*)*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $($(ServeMode::$Mode => $module::$Mode::NAME,)*)*
                }
            }

            /// The mode with this name.
            pub fn named(name: &str) -> Option<ServeMode> {
                ServeMode::ALL.iter().copied().find(|mode| mode.name() == name)
            }

            /// One line of help.
            pub fn about(self) -> &'static str {
                match self {
                    $($(ServeMode::$Mode => $module::$Mode::ABOUT,)*)*
                }
            }

            /// Whether it sends the scenario's messages.
            pub fn sends(self) -> bool {
                match self {
                    $($(ServeMode::$Mode => $module::$Mode::SENDS,)*)*
                }
            }

            /// The protocol that it speaks, as it is by default.
            pub fn protocol(self) -> Protocol {
                match self {
                    $($(ServeMode::$Mode => Protocol::$Variant(Default::default()),)*)*
                }
            }

            /// Hands one worker's behaviour to `then`. `task` is what to send, for a server that sends.
            pub fn behaviour<U: UseBehaviour>(self, task: Task, then: U) -> U::Output {
                match self {
                    $($(ServeMode::$Mode => then.with($module::$Mode::behaviour(task)),)*)*
                }
            }
        }
    };
}

protocols! {
    /// TCP alone: messages one behind the other.
    Raw: raw::RawAsked, serves [Sink, Echo, Chargen];
    /// WebSocket (RFC 6455): each message is a frame.
    Websocket: websocket::WebSocketAsked, serves [Ws, WsSink];
    /// DNS over TCP (RFC 7766): questions are sent instead of messages.
    Dns: dns::DnsAsked, serves [];
}

impl Default for Protocol {
    fn default() -> Protocol {
        Protocol::Raw(raw::RawAsked::default())
    }
}

// A derived one needs its mark in the table.
#[allow(clippy::derivable_impls)]
impl Default for ServeMode {
    fn default() -> ServeMode {
        ServeMode::Sink
    }
}

impl Protocol {
    /// What is asked of WebSocket, if that is spoken.
    pub fn websocket(&self) -> Option<&websocket::WebSocketAsked> {
        match self {
            Protocol::Websocket(asked) => Some(asked),
            _ => None,
        }
    }
}

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
}
