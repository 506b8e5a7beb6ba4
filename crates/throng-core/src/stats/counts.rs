//! Counts: those of one worker, and sums of them.

use super::causes::{Closed, FailCause};
use super::counter::{Counted, counts};
use crate::protocol::protocols;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

macro_rules! all_counts {
    ($(
        $(#[$protocol_doc:meta])*
        $module:ident: $Variant:ident($Asked:ident), serves [$($Mode:ident),*] $(, counts $Summary:ident)?
        $(, latencies $Latencies:ident)?;
    )*) => {
        counts! {
            /// The counts of one worker. Aligned so that no two workers share a cache line (or a pair of
            /// them, which is what the adjacent-line prefetcher fetches).
            #[repr(align(128))]
            pub struct Counters {
                /// Connections that this side closed or reset because it was to drop them (`--drop`). They are among those
                /// that this side closed.
                dropped,
                /// Connections that carried as many exchanges as they were to, and that the peer then closed, as was awaited
                /// (`--await-close`). Nothing was lost, so they are among those that this side closed.
                closed_as_awaited,
                /// Connections that the peer was to close, and that this side closed as the peer had not done so in time.
                awaited_in_vain,
                /// Connections that carried as many exchanges as they were to, and are closed for it (`--exchanges-per-connection`).
                exchanged,
                /// Connections that were `ready` and no longer are: they ended, or the peer announced that it would
                /// close.
                unready,
                /// Connections that were `heard` and have ended.
                unheard,
                /// Connections of a load on which anything was received, where that is looked at.
                heard,
                /// Connections of a load that could carry messages: the handshakes of TLS and of the protocol were
                /// completed.
                ready,
                /// Connections that were established 900 ms or more after their attempt began: their SYN was lost, or dropped, and
                /// sent again.
                syns_again,
                /// Connections that this side opened and that were established.
                established,
                /// Connections that this side accepted.
                accepted,
                /// Connection attempts that were started.
                attempted,
                /// Workers that have dispatched all of their share of the messages of the run, where it has a number of them in
                /// all. Their answers may still be outstanding.
                shares_spent,
                /// Bytes that the kernel took for sending.
                bytes_sent,
                /// Bytes read.
                bytes_received,
                /// Completed sends.
                writes,
                /// Reads that returned bytes: the "messages" of a side that does not know the protocol.
                reads,
                /// Whole messages that the kernel took for sending; first messages are not counted here.
                messages_sent,
                /// Whole messages received, where the behaviour knows message boundaries (replies, when echoed).
                messages_received,
                /// Messages that were due, at the rate asked for, and unsent when their connection ended.
                messages_unsent,
                /// Answers to `questions`.
                answers,
                /// Messages among `questions` without an answer when their connection ended.
                messages_unanswered,
                /// Messages that were handed to the kernel and whose answers are looked for.
                questions,
                /// Answers that match no message.
                answers_unasked,
                /// Reads that brought more bytes than all messages under way have, where answers are to be their echoes.
                excess_echoes,
                /// Connections on which what was received first is not what was sent first, where answers are to be echoes.
                differing_echoes,
                /// Pings that were sent.
                pings,
                /// Pings that were answered.
                pongs,
                /// Pings that were not answered: their connection ended, or many later ones were not answered either.
                pings_unanswered,
                /// Pongs that belong to no ping that waits for one.
                pongs_unasked,
                /// Message markers that are newer than this machine's clock: their age is not known.
                markers_ahead,
                /// How often the text that ends the run was received.
                stops_seen,
            }
            by kind {
                /// Attempts to connect that failed, by cause.
                failed: FailCause,
                /// Connections that ended, by who or what ended them.
                closed: Closed,
                /// Connections that ended with a message under way: not yet sent whole, or without its answer where answers
                /// are looked for. By who or what ended them.
                cut_off: Closed,
            }
            parts {
                /// Counts of TLS.
                tls,
                /// Counts of tunnels through proxies.
                tunnel,
                /// Counts of a proxy.
                proxy,
                /// Counts of headers of the PROXY protocol that were accepted.
                proxy_protocol,
                $($(
                    #[doc = concat!(
                        "See [`", stringify!($Summary), "`](crate::protocol::", stringify!($module), "::",
                        stringify!($Summary), ")."
                    )]
                    $module,
                )?)*
            }
            times {
                /// When the last connection was established.
                last_up_ns,
            }

            /// A reading of one worker's [`Counters`], or the sum of several. Serialised as a map from the
            /// [name](Tally::named) of each count to its value, without those that are 0.
            #[derive(Serialize, Deserialize)]
            #[serde(into = "BTreeMap<String, u64>", try_from = "BTreeMap<String, u64>")]
            pub struct Tally;
        }
    };
}

protocols!(all_counts);

impl Counters {
    /// Counts a failed attempt.
    pub fn failed(&self, cause: FailCause) {
        self.failed[cause as usize].add(1);
    }

    /// Counts `n` connections that ended.
    pub fn closed(&self, why: Closed, n: u64) {
        self.closed[why as usize].add(n);
    }

    /// Counts a connection that ended with a message under way.
    pub fn cut_off(&self, why: Closed) {
        self.cut_off[why as usize].add(1);
    }

    /// TLS handshakes that have begun and neither succeeded nor failed, on a worker all of whose connections
    /// speak TLS.
    pub fn handshakes_under_way(&self) -> u64 {
        (self.established.get() + self.accepted.get()).saturating_sub(self.tls.completed())
    }
}

impl Tally {
    /// Failed attempts with this cause.
    pub fn failed(&self, cause: FailCause) -> u64 {
        self.failed[cause as usize]
    }

    /// Failed attempts.
    pub fn failed_in_all(&self) -> u64 {
        self.failed.iter().sum()
    }

    /// Connections that ended this way.
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed[why as usize]
    }

    /// Connections that ended this way with a message under way.
    pub fn cut_off(&self, why: Closed) -> u64 {
        self.cut_off[why as usize]
    }

    /// Connections that ended.
    pub fn closed_in_all(&self) -> u64 {
        self.closed.iter().sum()
    }

    /// Established connections. Never negative, although the counts are read one after another.
    pub fn open(&self) -> u64 {
        (self.established + self.accepted).saturating_sub(self.closed_in_all())
    }

    /// The same once all connections that are open have ended by an error.
    pub fn given_up(mut self) -> Tally {
        self.closed[Closed::Error as usize] += self.open();
        self
    }

    /// Connections that can carry messages at the moment: see [`ready`](Tally::ready).
    pub fn ready_now(&self) -> u64 {
        self.ready.saturating_sub(self.unready)
    }

    /// Connections on which anything was received, and that have not ended: see [`heard`](Tally::heard).
    pub fn heard_now(&self) -> u64 {
        self.heard.saturating_sub(self.unheard)
    }

    /// Established connections without those whose peer announced that it would close, or whose protocol has failed: of
    /// these, only TCP is left. Where handshakes are missing, some of these may count as open.
    pub fn up(&self) -> u64 {
        let never_ready = (self.established + self.accepted).saturating_sub(self.ready);
        self.open().min(self.ready_now() + never_ready)
    }

    /// Messages that wait for their answer at the moment.
    pub fn waiting(&self) -> u64 {
        self.questions
            .saturating_sub(self.answers + self.messages_unanswered)
    }

    /// Pings that wait for their pong at the moment.
    pub fn pongs_waiting(&self) -> u64 {
        self.pings
            .saturating_sub(self.pongs + self.pings_unanswered)
    }

    /// Attempts that have neither succeeded nor failed yet.
    pub fn in_flight(&self) -> u64 {
        self.attempted
            .saturating_sub(self.established + self.failed_in_all())
    }

    /// What was counted since `earlier`, a reading of the same counters.
    pub fn since(&self, earlier: &Tally) -> Tally {
        self.zip(earlier, u64::saturating_sub)
    }

    /// Every count with its name: `established`, `failed.refused`, `closed.by_peer`, `tls.failed.expired`,
    /// `websocket.violations.text`, `dns.rcode.3`.
    pub fn named(&self) -> impl Iterator<Item = (String, u64)> {
        let mut all = Vec::new();
        self.each("", &mut |counted| {
            all.push((counted.to_string(), counted.count))
        });
        all.into_iter()
    }

    /// Calls `each` with every count.
    pub fn for_each(&self, mut each: impl FnMut(Counted)) {
        self.each("", &mut each);
    }

    /// The inverse of [`Tally::named`]. A count that is not named is 0.
    ///
    /// # Errors
    /// A name that no count has.
    pub fn from_named<N: AsRef<str>>(
        named: impl IntoIterator<Item = (N, u64)>,
    ) -> Result<Tally, UnknownCount> {
        let mut tally = Tally::default();
        for (name, value) in named {
            let name = name.as_ref();
            match tally.by_name(name) {
                Some(count) => *count = value,
                None => return Err(UnknownCount(name.into())),
            }
        }
        Ok(tally)
    }
}

/// A name that no count has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the name of a count")]
pub struct UnknownCount(pub String);

impl From<Tally> for BTreeMap<String, u64> {
    fn from(tally: Tally) -> BTreeMap<String, u64> {
        tally.named().filter(|(_, count)| *count > 0).collect()
    }
}

impl TryFrom<BTreeMap<String, u64>> for Tally {
    type Error = UnknownCount;

    fn try_from(named: BTreeMap<String, u64>) -> Result<Tally, UnknownCount> {
        Tally::from_named(named)
    }
}

impl Add for Tally {
    type Output = Tally;

    fn add(self, other: Tally) -> Tally {
        self.zip(&other, u64::add)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Tally {
    fn sum<I: Iterator<Item = Tally>>(all: I) -> Tally {
        all.fold(Tally::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::dns::Rcode;
    use crate::protocol::tls::TlsFailure;
    use crate::protocol::websocket::Violation;
    use std::collections::BTreeSet;

    #[test]
    fn counts_add_up_to_open_and_in_flight() {
        let counters = Counters::default();
        counters.attempted.add(10);
        counters.established.add(6);
        counters.failed(FailCause::Refused);
        counters.closed(Closed::ByPeer, 2);
        let tally = counters.read();
        assert_eq!(
            (tally.open(), tally.in_flight(), tally.failed_in_all()),
            (4, 3, 1)
        );
        let both = tally + tally;
        assert_eq!(
            (
                both.open(),
                both.failed(FailCause::Refused),
                both.closed(Closed::ByPeer)
            ),
            (8, 2, 4)
        );
        assert_eq!(both.since(&tally), tally);
    }

    #[test]
    fn what_said_that_it_would_close_is_not_up_any_more() {
        let counters = Counters::default();
        let up = || counters.read().up();
        counters.established.add(6);
        counters.accepted.add(1);
        // Handshakes under way.
        assert_eq!(up(), 7);
        counters.ready.add(5);
        assert_eq!(up(), 7);
        counters.unready.add(3);
        assert_eq!(up(), 4);
        // Two of these three end.
        counters.closed(Closed::ByPeer, 2);
        assert_eq!(up(), 4);
        counters.unready.add(2);
        counters.closed(Closed::ByUs, 5);
        assert_eq!(up(), 0);
    }

    #[test]
    fn handshakes_under_way_are_those_without_an_outcome() {
        let counters = Counters::default();
        counters.established.add(10);
        counters.tls.secured.add(4);
        counters.tls.failed(TlsFailure::Expired);
        assert_eq!(counters.handshakes_under_way(), 5);
        // One of the four is broken later.
        counters.tls.failed(TlsFailure::Violation);
        counters.tls.broken.add(1);
        assert_eq!(counters.handshakes_under_way(), 5);
    }

    /// A tally in which every count has a value of its own.
    fn all_different() -> Tally {
        let names: Vec<String> = Tally::default().named().map(|(name, _)| name).collect();
        Tally::from_named(names.into_iter().zip(1..)).unwrap()
    }

    #[test]
    fn every_count_has_a_name_of_its_own_and_comes_back_by_it() {
        let tally = all_different();
        let names: BTreeSet<String> = tally.named().map(|(name, _)| name).collect();
        assert_eq!(names.len(), tally.named().count());
        // What a tally is made of, so that no count is without a name.
        assert_eq!(names.len() * size_of::<u64>(), size_of::<Tally>());
        assert!(
            tally
                .named()
                .map(|(_, count)| count)
                .eq(1..=names.len() as u64)
        );
        assert_eq!(Tally::from_named(tally.named()), Ok(tally));
        let written = serde_json::to_string(&tally).unwrap();
        assert_eq!(serde_json::from_str::<Tally>(&written).unwrap(), tally);
    }

    #[test]
    fn a_count_is_named_after_its_kind_and_its_protocol() {
        let counters = Counters::default();
        counters.established.add(1);
        counters.failed(FailCause::TimedOut);
        counters.closed(Closed::ByPeer, 1);
        counters.tls.failed(TlsFailure::AlertUnknownCa);
        counters.websocket.violation(Violation::TooBig);
        counters.dns.answered_with_error(Rcode::from_bits(3));
        let written = serde_json::to_string(&counters.read()).unwrap();
        assert_eq!(
            written,
            r#"{"closed.by_peer":1,"dns.rcode.3":1,"established":1,"failed.timed_out":1,"tls.failed.alert_unknown_ca":1,"websocket.violations.too_big":1}"#
        );
    }

    #[test]
    fn a_name_that_no_count_has_is_refused() {
        for name in [
            "",
            "closed",
            "closed.",
            "tls",
            "tls.",
            "dns.rcode.16",
            "failed.refused.x",
        ] {
            let read = Tally::from_named([("established", 1), (name, 2)]);
            assert_eq!(read, Err(UnknownCount(name.into())));
        }
    }
}
