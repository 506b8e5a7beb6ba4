//! Renders the parts that differ from message to message.

use super::dice::Dice;
use super::frame::{Head, mask};
use super::regex::Regex;
use std::num::NonZeroU64;

/// The sender, and the time of sending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Speaker {
    /// The connection's number, which grows with each new connection.
    pub uid: u64,
    /// Microseconds since 1970, for [`Part::Marker`](super::Part::Marker).
    pub unix_us: u64,
    /// The id of the next message ([`Part::MessageId`](super::Part::MessageId)). Messages that share a portion have
    /// consecutive ids.
    pub message_id: u16,
    /// How many messages the connection sent before this one ([`Part::Number`](super::Part::Number)), where they are numbered.
    pub number: u32,
}

/// Something to render.
#[derive(Debug)]
pub(super) enum Op {
    Bytes(Box<[u8]>),
    Uid(Box<[NonZeroU64]>),
    Pointer(Box<[NonZeroU64]>),
    /// A random string; never empty with `some`.
    Random {
        regex: Box<Regex>,
        some: bool,
    },
    /// A string drawn each time from the script's seed, the connection's number and the place, so that it is the same
    /// each time.
    OfConnection {
        regex: Box<Regex>,
        place: u64,
        some: bool,
    },
    Marker,
    MessageId,
    Number,
    /// A frame around `body`, with an estimate of its size in bytes.
    Frame {
        head: Head,
        about: u64,
        body: Box<[Op]>,
    },
}

const MARKER: &[u8; 13] = b"TCPKaliMsgTS-";
const MARKER_BYTES: u64 = MARKER.len() as u64 + 16 + 1;

const NUMBER_BYTES: u64 = 1 + 3 * 9;

/// The assumed number of digits of a connection's number.
const DIGITS_OF_UID: u64 = 6;

impl Op {
    /// Excludes an empty result.
    pub(super) fn never_empty(&mut self) {
        match self {
            Op::Random { some, .. } | Op::OfConnection { some, .. } => *some = true,
            _ => {}
        }
    }

    pub(super) fn shortest(&self) -> u64 {
        match self {
            Op::Uid(_) | Op::Pointer(_) => 1,
            Op::Random { regex, .. } | Op::OfConnection { regex, .. } => regex.shortest(),
            Op::Frame { head, .. } => head.bytes(0) as u64,
            op => op.longest(),
        }
    }

    pub(super) fn longest(&self) -> u64 {
        match self {
            Op::Bytes(bytes) => bytes.len() as u64,
            Op::Uid(_) | Op::Pointer(_) => 20,
            Op::Random { regex, .. } | Op::OfConnection { regex, .. } => regex.longest(),
            Op::Marker => MARKER_BYTES,
            Op::MessageId => 2,
            Op::Number => NUMBER_BYTES,
            Op::Frame { head, body, .. } => {
                let payload = body.iter().map(Op::longest).sum();
                head.bytes(payload) as u64 + payload
            }
        }
    }

    /// Its mean size in bytes, estimated.
    pub(super) fn mean(&self) -> f64 {
        match self {
            Op::Uid(modulo) => modulo
                .iter()
                .map(digits_below)
                .min()
                .unwrap_or(DIGITS_OF_UID) as f64,
            Op::Pointer(modulo) => modulo.iter().map(digits_below).min().unwrap_or(14) as f64,
            Op::Random { regex, .. } | Op::OfConnection { regex, .. } => regex.mean(),
            Op::Frame { head, body, .. } => {
                let payload: f64 = body.iter().map(Op::mean).sum();
                head.bytes(payload as u64) as f64 + payload
            }
            op => op.longest() as f64,
        }
    }
}

fn digits_below(bound: &NonZeroU64) -> u64 {
    (bound.get() - 1).checked_ilog10().unwrap_or(0) as u64 + 1
}

/// The input of ops, in addition to dice.
pub(super) struct Context {
    pub(super) seed: u64,
    pub(super) speaker: Speaker,
}

impl Context {
    /// Appends the output of `ops` to `out`.
    pub(super) fn render(&self, ops: &[Op], dice: &mut Dice, out: &mut Vec<u8>) {
        for op in ops {
            match op {
                Op::Bytes(bytes) => out.extend_from_slice(bytes),
                Op::Uid(_) | Op::Pointer(_) => {
                    let mut digits = [0; 20];
                    out.extend_from_slice(self.number(op, &mut digits));
                }
                Op::Random { regex, some: false } => regex.draw(dice, out),
                Op::Random { regex, some: true } => regex.draw_some(dice, out),
                Op::OfConnection { regex, place, some } => {
                    let mut dice = Dice::of(self.seed, &[self.speaker.uid, *place]);
                    if *some {
                        regex.draw_some(&mut dice, out);
                    } else {
                        regex.draw(&mut dice, out);
                    }
                }
                Op::Marker => {
                    out.extend_from_slice(MARKER);
                    out.extend_from_slice(&hex(self.speaker.unix_us));
                    out.push(b'.');
                }
                Op::MessageId => out.extend_from_slice(&self.speaker.message_id.to_be_bytes()),
                Op::Number => {
                    let Speaker { uid, number, .. } = self.speaker;
                    out.push(b'#');
                    for n in [self.seed as u32, uid as u32, number] {
                        out.extend_from_slice(&hex(n.into())[8..]);
                        out.push(b'.');
                    }
                }
                Op::Frame { head, about, body } => self.frame(*head, *about, body, dice, out),
            }
        }
    }

    fn frame(&self, head: Head, about: u64, body: &[Op], dice: &mut Dice, out: &mut Vec<u8>) {
        let at = out.len();
        let room = head.bytes(about);
        out.resize(at + room, 0);
        self.render(body, dice, out);
        let payload = out.len() - at - room;
        let key = match head.is_masked() {
            true => dice.mask(),
            false => [0; 4],
        };
        let (header, n) = head.encode(payload as u64, key);
        // The payload's size determines the header's. It seldom differs from the estimate.
        if n > room {
            out.resize(at + n + payload, 0);
        }
        if n != room {
            out.copy_within(at + room..at + room + payload, at + n);
            out.truncate(at + n + payload);
        }
        out[at..at + n].copy_from_slice(&header[..n]);
        if head.is_masked() {
            mask(&mut out[at + n..], key);
        }
    }

    /// The output of a number's op, written to the end of `digits`.
    fn number<'a>(&self, op: &Op, digits: &'a mut [u8; 20]) -> &'a [u8] {
        let uid = self.speaker.uid;
        match op {
            Op::Pointer(modulo) if modulo.is_empty() => {
                digits[18 - 14..18].copy_from_slice(b"0x000000000000");
                let hex = hex(pointer(uid));
                digits[18 - 12..18].copy_from_slice(&hex[4..]);
                &digits[4..18]
            }
            Op::Pointer(modulo) => decimal(remainder(pointer(uid), modulo), digits),
            Op::Uid(modulo) => decimal(remainder(uid, modulo), digits),
            _ => &[],
        }
    }
}

/// An address such as a connection might have: 12 hexadecimal digits, different for 2^40 connections.
fn pointer(uid: u64) -> u64 {
    0x5500_0000_0000 + (uid % (1 << 40)) * 16
}

fn remainder(number: u64, modulo: &[NonZeroU64]) -> u64 {
    modulo.iter().fold(number, |n, m| n % *m)
}

fn decimal(mut n: u64, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return &digits[at..];
        }
    }
}

fn hex(n: u64) -> [u8; 16] {
    std::array::from_fn(|i| b"0123456789abcdef"[(n >> (60 - 4 * i) & 15) as usize])
}
