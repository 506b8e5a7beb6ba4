//! The sections of protocols in the summary: one for each protocol with counts of its own.

use super::choice::ProtocolKind;
use super::facts::{Summarize, Violated};
use super::protocols;
use crate::section::Section;
use crate::stats::Tally;
use serde::{Deserialize, Serialize};

macro_rules! sections {
    ($(
        $(#[$doc:meta])*
        $module:ident: $Variant:ident($Asked:ident), serves [$($Mode:ident),*] $(, counts $Summary:ident)?
        $(, latencies $Latencies:ident)?;
    )*) => {
        /// The outcome of each protocol with counts of its own; `None` if no connection speaks it.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct Sections {
            $($(
                #[doc = concat!(
                    "See [`", stringify!($Summary), "`](super::", stringify!($module), "::", stringify!($Summary), ")."
                )]
                pub $module: Option<super::$module::$Summary>,
            )?)*
        }

        impl Sections {
            /// Of the protocols that are `spoken`, from a side's counts.
            pub fn of(spoken: impl Fn(ProtocolKind) -> bool, tally: &Tally) -> Sections {
                Sections {
                    $($($module: spoken(ProtocolKind::$Variant)
                        .then(|| super::$module::$Summary::of(tally)),)?)*
                }
            }

            /// The same with what is known only once connections are closed; `closed` are the counts after that.
            pub fn settled(mut self, closed: &Tally) -> Sections {
                $($(if let Some(summary) = &mut self.$module {
                    super::$module::$Summary::settle(summary, closed);
                })?)*
                self
            }

            /// The same as reports draw them; `connections` is how many were established.
            pub fn drawn(&self, connections: u64) -> Vec<Section> {
                let mut all = Vec::new();
                $($(all.extend(self.$module.as_ref().map(|summary: &super::$module::$Summary| Section {
                    title: ProtocolKind::$Variant.name(),
                    rows: summary.rows(connections),
                }));)?)*
                all
            }

            /// How peers violated their protocol.
            pub fn violations(&self) -> Vec<(ProtocolKind, Violated)> {
                let mut all = Vec::new();
                $($(all.extend(self.$module.iter().flat_map(|summary: &super::$module::$Summary| {
                    let violated = summary.violations().into_iter();
                    violated.map(|violated| (ProtocolKind::$Variant, violated))
                }));)?)*
                all
            }

            /// What peers fell short of, from the counts of a side after closing.
            pub fn shortfalls(&self) -> Vec<(ProtocolKind, Violated)> {
                let mut all = Vec::new();
                $($(all.extend(self.$module.iter().flat_map(|summary: &super::$module::$Summary| {
                    let violated = summary.shortfalls().into_iter();
                    violated.map(|violated| (ProtocolKind::$Variant, violated))
                }));)?)*
                all
            }
        }
    };
}

protocols!(sections);
