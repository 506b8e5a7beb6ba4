//! The latencies of protocols, beside those that every load has. A folder states its own in `latencies.rs`, each with what
//! it measures; records, summaries, logs, reports and `--expect` follow from that.

use super::protocols;
use serde::{Deserialize, Serialize};

/// What a protocol states about one of its latencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyFacts {
    /// Its name in records, logs, the JSON form and `--expect`.
    pub name: &'static str,
    /// Its row in the table of latencies.
    pub label: &'static str,
    /// What it measures, in a clause.
    pub help: &'static str,
    /// What to do to have it measured.
    pub remedy: &'static str,
}

/// Defines a struct with a value for each latency of a protocol, from a list in the order in which they are reported: for
/// each its name, its row in tables, what it measures, and how to have it measured.
macro_rules! latencies {
    (
        $(#[$doc:meta])*
        pub struct $Latencies:ident {
            $($name:ident: $label:literal, $help:literal, $remedy:literal;)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub struct $Latencies<T> {
            $(#[doc = $help] pub $name: T,)*
        }

        impl<T> $Latencies<T> {
            /// What is stated about each.
            pub const FACTS: &'static [$crate::protocol::LatencyFacts] = &[
                $($crate::protocol::LatencyFacts {
                    name: stringify!($name),
                    label: $label,
                    help: $help,
                    remedy: $remedy,
                },)*
            ];

            /// Each value, in the order of the list.
            pub fn each(&self) -> impl Iterator<Item = (&'static $crate::protocol::LatencyFacts, &T)> {
                Self::FACTS.iter().zip([$(&self.$name),*])
            }

            /// Each value, in the order of the list.
            pub fn each_mut(&mut self) -> impl Iterator<Item = (&'static $crate::protocol::LatencyFacts, &mut T)> {
                Self::FACTS.iter().zip([$(&mut self.$name),*])
            }

            /// What `of` makes of each value.
            pub fn map<U>(&self, of: impl Fn(&T) -> U) -> $Latencies<U> {
                $Latencies { $($name: of(&self.$name),)* }
            }
        }
    };
}

pub(super) use latencies;

macro_rules! of_all {
    ($(
        $(#[$protocol_doc:meta])*
        $module:ident: $Variant:ident($Asked:ident), serves [$($Mode:ident),*] $(, counts $Summary:ident)?
        $(, latencies $Latencies:ident)?;
    )*) => {
        /// A value for each latency of each protocol. Serialised, the names of latencies are the only keys.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct Latencies<T> {
            $($(
                #[doc = concat!("See [`", stringify!($Latencies), "`](super::", stringify!($module), "::", stringify!($Latencies), ").")]
                #[serde(flatten)]
                pub $module: super::$module::$Latencies<T>,
            )?)*
        }

        impl Latencies<()> {
            /// What is stated about each.
            pub fn facts() -> impl Iterator<Item = &'static LatencyFacts> {
                std::iter::empty()$($(.chain(super::$module::$Latencies::<()>::FACTS))?)*
            }
        }

        impl<T> Latencies<T> {
            /// Each value, in the order of the table of protocols.
            pub fn each(&self) -> impl Iterator<Item = (&'static LatencyFacts, &T)> {
                std::iter::empty()$($(.chain(super::$module::$Latencies::each(&self.$module)))?)*
            }

            /// Each value, in the order of the table of protocols.
            pub fn each_mut(&mut self) -> impl Iterator<Item = (&'static LatencyFacts, &mut T)> {
                std::iter::empty()$($(.chain(super::$module::$Latencies::each_mut(&mut self.$module)))?)*
            }

            /// What `of` makes of each value.
            pub fn map<U>(&self, of: impl Fn(&T) -> U) -> Latencies<U> {
                Latencies { $($($module: super::$module::$Latencies::map(&self.$module, &of),)?)* }
            }
        }
    };
}

protocols!(of_all);
