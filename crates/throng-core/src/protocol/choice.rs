//! The protocol that a load speaks, with its options.

use super::facts::{
    Answers, Authority, Choose, Facts, HandshakesSent, Says, Scheme, Serves, UseBehaviour, UseWire,
    Waits,
};
use super::options::{self, Flag, OptionError, OptionFile};
use super::websocket::Subprotocol;
use super::{protocols, raw};
use crate::behaviour::Task;
use crate::payload::{Framing, Message, Script};
use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Duration;

macro_rules! choice {
    ($(
        $(#[$doc:meta])*
        $module:ident: $Variant:ident($Asked:ident), serves [$($Mode:ident),*] $(, counts $Summary:ident)?
        $(, latencies $Latencies:ident)?;
    )*) => {
        /// What bytes mean on the connections of a load.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Protocol {
            $($(#[$doc])* $Variant(super::$module::$Asked),)*
        }

        /// A protocol without its options.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ProtocolKind {
            $($(#[$doc])* $Variant,)*
        }

        impl ProtocolKind {
            /// Every protocol.
            pub const ALL: &'static [ProtocolKind] = &[$(ProtocolKind::$Variant),*];

            /// Its name for people.
            pub fn name(self) -> &'static str {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::NAME,)*
                }
            }

            /// The protocol with its default options.
            pub fn by_default(self) -> Protocol {
                match self {
                    $(ProtocolKind::$Variant => Protocol::$Variant(Default::default()),)*
                }
            }

            /// Schemes of targets that imply it.
            pub fn schemes(self) -> &'static [Scheme] {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::SCHEMES,)*
                }
            }

            /// The options of `throng load` for it.
            pub fn flags(self) -> Vec<Flag> {
                match self {
                    $(ProtocolKind::$Variant => {
                        super::$module::$Asked::OPTIONS.iter().map(|option| option.flag).collect()
                    })*
                }
            }

            /// Framing of messages: on connections that are opened, and on those that are accepted.
            pub fn framing(self) -> [Framing; 2] {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::FRAMING,)*
                }
            }

            /// How answers are recognized, unless its options say otherwise.
            pub fn answers(self) -> Answers {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::ANSWERS,)*
                }
            }

            /// Whether its server in the process of a load is the same whether that is to discard messages or to send them
            /// back.
            pub fn has_one_server(self) -> bool {
                match self {
                    $(ProtocolKind::$Variant => {
                        type Asked = super::$module::$Asked;
                        <Asked as Facts>::Sink::NAME == <Asked as Facts>::Echo::NAME
                    })*
                }
            }

            /// Whether a client begins with a handshake of its own, before it sends messages.
            pub fn begins_with_handshake(self) -> bool {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::BEGINS_WITH_HANDSHAKE,)*
                }
            }

            /// Whether it sends a farewell of its own before a connection is closed.
            pub fn says_farewell(self) -> bool {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::SAYS_FAREWELL,)*
                }
            }

            /// What servers sent as part of handshakes.
            pub fn handshakes_sent(self, tally: &Tally) -> HandshakesSent {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::handshakes_sent(tally),)*
                }
            }

            /// Connections that were closed as the protocol allows, because one side had said so in time.
            pub fn closed_by_agreement(self, tally: &Tally) -> u64 {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::closed_by_agreement(tally),)*
                }
            }

            /// The messages of a load that were sent: those begun where the protocol counts them, else those that the
            /// kernel took whole.
            pub fn requested(self, tally: &Tally) -> u64 {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::requested(tally),)*
                }
            }

            /// Whole answers that are not what was asked for, and so are failures.
            pub fn unwanted(self, tally: &Tally) -> u64 {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::unwanted(tally),)*
                }
            }

            /// Whether its options say which answers are failures: one with an error may be wanted.
            pub fn judges_answers(self) -> bool {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::JUDGES_ANSWERS,)*
                }
            }

            /// Answers that report an error, by the error's name.
            pub fn answers_with_error(self, tally: &Tally) -> Vec<(String, u64)> {
                match self {
                    $(ProtocolKind::$Variant => super::$module::$Asked::answers_with_error(tally),)*
                }
            }
        }

        impl Protocol {
            /// Its kind.
            pub fn kind(&self) -> ProtocolKind {
                match self {
                    $(Protocol::$Variant(_) => ProtocolKind::$Variant,)*
                }
            }

            /// Sets the option with this long name. Does nothing if the protocol has no such option.
            ///
            /// # Errors
            /// The option does not accept the value.
            pub fn set(&mut self, long: &str, value: &str) -> Result<(), OptionError> {
                match self {
                    $(Protocol::$Variant(asked) => {
                        options::set(super::$module::$Asked::OPTIONS, asked, long, value)
                    })*
                }
            }

            /// Sets the option whose value is a file.
            ///
            /// # Errors
            /// What is wrong with the file.
            pub fn read_file(&mut self, file: &OptionFile) -> Result<(), OptionError> {
                match self {
                    $(Protocol::$Variant(asked) => asked.read_file(file),)*
                }
            }

            /// What is sent.
            pub fn says(&self) -> Says {
                match self {
                    $(Protocol::$Variant(asked) => asked.says(),)*
                }
            }

            /// Whether messages are to arrive on connections of the same run, and are missed if they do not.
            pub fn misses(&self) -> bool {
                match self {
                    $(Protocol::$Variant(asked) => asked.misses(),)*
                }
            }

            /// Why this many connections can't stand beside each other, and what to do.
            pub fn clashes(&self, connections: u32) -> Option<&'static str> {
                match self {
                    $(Protocol::$Variant(asked) => asked.clashes(connections),)*
                }
            }

            /// How messages wait for their answers.
            pub fn waits(&self) -> Waits {
                match self {
                    $(Protocol::$Variant(asked) => asked.waits(),)*
                }
            }

            /// How answers are recognized.
            pub fn answers(&self) -> Answers {
                match self {
                    $(Protocol::$Variant(asked) => asked.answers(),)*
                }
            }

            /// Whether its latency of this name is measured.
            pub fn measures(&self, latency: &str) -> bool {
                match self {
                    $($(Protocol::$Variant(asked) => {
                        let all: super::$module::$Latencies<bool> = asked.measures();
                        all.each().any(|(facts, measured)| facts.name == latency && *measured)
                    })?)*
                    _ => false,
                }
            }

            /// Whether this side is asked to close connections after a number of messages, and to open them again.
            pub fn closes(&self) -> bool {
                match self {
                    $(Protocol::$Variant(asked) => asked.closes(),)*
                }
            }

            /// The messages that connections to `target` send repeatedly; `given` are the user's.
            ///
            /// # Errors
            /// What was asked for cannot be sent.
            pub fn messages(
                &self,
                given: &[Message],
                target: &Authority,
            ) -> Result<Vec<Message>, OptionError> {
                match self {
                    $(Protocol::$Variant(asked) => asked.messages(given, target),)*
                }
            }

            /// How often a ping is sent on each connection that is opened; `None` for never.
            pub fn pings(&self) -> Option<Duration> {
                match self {
                    $(Protocol::$Variant(asked) => asked.pings(),)*
                }
            }

            /// Subprotocols that connections that are opened ask for.
            pub fn subprotocols(&self) -> &[Subprotocol] {
                match self {
                    $(Protocol::$Variant(asked) => asked.subprotocols(),)*
                }
            }

            /// Prepares what wires need. Without targets the server is in the same process. Connections that are opened
            /// send `script`, `secure` says whether in TLS.
            ///
            /// # Errors
            /// What was asked for cannot be sent.
            pub fn prepare(
                &self,
                targets: &[Authority],
                script: &Script,
                secure: bool,
                seed: u64,
            ) -> Result<Prepared, Box<dyn Error + Send + Sync>> {
                Ok(Prepared(match self {
                    $(Protocol::$Variant(asked) => {
                        let mut prepared = asked.prepare(targets, seed)?;
                        asked.told(&mut prepared, script, secure)?;
                        Wires::$Variant(prepared)
                    })*
                }))
            }

            /// Passes one worker's server in the process of a load to `then`: one that sends messages back, or one that
            /// discards them.
            pub fn own_server<U: UseBehaviour>(&self, echo: bool, task: Task, then: U) -> U::Output {
                match (self, echo) {
                    $((Protocol::$Variant(_), true) => {
                        then.with(<super::$module::$Asked as Facts>::Echo::behaviour(task))
                    }
                    (Protocol::$Variant(_), false) => {
                        then.with(<super::$module::$Asked as Facts>::Sink::behaviour(task))
                    })*
                }
            }
        }

        /// What the wires of a run need, prepared once for all workers.
        pub struct Prepared(Wires);

        enum Wires {
            $($Variant(<super::$module::$Asked as Facts>::Prepared),)*
        }

        impl Prepared {
            /// Passes the wire of one worker's opened connections to `then`.
            pub fn client<U: UseWire>(&self, choose: Choose, then: U) -> U::Output {
                match &self.0 {
                    $(Wires::$Variant(prepared) => {
                        super::$module::$Asked::with_client(prepared, choose, then)
                    })*
                }
            }

            /// Passes the wire of one worker's accepted connections to `then`.
            pub fn server<U: UseWire>(&self, then: U) -> U::Output {
                match &self.0 {
                    $(Wires::$Variant(prepared) => then.with(super::$module::$Asked::server(prepared)),)*
                }
            }
        }
    };
}

protocols!(choice);

impl ProtocolKind {
    /// The option with this long name.
    pub fn flag(self, long: &str) -> Option<Flag> {
        self.flags().into_iter().find(|flag| flag.long == long)
    }
}

impl Protocol {
    /// The protocol that a scheme of targets implies, with its default options.
    pub fn of_scheme(name: &str) -> Option<(Protocol, &'static Scheme)> {
        ProtocolKind::ALL.iter().find_map(|kind| {
            let scheme = kind.schemes().iter().find(|scheme| scheme.name == name)?;
            Some((kind.by_default(), scheme))
        })
    }

    /// Every scheme.
    pub fn schemes() -> impl Iterator<Item = &'static Scheme> {
        ProtocolKind::ALL.iter().flat_map(|kind| kind.schemes())
    }

    /// Every scheme in one text, such as `ws:// or wss://` if `last` is `or`.
    pub fn schemes_in_words(last: &str) -> String {
        let all: Vec<String> = Protocol::schemes()
            .map(|s| format!("{}://", s.name))
            .collect();
        match all.split_last() {
            Some((only, [])) => only.clone(),
            Some((end, rest)) => format!("{} {last} {end}", rest.join(", ")),
            None => String::new(),
        }
    }
}

impl Default for Protocol {
    fn default() -> Protocol {
        Protocol::Raw(raw::RawAsked::default())
    }
}

// A derived `Default` would need an attribute in the table.
#[allow(clippy::derivable_impls)]
impl Default for ProtocolKind {
    fn default() -> ProtocolKind {
        ProtocolKind::Raw
    }
}
