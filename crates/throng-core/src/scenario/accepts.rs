//! What the scenarios of all commands have in common that accept connections until they are stopped.

/// Defines the scenario of such a command: where it listens, its own fields, each with its default, and those that all of them
/// have.
macro_rules! accepts {
    (
        $(#[$doc:meta])*
        pub struct $Scenario:ident at $Listen:ident { $($(#[$field_doc:meta])* pub $field:ident: $Type:ty = $default:expr,)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
        pub struct $Scenario {
            /// Where to listen.
            pub listen: Vec<$crate::scenario::$Listen>,
            $($(#[$field_doc])* pub $field: $Type,)*
            /// The accept queue's length; `None` for the system's limit (somaxconn).
            #[serde(with = "crate::units::written::Maybe::<crate::scenario::bounds::Connections>")]
            pub backlog: Option<u32>,
            /// Connections of clients to hold at once, at most; `None` for as many as fit.
            #[serde(with = "crate::units::written::Maybe::<crate::scenario::bounds::Connections>")]
            pub max_connections: Option<u32>,
            /// How long to run; `None` for until it is stopped.
            #[serde(with = "crate::units::written::Maybe::<crate::scenario::bounds::Positive>")]
            pub duration: Option<std::time::Duration>,
            /// Threads; `None` for one per core.
            #[serde(with = "crate::units::written::Maybe::<crate::scenario::bounds::Workers>")]
            pub workers: Option<u32>,
            /// Which event loop.
            pub engine: $crate::engine::EngineChoice,
            /// Run even if the plan says that it cannot work.
            pub force: bool,
            /// What is set on each socket.
            pub sockets: $crate::scenario::SocketOptions,
        }

        impl Default for $Scenario {
            fn default() -> $Scenario {
                $Scenario {
                    listen: Vec::new(),
                    $($field: $default,)*
                    backlog: None,
                    max_connections: None,
                    duration: None,
                    workers: None,
                    engine: $crate::engine::EngineChoice::default(),
                    force: false,
                    sockets: $crate::scenario::SocketOptions::default(),
                }
            }
        }
    };
}

pub(super) use accepts;
