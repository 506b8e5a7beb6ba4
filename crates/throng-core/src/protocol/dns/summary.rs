//! The outcome of DNS, apart from its answers.

use crate::human::count;
use crate::protocol::facts::Summarize;
use crate::section::{Row, Tone};
use crate::stats::Tally;
use serde::{Deserialize, Serialize};

/// The outcome of DNS on connections.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsSummary {
    /// Connections on which something arrived that can't be DNS.
    pub not_dns: u64,
}

impl Summarize for DnsSummary {
    fn of(tally: &Tally) -> DnsSummary {
        DnsSummary {
            not_dns: tally.dns.not_dns,
        }
    }

    fn rows(&self, _: u64) -> Vec<Row> {
        match self.not_dns {
            0 => Vec::new(),
            n => {
                let note = "connections that received something else";
                vec![Row::new(Tone::Bad, "not DNS", count(n), note)]
            }
        }
    }
}
