//! The outcome of headers.

use super::clients::ClientsNamed;
use super::read::{Malformed, Tlv};
use crate::human::count;
use crate::section::{Row, Section, Tone};
use crate::stats::{Tally, occurred};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The outcome of headers of the PROXY protocol that connections had to begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyProtocolSummary {
    /// Headers that were accepted.
    pub taken: u64,
    /// Those among them of version 2. The others are lines of text.
    pub version_2: u64,
    /// Those among them that name no client (`UNKNOWN`, LOCAL).
    pub unnamed: u64,
    /// Connections that were closed because of their header, by what is wrong with it. What did not occur is left out.
    pub refused: BTreeMap<Malformed, u64>,
    /// Connections that were closed because their header did not come in time.
    pub late: u64,
    /// Connections that their peer ended before their header was complete.
    pub cut_off: u64,
    /// What headers told besides addresses, by type. What did not occur is left out.
    pub tlvs: BTreeMap<Tlv, u64>,
    /// Checksums that were checked and are right. A wrong one is among `refused`.
    pub checksums: u64,
    /// The clients that headers named; `None` if nobody looked at them.
    pub clients: Option<ClientsNamed>,
}

impl ProxyProtocolSummary {
    /// From the counts of a side, and the clients that headers named.
    pub fn of(tally: &Tally, named: Option<ClientsNamed>) -> ProxyProtocolSummary {
        let counts = &tally.proxy_protocol;
        ProxyProtocolSummary {
            taken: counts.taken,
            version_2: counts.binary,
            unnamed: counts.unnamed,
            refused: occurred(Malformed::ALL, |why| counts.refused(why)),
            late: counts.late,
            cut_off: counts.cut_off,
            tlvs: occurred(Tlv::ALL, |which| counts.tlvs(which)),
            checksums: counts.checksums,
            clients: named,
        }
    }

    /// The section, for reports.
    pub fn drawn(&self) -> Section {
        let versions = match (self.version_2, self.taken) {
            (_, 0) => String::new(),
            (0, _) => "version 1".into(),
            (n, all) if n == all => "version 2".into(),
            (n, _) => format!("{} of them version 2", count(n)),
        };
        let mut rows = vec![Row::new(
            Tone::Plain,
            "accepted",
            count(self.taken),
            versions,
        )];
        let mut told = |n: u64, tone, label, note: &str| {
            if n > 0 {
                rows.push(Row::new(tone, label, count(n), note));
            }
        };
        let unnamed = "name no client (UNKNOWN, LOCAL)";
        told(self.unnamed, Tone::Plain, "", unnamed);
        for (why, n) in &self.refused {
            told(*n, Tone::Bad, "refused", why.words());
        }
        told(self.late, Tone::Bad, "refused", "no header came in time");
        let cut_off = "ended by the peer before the header was complete";
        told(self.cut_off, Tone::Odd, "cut off", cut_off);
        for (which, n) in &self.tlvs {
            told(*n, Tone::Plain, "told besides", which.words());
        }
        if let Some(named) = &self.clients {
            let from = match named.addresses {
                1 => "at one address".to_owned(),
                n => format!("at {} addresses", count(n)),
            };
            rows.push(Row::new(Tone::Plain, "clients", count(named.named), from));
            let strange = named.unannounced.filter(|n| *n > 0);
            rows.extend(strange.map(|n| {
                let names: Vec<String> = named.strangers.iter().map(ToString::to_string).collect();
                let note = format!(
                    "headers name clients outside --proxy-source: {}",
                    names.join(", ")
                );
                Row::new(Tone::Bad, "not announced", count(n), note)
            }));
        }
        Section {
            title: "PROXY headers",
            rows,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counters;

    #[test]
    fn headers_are_told_with_those_that_were_refused_and_clients_beside_them() {
        let counters = Counters::default();
        let counts = &counters.proxy_protocol;
        counts.taken.add(5);
        counts.binary.add(2);
        counts.refused(Malformed::BadLine);
        counts.late.add(1);
        counts.tlv(Tlv::UniqueId);
        let named = ClientsNamed {
            named: 4,
            addresses: 1,
            unannounced: Some(1),
            strangers: vec!["10.0.0.1:80".parse().unwrap()],
        };
        let summary = ProxyProtocolSummary::of(&counters.read(), Some(named));
        assert_eq!((summary.taken, summary.version_2), (5, 2));
        assert_eq!(summary.refused, [(Malformed::BadLine, 1)].into());
        let rows = summary.drawn().rows;
        let shown: Vec<(&str, &str, &str)> = rows
            .iter()
            .map(|row| (row.label, row.value.as_str(), row.note.as_str()))
            .collect();
        assert_eq!(shown[0], ("accepted", "5", "2 of them version 2"));
        assert!(shown.contains(&("refused", "1", "no header came in time")));
        assert!(shown.contains(&("told besides", "1", "unique id")));
        assert!(shown.contains(&("clients", "4", "at one address")));
        let strange = "headers name clients outside --proxy-source: 10.0.0.1:80";
        assert!(shown.contains(&("not announced", "1", strange)));
    }
}
