//! What a server does: the servers of all protocols.

use super::choice::{Protocol, ProtocolKind};
use super::facts::{Facts, Serves, UseBehaviour};
use super::protocols;
use crate::behaviour::Task;
use serde::{Deserialize, Serialize};

macro_rules! modes {
    ($(
        $(#[$doc:meta])*
        $module:ident: $Variant:ident($Asked:ident), serves [$($Mode:ident),*] $(, counts $Summary:ident)?
        $(, latencies $Latencies:ident)?;
    )*) => {
        /// What a server does with received bytes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum ServeMode {
            $($(
                #[doc = concat!(
                    "See [`", stringify!($module), "::", stringify!($Mode), "`](super::", stringify!($module), "::",
                    stringify!($Mode), ")."
                )]
                $Mode,
            )*)*
        }

        impl ServeMode {
            /// Every mode.
            pub const ALL: &'static [ServeMode] = &[$($(ServeMode::$Mode,)*)*];

            /// Its name on the command line.
            pub fn name(self) -> &'static str {
                match self {
                    $($(ServeMode::$Mode => super::$module::$Mode::NAME,)*)*
                }
            }

            /// One line of help.
            pub fn about(self) -> &'static str {
                match self {
                    $($(ServeMode::$Mode => super::$module::$Mode::ABOUT,)*)*
                }
            }

            /// Whether it sends the scenario's messages.
            pub fn sends(self) -> bool {
                match self {
                    $($(ServeMode::$Mode => super::$module::$Mode::SENDS,)*)*
                }
            }

            /// The protocol that it speaks, with its default options.
            pub fn protocol(self) -> Protocol {
                match self {
                    $($(ServeMode::$Mode => Protocol::$Variant(Default::default()),)*)*
                }
            }

            /// The protocol of a load whose server in the same process does this, and whether that server sends messages
            /// back; `None` if there is none. TCP alone, where several protocols have the same server.
            pub fn of_own_server(self) -> Option<(ProtocolKind, bool)> {
                let name = self.name();
                $(
                    if name == <super::$module::$Asked as Facts>::Sink::NAME {
                        return Some((ProtocolKind::$Variant, false));
                    }
                    if name == <super::$module::$Asked as Facts>::Echo::NAME {
                        return Some((ProtocolKind::$Variant, true));
                    }
                )*
                None
            }

            /// Passes one worker's behaviour to `then`. `task` is what to send, for a server that sends.
            pub fn behaviour<U: UseBehaviour>(self, task: Task, then: U) -> U::Output {
                match self {
                    $($(ServeMode::$Mode => then.with(super::$module::$Mode::behaviour(task)),)*)*
                }
            }
        }
    };
}

protocols!(modes);

impl ServeMode {
    /// The mode with this name.
    pub fn named(name: &str) -> Option<ServeMode> {
        ServeMode::ALL
            .iter()
            .copied()
            .find(|mode| mode.name() == name)
    }
}

// A derived `Default` would need an attribute in the table.
#[allow(clippy::derivable_impls)]
impl Default for ServeMode {
    fn default() -> ServeMode {
        ServeMode::Sink
    }
}
