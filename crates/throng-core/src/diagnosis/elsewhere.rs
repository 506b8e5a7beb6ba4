//! Limits that were met elsewhere: at the server's end, or on the way there, where a client sees no more than attempts that time out.

use super::cause::Diagnosis;
use super::tracking::{TABLE_REMEDY, is_full};
use crate::capacity::LimitKind;
use crate::human::{count as number, things, verb};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the kernel counted during a run in a network namespace that connections of the run lead to, or through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// What is there, for people: `the server's host of the lab`.
    pub place: String,
    /// Its conntrack table; `None` if it has none, or none that can be read.
    pub conntrack: Option<ConntrackTable>,
    /// Handshakes that found an accept queue full (ListenOverflows), whichever program listens there.
    pub listen_overflows: u64,
}

/// A conntrack table at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConntrackTable {
    /// Its entries.
    pub count: u64,
    /// `net.netfilter.nf_conntrack_max`.
    pub max: u64,
    /// Packets dropped during the run because there was no room for their entry.
    pub dropped: u64,
    /// Whether one of the entries is of a connection to a target of the run. Only root can read them.
    pub has_target: bool,
}

impl ConntrackTable {
    /// Whether it had no room for some packets, and has none now.
    pub fn overflowed(&self) -> bool {
        self.dropped > 0 && is_full(self.count, self.max)
    }

    /// This table as two looked at it: later, or not allowed to see all of it.
    fn or(self, other: ConntrackTable) -> ConntrackTable {
        ConntrackTable {
            count: self.count.max(other.count),
            max: self.max.max(other.max),
            dropped: self.dropped.max(other.dropped),
            has_target: self.has_target || other.has_target,
        }
    }
}

impl Elsewhere {
    /// Whether anything in it may have kept connections from being established.
    pub fn says_something(&self) -> bool {
        self.listen_overflows > 0 || self.conntrack.is_some_and(|table| table.overflowed())
    }

    /// This place as two looked at it.
    fn or(mut self, other: &Elsewhere) -> Elsewhere {
        self.conntrack = match (self.conntrack, other.conntrack) {
            (Some(one), Some(other)) => Some(one.or(other)),
            (one, other) => one.or(other),
        };
        self.listen_overflows = self.listen_overflows.max(other.listen_overflows);
        self
    }
}

/// The limits elsewhere that explain why `timed_out` attempts of all clients got no answer, the certain ones first. `seen` is what each
/// source of a run saw, and on which machine, if that is known: sources of one machine that name the same place have all
/// seen it.
pub fn elsewhere<'a>(
    seen: impl Iterator<Item = (Option<&'a str>, &'a Elsewhere)>,
    timed_out: u64,
) -> Vec<Diagnosis> {
    if timed_out == 0 {
        return Vec::new();
    }
    let mut places: BTreeMap<(Option<&str>, &str), Elsewhere> = BTreeMap::new();
    for (machine, one) in seen {
        let known = places
            .entry((machine, one.place.as_str()))
            .or_insert_with(|| Elsewhere {
                place: one.place.clone(),
                ..Elsewhere::default()
            });
        *known = std::mem::take(known).or(one);
    }
    let found = places.values().filter_map(|place| {
        let table = place.conntrack.filter(ConntrackTable::overflowed);
        match table {
            Some(table) => Some(table_full(&place.place, table, timed_out)),
            None => accept_queue(place, timed_out),
        }
    });
    let mut found: Vec<Diagnosis> = found.collect();
    found.sort_by_key(|d| !d.certain);
    found
}

/// A full conntrack table. Each attempt that timed out has lost a packet at least: where fewer were dropped, something else drops, too.
fn table_full(place: &str, table: ConntrackTable, timed_out: u64) -> Diagnosis {
    let certain = table.has_target && table.dropped >= timed_out;
    Diagnosis {
        limit: LimitKind::Conntrack,
        allows: certain.then_some(table.max),
        certain,
        what: format!(
            "{}{} timed out, and the conntrack table at {place} is full: {} of {} entries, {} dropped for want of one",
            if certain {
                ""
            } else {
                "perhaps a conntrack table: "
            },
            things(timed_out, "attempt"),
            number(table.count),
            number(table.max),
            things(table.dropped, "packet"),
        ),
        remedy: TABLE_REMEDY.into(),
    }
}

/// An accept queue that overflowed, which may be that of another server there.
fn accept_queue(place: &Elsewhere, timed_out: u64) -> Option<Diagnosis> {
    let overflows = place.listen_overflows;
    (overflows > 0).then(|| Diagnosis {
        limit: LimitKind::AcceptQueue,
        allows: None,
        certain: false,
        what: format!(
            "perhaps an accept queue: {} timed out, and at {} {} {} a queue full",
            things(timed_out, "attempt"),
            place.place,
            things(overflows, "handshake"),
            verb(overflows, "has found", "have found"),
        ),
        remedy: "More room there: the server's backlog and net.core.somaxconn (ss -ltn shows how full its queue is); or connect more slowly (--connect-rate).".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(count: u64, dropped: u64, has_target: bool, listen_overflows: u64) -> Elsewhere {
        Elsewhere {
            place: "the server".into(),
            conntrack: Some(ConntrackTable {
                count,
                max: 200,
                dropped,
                has_target,
            }),
            listen_overflows,
        }
    }

    /// What follows from what sources on these machines saw: which limit, whether that is certain, and in which words.
    fn found(seen: &[(Option<&str>, Elsewhere)], timed_out: u64) -> Vec<(LimitKind, bool, String)> {
        let seen = seen.iter().map(|(machine, seen)| (*machine, seen));
        let found = elsewhere(seen, timed_out).into_iter();
        found.map(|d| (d.limit, d.certain, d.what)).collect()
    }

    #[test]
    fn what_a_table_dropped_explains_attempts_that_timed_out() {
        let told = |seen, timed_out| found(&[(None, seen)], timed_out);
        let is_full = "the conntrack table at the server is full: 200 of 200 entries, 90 packets dropped for want of one";
        assert_eq!(
            told(place(200, 90, true, 0), 30),
            [(
                LimitKind::Conntrack,
                true,
                format!("30 attempts timed out, and {is_full}")
            )]
        );
        // Whose entries they are is not known; more attempts failed than packets were dropped.
        for (seen, timed_out) in [
            (place(200, 90, false, 0), 30),
            (place(200, 90, true, 0), 91),
        ] {
            let all = told(seen, timed_out);
            let [(limit, certain, what)] = &all[..] else {
                panic!("one: {all:?}");
            };
            assert_eq!((*limit, *certain), (LimitKind::Conntrack, false));
            assert!(what.starts_with("perhaps a conntrack table: ") && what.ends_with(is_full));
        }
        // It has room, or dropped nothing, or nobody missed anything.
        assert!(told(place(190, 90, true, 0), 30).is_empty());
        assert!(told(place(200, 0, true, 0), 30).is_empty());
        assert!(told(place(200, 90, true, 5), 0).is_empty());
        let queue = "perhaps an accept queue: 1 attempt timed out, and at the server 5 handshakes have found a queue full";
        assert_eq!(
            told(place(10, 0, true, 5), 1),
            [(LimitKind::AcceptQueue, false, queue.to_owned())]
        );
        assert!(!place(200, 0, true, 0).says_something() && place(0, 0, true, 1).says_something());
    }

    #[test]
    fn sources_that_saw_one_place_make_one_diagnosis() {
        let seen = [
            (Some("m"), place(199, 80, false, 0)),
            (Some("m"), place(200, 90, true, 0)),
            (Some("m"), place(200, 85, false, 3)),
        ];
        let one = found(&seen, 30);
        assert_eq!(one, found(&seen[1..2], 30));
        // Another machine's is another one.
        let two = [seen[1].clone(), (Some("n"), place(200, 90, false, 0))];
        let certain: Vec<bool> = found(&two, 30).iter().map(|f| f.1).collect();
        assert_eq!(certain, [true, false]);
    }
}
