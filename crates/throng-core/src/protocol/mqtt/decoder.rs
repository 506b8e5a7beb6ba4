//! Received bytes as packets (MQTT 5.0, section 2; 3.1.1 has the same form).
//!
//! A message (PUBLISH) is passed on as it arrives, and nothing of it is kept. Other packets are short: one that does not
//! arrive at once waits in the worker's [`Partials`].

use super::violation::Violation;
use crate::partials::{Partials, Slot};
use std::borrow::Cow;

/// The longest packet other than a message, in bytes, without its length.
pub const LONGEST: u32 = 64 * 1024;

/// The topic on which a server of throng sends back what is published.
pub const ECHO: &[u8] = b"$SYS/echo";

/// The type of a packet (section 2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Packet {
    /// A client connects.
    Connect = 1,
    /// The answer.
    Connack = 2,
    /// A message.
    Publish = 3,
    /// A message of QoS 1 was received.
    Puback = 4,
    /// A message of QoS 2 was received.
    Pubrec = 5,
    /// It is not sent again.
    Pubrel = 6,
    /// So it need not be remembered.
    Pubcomp = 7,
    /// A client subscribes.
    Subscribe = 8,
    /// The answer.
    Suback = 9,
    /// A client unsubscribes.
    Unsubscribe = 10,
    /// The answer.
    Unsuback = 11,
    /// A ping.
    Pingreq = 12,
    /// Its answer.
    Pingresp = 13,
    /// One side leaves.
    Disconnect = 14,
    /// Authentication beyond a password.
    Auth = 15,
}

impl Packet {
    const ALL: [Packet; 15] = [
        Packet::Connect,
        Packet::Connack,
        Packet::Publish,
        Packet::Puback,
        Packet::Pubrec,
        Packet::Pubrel,
        Packet::Pubcomp,
        Packet::Subscribe,
        Packet::Suback,
        Packet::Unsubscribe,
        Packet::Unsuback,
        Packet::Pingreq,
        Packet::Pingresp,
        Packet::Disconnect,
        Packet::Auth,
    ];

    /// The packet type in a first byte, if the flags beside it are right.
    fn of(first: u8) -> Result<Packet, Violation> {
        let at = usize::from(first >> 4);
        let packet = at.checked_sub(1).and_then(|at| Packet::ALL.get(at));
        let packet = *packet.ok_or(Violation::PacketType)?;
        let flags = first & 0x0f;
        match packet {
            Packet::Publish => match (flags >> 1 & 3, flags & DUP) {
                (3, _) | (0, DUP) => Err(Violation::Qos),
                _ => Ok(packet),
            },
            _ if flags == packet.flags() => Ok(packet),
            _ => Err(Violation::Flags),
        }
    }

    /// The flags of a packet other than a message (section 2.1.3).
    const fn flags(self) -> u8 {
        match self {
            Packet::Pubrel | Packet::Subscribe | Packet::Unsubscribe => 2,
            _ => 0,
        }
    }

    /// The first byte of such a packet.
    pub const fn first(self) -> u8 {
        (self as u8) << 4 | self.flags()
    }
}

const DUP: u8 = 8;

/// What is known of a message before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Publish {
    /// The QoS: 0, 1 or 2.
    pub qos: u8,
    /// Whether it may have been sent before.
    pub dup: bool,
    /// Whether the server had retained it.
    pub retain: bool,
    /// Its packet identifier; 0 with QoS 0.
    pub id: u16,
    /// Whether its topic is [`ECHO`].
    pub echo: bool,
    /// The bytes of its payload that have not arrived.
    pub payload: u32,
}

/// Something that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A message begins.
    Publish(Publish),
    /// Bytes of its payload.
    Payload(&'a [u8]),
    /// It has ended.
    Published(Publish),
    /// A whole packet of another type: what is in it after its length.
    Packet(Packet, Cow<'a, [u8]>),
}

/// What the next byte belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Type,
    Length,
    Body,
    TopicLength,
    Topic,
    Id,
    PropertyLength,
    Properties,
    Payload,
    Over,
}

/// The state of a connection between slices of received bytes: 20 bytes, and no buffer. A packet may be split anywhere.
#[derive(Debug, Default)]
pub struct Decoder {
    part: Slot,
    /// The bytes of the packet that have not arrived.
    left: u32,
    /// The bytes of the topic, or of the properties, that have not arrived; while a length arrives: what is known of it.
    field: u32,
    /// The length of the topic, then the packet identifier.
    number: u16,
    /// How many bytes of a number have arrived.
    digits: u8,
    first: u8,
    stage: Stage,
    /// Whether the topic is [`ECHO`], as far as it has arrived.
    echo: bool,
}

impl Decoder {
    /// Reads the next event from `input`; `None` once all is read. `v5` says whether properties are expected.
    ///
    /// # Errors
    /// What arrived is not MQTT; nothing more can be read from the connection.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        v5: bool,
        partials: &mut Partials,
    ) -> Result<Option<Event<'a>>, Violation> {
        loop {
            match self.stage {
                Stage::Over => return Ok(None),
                Stage::Body => return Ok(self.body(input, partials)),
                Stage::Payload if self.left == 0 => {
                    let publish = self.publish();
                    self.stage = Stage::Type;
                    return Ok(Some(Event::Published(publish)));
                }
                _ if input.is_empty() => return Ok(None),
                Stage::Payload => {
                    let (piece, rest) = input.split_at(input.len().min(self.left as usize));
                    *input = rest;
                    self.left -= piece.len() as u32;
                    return Ok(Some(Event::Payload(piece)));
                }
                Stage::Topic | Stage::Properties => {
                    let (piece, rest) = input.split_at(input.len().min(self.field as usize));
                    *input = rest;
                    if self.stage == Stage::Topic {
                        let at = (u32::from(self.number) - self.field) as usize;
                        self.echo &= ECHO.get(at..at + piece.len()) == Some(piece);
                    }
                    self.field -= piece.len() as u32;
                    self.left -= piece.len() as u32;
                }
                _ => {
                    let (byte, rest) = (input[0], &input[1..]);
                    *input = rest;
                    self.number(byte)?;
                }
            }
            if let Some(publish) = self.go_on(v5)? {
                return Ok(Some(Event::Publish(publish)));
            }
        }
    }

    /// The next byte of a number.
    fn number(&mut self, byte: u8) -> Result<(), Violation> {
        match self.stage {
            Stage::Type => {
                Packet::of(byte)?;
                self.first = byte;
                self.field = 0;
                self.digits = 0;
                self.stage = Stage::Length;
                return Ok(());
            }
            Stage::Length => {}
            _ => self.left = self.left.checked_sub(1).ok_or(Violation::Fields)?,
        }
        match self.stage {
            Stage::Length | Stage::PropertyLength => {
                self.field |= u32::from(byte & 0x7f) << (7 * self.digits);
                let more = byte & 0x80 != 0;
                self.digits = if more { self.digits + 1 } else { DONE };
                if self.digits == 4 {
                    return Err(Violation::Length);
                }
            }
            _ => {
                self.number = self.number << 8 | u16::from(byte);
                self.digits = if self.digits == 0 { 1 } else { DONE };
            }
        }
        Ok(())
    }

    /// Goes on to the next stages whose bytes have not all arrived. Returns a message whose payload comes next.
    fn go_on(&mut self, v5: bool) -> Result<Option<Publish>, Violation> {
        let complete = match self.stage {
            Stage::Topic | Stage::Properties => self.field == 0,
            _ => self.digits == DONE,
        };
        if !complete {
            return Ok(None);
        }
        self.digits = 0;
        let next = match self.stage {
            Stage::Length => {
                self.left = self.field;
                match Packet::of(self.first)? {
                    Packet::Publish => {
                        self.number = 0;
                        Stage::TopicLength
                    }
                    _ if self.left > LONGEST => return Err(Violation::LongPacket),
                    _ => Stage::Body,
                }
            }
            Stage::TopicLength if self.number == 0 => return Err(Violation::NoTopic),
            Stage::TopicLength => {
                self.field = self.number.into();
                self.echo = usize::from(self.number) == ECHO.len();
                Stage::Topic
            }
            Stage::Topic if self.qos() > 0 => {
                self.number = 0;
                Stage::Id
            }
            Stage::Id if self.number == 0 => return Err(Violation::ZeroId),
            Stage::Topic | Stage::Id if v5 => {
                self.field = 0;
                Stage::PropertyLength
            }
            Stage::PropertyLength if self.field > 0 => Stage::Properties,
            _ => Stage::Payload,
        };
        self.stage = next;
        if matches!(next, Stage::Topic | Stage::Properties) && self.field > self.left {
            return Err(Violation::Fields);
        }
        Ok((next == Stage::Payload).then(|| self.publish()))
    }

    fn qos(&self) -> u8 {
        self.first >> 1 & 3
    }

    fn publish(&self) -> Publish {
        let qos = self.qos();
        Publish {
            qos,
            dup: self.first & DUP != 0,
            retain: self.first & 1 != 0,
            id: if qos > 0 { self.number } else { 0 },
            echo: self.echo,
            payload: self.left,
        }
    }

    /// A packet other than a message, once it is complete.
    fn body<'a>(&mut self, input: &mut &'a [u8], partials: &mut Partials) -> Option<Event<'a>> {
        let (piece, rest) = input.split_at(input.len().min(self.left as usize));
        *input = rest;
        self.left -= piece.len() as u32;
        if self.left > 0 {
            partials.append(&mut self.part, piece);
            return None;
        }
        self.stage = Stage::Type;
        let packet = Packet::of(self.first).ok()?;
        let body = match self.part.is_empty() {
            true => Cow::Borrowed(piece),
            false => {
                partials.append(&mut self.part, piece);
                Cow::Owned(partials.take(&mut self.part))
            }
        };
        Some(Event::Packet(packet, body))
    }

    /// Nothing more is read.
    pub fn end(&mut self, partials: &mut Partials) {
        partials.drop_at(&mut self.part);
        self.stage = Stage::Over;
    }

    /// The connection is gone.
    pub fn reset(&mut self, partials: &mut Partials) {
        partials.drop_at(&mut self.part);
        *self = Decoder::default();
    }
}

/// The value of `digits` once a number is complete.
const DONE: u8 = u8::MAX;

#[cfg(test)]
mod tests;
