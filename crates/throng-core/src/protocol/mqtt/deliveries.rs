//! Messages with numbers: which of those that were published arrive at the subscriptions of the same run.
//!
//! Each message begins with a tag: the run, the connection that publishes it, and its number on that connection. A
//! subscriber keeps, of each publisher that it hears of, the numbers that are missing. A connection publishes to one topic,
//! so a subscription to it is owed all of its messages from the first one on that arrives.

use crate::behaviour::{At, Traffic};
use crate::stats::Closed;
use crate::time::Time;
use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// A tag: `#`, and the run, the publisher and the number as eight hexadecimal digits each, with a full stop behind each.
pub(super) const TAG: usize = 1 + 3 * 9;
/// Publishers that a worker keeps numbers of, over all of its subscribers: some 100 MiB.
const MOST_PAIRS: u32 = 4 << 20;
/// Gaps in numbers that a worker keeps.
const MOST_GAPS: u32 = 1 << 20;
/// What has not arrived this long after the last message was sent is missing. The run waits longer.
const SETTLED_NS: u64 = 400_000_000;

/// Keeps what arrives; `()` where messages have no numbers, which costs nothing.
pub trait Deliveries: Debug + Send + 'static {
    /// What is kept for each connection.
    type Conn: Debug + Default + Send;

    /// The subscriptions of connection `uid` were granted, if it has any, and it may send.
    fn ready(&mut self, _: &mut Self::Conn, _uid: u64, _subscribed: bool, _: &At) {}

    /// A message begins. One that the server had `retained` is not owed to anybody.
    #[inline]
    fn begins(&mut self, _: &mut Self::Conn, _retained: bool) {}

    /// Bytes of its payload.
    #[inline]
    fn payload(&mut self, _: &mut Self::Conn, _: &[u8]) {}

    /// It has ended. `kept` is whether its QoS is 1 or 2.
    #[inline]
    fn ended(&mut self, _: &mut Self::Conn, _kept: bool, _: &At) {}

    /// How many messages the connection has begun.
    #[inline]
    fn begun(&self, _: &Self::Conn) -> u32 {
        0
    }

    /// This many messages are begun.
    #[inline]
    fn sending(&mut self, _: &mut Self::Conn, _messages: u32, _: &At) {}

    /// Whether messages may be sent.
    fn traffic(&mut self, _: Traffic, _: Time) {}

    /// The connection is gone.
    fn closed(&mut self, _: &mut Self::Conn, _: Closed, _: &At) {}
}

impl Deliveries for () {
    type Conn = ();
}

/// How many messages each connection of the run has begun, and when the first one. Written by the worker that has the
/// connection, read by others once nothing is sent any more.
#[derive(Debug)]
pub struct Published(Box<[OnceLock<Box<[Of]>>]>);

#[derive(Debug, Default)]
struct Of {
    /// Milliseconds since the run began, and 1; 0 for none.
    since_ms: AtomicU32,
    messages: AtomicU32,
}

/// Connections whose numbers share an allocation.
const CHUNK: usize = 4096;
/// Connections that are kept; messages of others are not checked.
const MOST_PUBLISHERS: usize = 64 << 20;

impl Default for Published {
    fn default() -> Published {
        Published(
            (0..MOST_PUBLISHERS / CHUNK)
                .map(|_| OnceLock::new())
                .collect(),
        )
    }
}

impl Published {
    fn of(&self, uid: u32) -> Option<&Of> {
        let chunk = self.0.get(uid as usize / CHUNK)?;
        let chunk = chunk.get_or_init(|| (0..CHUNK).map(|_| Of::default()).collect());
        // Neighbours belong to different workers, so they are put into different cache lines.
        let at = uid as usize % CHUNK;
        chunk.get((at % 16) * (CHUNK / 16) + at / 16)
    }
}

/// Checks the numbers of messages.
#[derive(Debug)]
pub struct Numbered {
    run: u32,
    published: Arc<Published>,
    /// When the last message was sent.
    off_at: Option<Time>,
    pairs: u32,
    gaps: u32,
}

impl Numbered {
    /// Checks messages of the run with this seed.
    pub fn new(seed: u64, published: Arc<Published>) -> Numbered {
        Numbered {
            run: seed as u32,
            published,
            off_at: None,
            pairs: 0,
            gaps: 0,
        }
    }
}

/// What is kept for each connection: 56 bytes.
#[derive(Debug, Default)]
pub struct NumberedConn {
    heard: Heard,
    uid: u32,
    begun: u32,
    /// When its subscriptions were granted: milliseconds since the run began, and 1; 0 if it has none.
    granted_ms: u32,
    tag: Tag,
    /// Whether messages of QoS 1 or 2 arrived.
    kept: bool,
}

/// The publishers of which anything arrived.
// A box is a third of what is in it, and most connections have none.
#[allow(clippy::box_collection)]
#[derive(Debug, Default)]
enum Heard {
    #[default]
    None,
    One(u32, Numbers),
    Many(Box<HashMap<u32, Numbers>>),
}

impl Heard {
    fn get(&mut self, publisher: u32) -> Option<&mut Numbers> {
        match self {
            Heard::One(of, numbers) if *of == publisher => Some(numbers),
            Heard::None | Heard::One(..) => None,
            Heard::Many(all) => all.get_mut(&publisher),
        }
    }

    fn insert(&mut self, publisher: u32, numbers: Numbers) {
        *self = match std::mem::take(self) {
            Heard::None => Heard::One(publisher, numbers),
            Heard::One(first, its) => Heard::Many(Box::new(HashMap::from([
                (first, its),
                (publisher, numbers),
            ]))),
            Heard::Many(mut all) => {
                all.insert(publisher, numbers);
                Heard::Many(all)
            }
        };
    }

    fn drain(&mut self) -> impl Iterator<Item = (u32, Numbers)> {
        let (one, many) = match std::mem::take(self) {
            Heard::None => (None, None),
            Heard::One(of, numbers) => (Some((of, numbers)), None),
            Heard::Many(all) => (None, Some(*all)),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

/// What arrived of one publisher: 16 bytes.
// As above.
#[allow(clippy::box_collection)]
#[derive(Debug)]
struct Numbers {
    /// The number that is expected next.
    next: u32,
    /// Those before it that have not arrived, as ranges without their ends, in order.
    gaps: Option<Box<Vec<(u32, u32)>>>,
}

/// What a number means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Is {
    InOrder,
    Late,
    Repeated,
}

impl Numbers {
    /// Takes a number. `gaps` is how many gaps the worker keeps.
    fn take(&mut self, number: u32, gaps: &mut u32) -> Is {
        if number >= self.next {
            if number > self.next {
                self.gaps.get_or_insert_default().push((self.next, number));
                *gaps += 1;
            }
            self.next = number.saturating_add(1);
            return Is::InOrder;
        }
        let Some(all) = &mut self.gaps else {
            return Is::Repeated;
        };
        let at = all.partition_point(|(_, end)| *end <= number);
        let Some((from, end)) = all.get(at).copied().filter(|(from, _)| *from <= number) else {
            return Is::Repeated;
        };
        match (from == number, number + 1 == end) {
            (true, true) => {
                all.remove(at);
                *gaps -= 1;
            }
            (true, false) => all[at].0 += 1,
            (false, true) => all[at].1 -= 1,
            (false, false) => {
                all[at].1 = number;
                all.insert(at + 1, (number + 1, end));
                *gaps += 1;
            }
        }
        Is::Late
    }

    fn lost(&self) -> u64 {
        let gaps = self.gaps.iter().flat_map(|all| all.iter());
        gaps.map(|(from, end)| u64::from(end - from)).sum()
    }
}

/// The tag of the message that arrives, which may be cut anywhere.
#[derive(Clone, Copy, Debug, Default)]
struct Tag {
    /// How much of it has arrived; [`NO_TAG`] if it is none.
    read: u8,
    run: u32,
    publisher: u32,
    number: u32,
}

const NO_TAG: u8 = u8::MAX;

impl Tag {
    fn read(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let read = usize::from(self.read);
            if read >= TAG {
                return;
            }
            let number = match read.saturating_sub(1) / 9 {
                0 => &mut self.run,
                1 => &mut self.publisher,
                _ => &mut self.number,
            };
            let fits = match (read, read % 9) {
                (0, _) => *byte == b'#',
                (_, 0) => *byte == b'.',
                _ => match (*byte as char).to_digit(16) {
                    Some(digit) => {
                        *number = *number << 4 | digit;
                        true
                    }
                    None => false,
                },
            };
            self.read = if fits { self.read + 1 } else { NO_TAG };
        }
    }
}

fn ms(now: Time) -> u32 {
    u32::try_from(now.0 / 1_000_000 + 1).unwrap_or(u32::MAX)
}

impl Deliveries for Numbered {
    type Conn = NumberedConn;

    fn ready(&mut self, conn: &mut NumberedConn, uid: u64, subscribed: bool, at: &At) {
        conn.uid = uid as u32;
        if subscribed {
            conn.granted_ms = ms(at.now);
            at.counters.mqtt.checked.add(1);
        }
    }

    fn begins(&mut self, conn: &mut NumberedConn, retained: bool) {
        conn.tag = Tag {
            read: if retained { NO_TAG } else { 0 },
            ..Tag::default()
        };
    }

    fn payload(&mut self, conn: &mut NumberedConn, bytes: &[u8]) {
        conn.tag.read(bytes);
    }

    fn ended(&mut self, conn: &mut NumberedConn, kept: bool, at: &At) {
        let tag = conn.tag;
        if usize::from(tag.read) != TAG || tag.run != self.run || conn.granted_ms == 0 {
            return;
        }
        let mqtt = &at.counters.mqtt;
        if matches!(conn.heard, Heard::None) {
            mqtt.heard.add(1);
        }
        conn.kept |= kept;
        let is = match conn.heard.get(tag.publisher) {
            Some(numbers) if self.gaps < MOST_GAPS => numbers.take(tag.number, &mut self.gaps),
            None if self.pairs < MOST_PAIRS => {
                // Whoever began to publish after the subscription owes its first message, too.
                let owes = |of: &Of| of.since_ms.load(Relaxed) > conn.granted_ms;
                let next = match self.published.of(tag.publisher).is_some_and(owes) {
                    true => 0,
                    false => tag.number,
                };
                let mut numbers = Numbers { next, gaps: None };
                let is = numbers.take(tag.number, &mut self.gaps);
                conn.heard.insert(tag.publisher, numbers);
                self.pairs += 1;
                is
            }
            _ => return mqtt.unchecked.add(1),
        };
        match is {
            Is::InOrder => mqtt.arrived.add(1),
            Is::Late => {
                mqtt.arrived.add(1);
                mqtt.out_of_order.add(1);
            }
            Is::Repeated => mqtt.repeated.add(1),
        }
    }

    #[inline]
    fn begun(&self, conn: &NumberedConn) -> u32 {
        conn.begun
    }

    fn sending(&mut self, conn: &mut NumberedConn, messages: u32, at: &At) {
        if let Some(of) = self.published.of(conn.uid) {
            if conn.begun == 0 && messages > 0 {
                of.since_ms.store(ms(at.now), Relaxed);
            }
            conn.begun = conn.begun.wrapping_add(messages);
            of.messages.store(conn.begun, Relaxed);
        }
    }

    fn traffic(&mut self, traffic: Traffic, now: Time) {
        self.off_at = (traffic == Traffic::Off).then_some(now);
    }

    fn closed(&mut self, conn: &mut NumberedConn, why: Closed, at: &At) {
        let mqtt = &at.counters.mqtt;
        if why != Closed::ByUs
            && let Some(of) = self.published.of(conn.uid)
        {
            // Nobody knows which of its last messages left.
            of.messages.store(0, Relaxed);
        }
        let settled = self
            .off_at
            .is_some_and(|off| at.now.0 >= off.0 + SETTLED_NS);
        let (mut lost, mut missing) = (0, 0);
        for (publisher, numbers) in conn.heard.drain() {
            self.pairs -= 1;
            self.gaps -= numbers.gaps.as_ref().map_or(0, |all| all.len() as u32);
            lost += numbers.lost();
            if settled && why == Closed::ByUs {
                let of = self.published.of(publisher);
                let all = of.map_or(0, |of| of.messages.load(Relaxed));
                missing += u64::from(all.saturating_sub(numbers.next));
            }
        }
        mqtt.lost.add(lost);
        mqtt.missing.add(missing);
        mqtt.lossy.add((conn.kept && lost + missing > 0).into());
        *conn = NumberedConn::default();
    }
}

#[cfg(test)]
mod tests;
