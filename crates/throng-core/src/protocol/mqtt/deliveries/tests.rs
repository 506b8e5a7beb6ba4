use super::*;
use crate::stats::{Counters, Tally};
use proptest::prelude::*;
use std::collections::BTreeSet;

const MS: u64 = 1_000_000;
const SEED: u64 = 0x1_0000_00ab;

/// Two workers of a run, each with a connection: 1 subscribes, 2 publishes, and 3 does in another place.
struct Rig {
    all: Numbered,
    counters: Counters,
    subscriber: NumberedConn,
    publishers: [NumberedConn; 2],
    now: Time,
}

fn at(counters: &Counters, now: Time) -> At<'_> {
    At {
        id: 0,
        now,
        up_us: 0,
        counters,
    }
}

impl Rig {
    fn new() -> Rig {
        let mut rig = Rig {
            all: Numbered::new(SEED, Arc::default()),
            counters: Counters::default(),
            subscriber: NumberedConn::default(),
            publishers: Default::default(),
            now: Time(5 * MS),
        };
        let at = at(&rig.counters, rig.now);
        rig.all.ready(&mut rig.subscriber, 1, true, &at);
        for (uid, conn) in (2..).zip(&mut rig.publishers) {
            conn.uid = uid;
        }
        rig
    }

    fn publish(&mut self, publisher: usize, messages: u32) {
        let at = at(&self.counters, self.now);
        let conn = &mut self.publishers[publisher - 2];
        self.all.sending(conn, messages, &at);
    }

    fn receive(&mut self, bytes: &[u8], retained: bool) {
        let at = at(&self.counters, self.now);
        self.all.begins(&mut self.subscriber, retained);
        for piece in bytes.chunks(5) {
            self.all.payload(&mut self.subscriber, piece);
        }
        self.all.ended(&mut self.subscriber, true, &at);
    }

    fn arrive(&mut self, publisher: u32, numbers: &[u32]) {
        for number in numbers {
            let tag = format!("#000000ab.{publisher:08x}.{number:08x}.hello");
            self.receive(tag.as_bytes(), false);
        }
    }

    /// Nothing more is sent, and the subscriber's connection ends so much later.
    fn end(&mut self, ms: u64, why: Closed) -> Tally {
        self.all.traffic(Traffic::Off, self.now);
        self.now = Time(self.now.0 + ms * MS);
        let at = at(&self.counters, self.now);
        self.all.closed(&mut self.subscriber, why, &at);
        assert_eq!((self.all.pairs, self.all.gaps), (0, 0));
        self.counters.read()
    }
}

#[test]
fn what_is_lost_late_or_repeated_is_counted_for_each_publisher() {
    let mut rig = Rig::new();
    rig.now = Time(9 * MS);
    rig.publish(2, 10);
    rig.publish(3, 4);
    rig.arrive(2, &[0, 1, 4, 3, 3, 4]);
    rig.arrive(3, &[1, 0]);
    rig.arrive(2, &[7, 6]);
    let mqtt = rig.end(500, Closed::ByUs).mqtt;
    assert_eq!((mqtt.checked, mqtt.heard, mqtt.lossy), (1, 1, 1));
    assert_eq!((mqtt.arrived, mqtt.repeated, mqtt.out_of_order), (8, 2, 3));
    assert_eq!(
        (mqtt.lost, mqtt.missing),
        (2, 4),
        "2 and 5; 8 and 9, and of the other one 2 and 3"
    );
}

#[test]
fn only_what_was_owed_can_be_lost() {
    // Whoever had begun before the subscription owes what comes after the first message that arrives.
    let mut rig = Rig::new();
    rig.now = Time(5 * MS);
    rig.publish(2, 9);
    rig.arrive(2, &[6, 7, 8]);
    assert_eq!(rig.end(500, Closed::ByUs).mqtt.lost, 0);
    let mut rig = Rig::new();
    rig.now = Time(7 * MS);
    rig.publish(2, 9);
    rig.arrive(2, &[6, 7, 8]);
    assert_eq!(rig.end(500, Closed::ByUs).mqtt.lost, 6);
    // What may still be under way, or was not for a connection that is lost, is not missing.
    for (ms, why, missing) in [
        (500, Closed::ByUs, 7),
        (10, Closed::ByUs, 0),
        (500, Closed::ByPeer, 0),
    ] {
        let mut rig = Rig::new();
        rig.publish(2, 9);
        rig.arrive(2, &[0, 1]);
        assert_eq!(rig.end(ms, why).mqtt.missing, missing);
    }
    // Nor what a connection was about to send when it was lost.
    let mut rig = Rig::new();
    rig.publish(2, 9);
    rig.arrive(2, &[0, 1]);
    let at = at(&rig.counters, rig.now);
    rig.all
        .closed(&mut rig.publishers[0], Closed::ResetByPeer, &at);
    assert_eq!(rig.end(500, Closed::ByUs).mqtt.missing, 0);
}

#[test]
fn messages_of_others_and_retained_ones_do_not_count() {
    let mut rig = Rig::new();
    for other in [
        "",
        "#000000ab.00000002.0000000",
        "#000000ac.00000002.00000000.",
        "#000000ab.00000002.0000000g.",
        "#000000ab,00000002.00000000.",
        "000000ab.00000002.00000000.x",
    ] {
        rig.receive(other.as_bytes(), false);
    }
    rig.receive(b"#000000ab.00000002.00000000.", true);
    let mqtt = rig.end(500, Closed::ByUs).mqtt;
    assert_eq!((mqtt.heard, mqtt.arrived, mqtt.repeated), (0, 0, 0));
}

#[test]
fn a_connection_of_one_publisher_takes_56_bytes() {
    assert_eq!(size_of::<NumberedConn>(), 56);
}

proptest! {
    /// Whatever arrives in whatever order, each number is in order, late, repeated or lost.
    #[test]
    fn numbers_add_up(numbers in prop::collection::vec(0u32..40, 0..80)) {
        let (mut kept, mut gaps) = (Numbers { next: 0, gaps: None }, 0);
        let mut seen = BTreeSet::new();
        for number in numbers {
            let is = kept.take(number, &mut gaps);
            let expected = match (seen.contains(&number), seen.range(number..).next()) {
                (true, _) => Is::Repeated,
                (false, None) => Is::InOrder,
                (false, Some(_)) => Is::Late,
            };
            prop_assert_eq!(is, expected);
            seen.insert(number);
            let end = seen.last().map_or(0, |last| last + 1);
            prop_assert_eq!(kept.lost(), u64::from(end) - seen.len() as u64);
            prop_assert_eq!(kept.gaps.as_ref().map_or(0, |all| all.len()), gaps as usize);
        }
    }
}
