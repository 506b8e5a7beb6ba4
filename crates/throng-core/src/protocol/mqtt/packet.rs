//! What is in packets other than messages.

use super::decoder::Packet;
use super::reason::Reason;
use super::violation::Violation;

/// The protocol's name (MQTT 5.0, section 3.1.2.1).
pub const NAME: &[u8] = b"MQTT";
/// The protocol level of MQTT 3.1.1.
pub const LEVEL_3_1_1: u8 = 4;
/// That of MQTT 5.0.
pub const LEVEL_5: u8 = 5;

/// Flags of CONNECT (section 3.1.2.3).
pub mod flags {
    /// The session starts anew.
    pub const CLEAN: u8 = 0x02;
    /// There is a will.
    pub const WILL: u8 = 0x04;
    /// The lowest bit of the will's QoS.
    pub const WILL_QOS_SHIFT: u8 = 3;
    /// The will is to be retained.
    pub const WILL_RETAIN: u8 = 0x20;
    /// There is a password.
    pub const PASSWORD: u8 = 0x40;
    /// There is a user name.
    pub const USER_NAME: u8 = 0x80;
}

/// Identifiers of properties (section 2.2.2.2).
pub mod property {
    /// How long a session is kept after its connection, in seconds.
    pub const SESSION_EXPIRY: u8 = 0x11;
    /// The keep alive that the server decides on, in seconds.
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    /// How many messages of QoS 1 and 2 may be under way.
    pub const RECEIVE_MAXIMUM: u8 = 0x21;
    /// The greatest QoS that the server supports.
    pub const MAXIMUM_QOS: u8 = 0x24;
    /// Whether the server retains messages.
    pub const RETAIN_AVAILABLE: u8 = 0x25;
}

/// Writes a first byte, and the number of bytes that follow.
pub fn write_head(first: u8, length: usize, out: &mut Vec<u8>) {
    out.push(first);
    let mut left = length;
    while left > 0x7f {
        out.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

/// The fields of a packet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn bytes(&mut self, n: usize) -> Result<&'a [u8], Violation> {
        let (field, rest) = self.0.split_at_checked(n).ok_or(Violation::Fields)?;
        self.0 = rest;
        Ok(field)
    }

    fn byte(&mut self) -> Result<u8, Violation> {
        Ok(self.bytes(1)?[0])
    }

    fn number(&mut self) -> Result<u16, Violation> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn id(&mut self) -> Result<u16, Violation> {
        match self.number()? {
            0 => Err(Violation::ZeroId),
            id => Ok(id),
        }
    }

    fn string(&mut self) -> Result<&'a [u8], Violation> {
        let length = self.number()?;
        self.bytes(length.into())
    }

    fn varint(&mut self) -> Result<u32, Violation> {
        let mut n = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte()?;
            n |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Violation::Length)
    }

    /// Reads the properties of the packet, and passes those that are numbers to `each`.
    fn properties(&mut self, mut each: impl FnMut(u8, u32)) -> Result<(), Violation> {
        let length = self.varint()? as usize;
        let mut all = Fields(self.bytes(length)?);
        while !all.0.is_empty() {
            let name = all.byte()?;
            match name {
                // One byte.
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => {
                    each(name, all.byte()?.into());
                }
                // Two bytes.
                0x13 | 0x21 | 0x22 | 0x23 => each(name, all.number()?.into()),
                // Four bytes.
                0x02 | 0x11 | 0x18 | 0x27 => {
                    let bytes = all.bytes(4)?;
                    each(
                        name,
                        u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
                    );
                }
                0x0b => each(name, all.varint()?),
                // A string, or as long as it says.
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                    all.string()?;
                }
                // Two strings.
                0x26 => {
                    all.string()?;
                    all.string()?;
                }
                _ => return Err(Violation::Property),
            }
        }
        Ok(())
    }

    fn end(&self) -> Result<(), Violation> {
        match self.0 {
            [] => Ok(()),
            _ => Err(Violation::Fields),
        }
    }
}

/// The answer to CONNECT (section 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connack {
    /// Whether the server had a session of this client.
    pub session_present: bool,
    /// How it went.
    pub reason: Reason,
    /// How many messages of QoS 1 and 2 may be under way.
    pub receive_maximum: u16,
    /// The keep alive that the server decided on, in seconds; 0 for the client's.
    pub keep_alive: u16,
    /// The greatest QoS that the server supports.
    pub maximum_qos: u8,
    /// Whether the server retains messages.
    pub retains: bool,
}

impl Connack {
    /// Reads one.
    ///
    /// # Errors
    /// It is wrong.
    pub fn read(body: &[u8], v5: bool) -> Result<Connack, Violation> {
        let mut fields = Fields(body);
        let session_present = match fields.byte()? {
            0 => false,
            1 => true,
            _ => return Err(Violation::Flags),
        };
        let code = fields.byte()?;
        let mut connack = Connack {
            session_present,
            reason: match v5 {
                true => Reason::of(code),
                false => Reason::of_return_code(code),
            },
            receive_maximum: u16::MAX,
            keep_alive: 0,
            maximum_qos: 2,
            retains: true,
        };
        // A server that does not speak MQTT 5.0 refuses it with the packet of MQTT 3.1.1.
        if v5 && !(fields.0.is_empty() && code != 0) {
            let mut wrong = false;
            fields.properties(|name, value| match name {
                property::RECEIVE_MAXIMUM => {
                    wrong |= value == 0;
                    connack.receive_maximum = value as u16;
                }
                property::SERVER_KEEP_ALIVE => connack.keep_alive = value as u16,
                property::MAXIMUM_QOS => connack.maximum_qos = value as u8,
                property::RETAIN_AVAILABLE => connack.retains = value != 0,
                _ => {}
            })?;
            if wrong {
                return Err(Violation::Property);
            }
        } else if v5 {
            connack.reason = match code {
                1 => Reason::Version,
                code => Reason::of(code),
            };
        }
        fields.end()?;
        Ok(connack)
    }
}

/// An acknowledgement of a message: PUBACK, PUBREC, PUBREL or PUBCOMP (sections 3.4 to 3.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The message's packet identifier.
    pub id: u16,
    /// The reason code.
    pub code: u8,
}

impl Ack {
    /// Reads one.
    ///
    /// # Errors
    /// It is wrong.
    pub fn read(body: &[u8], v5: bool) -> Result<Ack, Violation> {
        let mut fields = Fields(body);
        let id = fields.id()?;
        let mut code = 0;
        if v5 && !fields.0.is_empty() {
            code = fields.byte()?;
            if !fields.0.is_empty() {
                fields.properties(|_, _| {})?;
            }
        }
        fields.end()?;
        Ok(Ack { id, code })
    }

    /// Writes one that went well. It is the same in both versions.
    pub fn write(packet: Packet, id: u16, out: &mut Vec<u8>) {
        let [high, low] = id.to_be_bytes();
        out.extend_from_slice(&[packet.first(), 2, high, low]);
    }
}

/// The answer to SUBSCRIBE (section 3.9): the packet identifier, and a code for each topic filter.
///
/// # Errors
/// It is wrong.
pub fn suback(body: &[u8], v5: bool) -> Result<(u16, &[u8]), Violation> {
    let mut fields = Fields(body);
    let id = fields.id()?;
    if v5 {
        fields.properties(|_, _| {})?;
    }
    Ok((id, fields.0))
}

/// Why the other side leaves (section 3.14).
///
/// # Errors
/// The packet is wrong.
pub fn disconnect(body: &[u8], v5: bool) -> Result<Reason, Violation> {
    let mut fields = Fields(body);
    let mut reason = Reason::Success;
    if v5 && !fields.0.is_empty() {
        reason = Reason::of(fields.byte()?);
        if !fields.0.is_empty() {
            fields.properties(|_, _| {})?;
        }
    }
    fields.end()?;
    Ok(reason)
}

/// Writes a DISCONNECT with this code; MQTT 3.1.1 has none.
pub fn write_disconnect(code: u8, v5: bool, out: &mut Vec<u8>) {
    match v5 && code != 0 {
        true => out.extend_from_slice(&[Packet::Disconnect.first(), 1, code]),
        false => out.extend_from_slice(&[Packet::Disconnect.first(), 0]),
    }
}

/// What a client asks for when it connects (section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connect {
    /// Whether it speaks MQTT 5.0, not 3.1.1.
    pub v5: bool,
    /// The longest time between two of its packets, in seconds; 0 for any.
    pub keep_alive: u16,
    /// Whether it has no client identifier, and wants a session that is kept.
    pub nameless_session: bool,
}

/// Why a client can't connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// It speaks another version.
    Version,
    /// The packet is wrong.
    Violation(Violation),
}

impl From<Violation> for ConnectError {
    fn from(violation: Violation) -> ConnectError {
        ConnectError::Violation(violation)
    }
}

impl Connect {
    /// Reads one.
    ///
    /// # Errors
    /// It is wrong, or of a version other than 3.1.1 and 5.0.
    pub fn read(body: &[u8]) -> Result<Connect, ConnectError> {
        let mut fields = Fields(body);
        let name = fields.string()?;
        let level = fields.byte()?;
        let v5 = level == LEVEL_5;
        match (name, level) {
            (NAME, LEVEL_3_1_1 | LEVEL_5) => {}
            (NAME | b"MQIsdp", _) => return Err(ConnectError::Version),
            _ => return Err(Violation::NotMqtt.into()),
        }
        let asked = fields.byte()?;
        let keep_alive = fields.number()?;
        if v5 {
            fields.properties(|_, _| {})?;
        }
        let client_id = fields.string()?;
        let will = asked & flags::WILL != 0;
        let will_qos = asked >> flags::WILL_QOS_SHIFT & 3;
        let of_will = asked & (flags::WILL_RETAIN | 3 << flags::WILL_QOS_SHIFT);
        if asked & 1 != 0 || will_qos == 3 || !will && of_will != 0 {
            return Err(Violation::Flags.into());
        }
        if will {
            if v5 {
                fields.properties(|_, _| {})?;
            }
            fields.string()?;
            fields.string()?;
        }
        for flag in [flags::USER_NAME, flags::PASSWORD] {
            if asked & flag != 0 {
                fields.string()?;
            }
        }
        fields.end()?;
        Ok(Connect {
            v5,
            keep_alive,
            nameless_session: !v5 && client_id.is_empty() && asked & flags::CLEAN == 0,
        })
    }
}

/// Reads a SUBSCRIBE or UNSUBSCRIBE (sections 3.8 and 3.10), and calls `each` for every topic filter with the QoS that is
/// asked for, which is 0 for an UNSUBSCRIBE. Returns the packet identifier.
///
/// # Errors
/// It is wrong.
pub fn filters(
    packet: Packet,
    body: &[u8],
    v5: bool,
    mut each: impl FnMut(&[u8], u8),
) -> Result<u16, Violation> {
    let mut fields = Fields(body);
    let id = fields.id()?;
    if v5 {
        fields.properties(|_, _| {})?;
    }
    if fields.0.is_empty() {
        return Err(Violation::Fields);
    }
    while !fields.0.is_empty() {
        let filter = fields.string()?;
        let qos = match packet {
            Packet::Subscribe => fields.byte()? & 3,
            _ => 0,
        };
        if qos == 3 {
            return Err(Violation::Qos);
        }
        each(filter, qos);
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_connack_says_how_it_went_and_what_the_server_allows() {
        let v3 = Connack::read(&[1, 0], false).unwrap();
        assert!(v3.session_present && v3.reason == Reason::Success);
        assert_eq!((v3.receive_maximum, v3.keep_alive), (u16::MAX, 0));
        let refused = Connack::read(&[0, 5], false).unwrap();
        assert_eq!(refused.reason, Reason::NotAuthorized);
        // Receive maximum, keep alive, a string, a user property, QoS, retain.
        let v5 = b"\0\0\x1b\x21\0\x14\x13\0\x1e\x12\0\x02ab\x26\0\x01k\0\x02vv\x24\x01\x25\x00\x22\0\x05";
        let mut body = v5.to_vec();
        body[2] = (body.len() - 3) as u8;
        let v5 = Connack::read(&body, true).unwrap();
        assert_eq!((v5.receive_maximum, v5.keep_alive), (20, 30));
        assert_eq!((v5.maximum_qos, v5.retains), (1, false));
        // A server of MQTT 3.1.1 refuses MQTT 5.0 in its own words.
        let old = Connack::read(&[0, 1], true).unwrap();
        assert_eq!(old.reason, Reason::Version);
        for (body, v5, violation) in [
            (&[][..], true, Violation::Fields),
            (&[2, 0], false, Violation::Flags),
            (&[0, 0], true, Violation::Fields),
            (&[0, 0, 0], false, Violation::Fields),
            (&[0, 0, 0, 0], true, Violation::Fields),
            (&[0, 0, 1, 0x7f], true, Violation::Property),
            (&[0, 0, 3, 0x21, 0, 0], true, Violation::Property),
            (&[0, 0, 3, 0x12, 0, 9], true, Violation::Fields),
        ] {
            assert_eq!(Connack::read(body, v5), Err(violation), "{body:?}");
        }
    }

    #[test]
    fn an_acknowledgement_is_short_if_it_went_well() {
        let ack = |code| Ok(Ack { id: 258, code });
        assert_eq!(Ack::read(&[1, 2], false), ack(0));
        assert_eq!(Ack::read(&[1, 2], true), ack(0));
        assert_eq!(Ack::read(&[1, 2, 0x10], true), ack(0x10));
        assert_eq!(
            Ack::read(&[1, 2, 0x97, 4, 0x1f, 0, 1, b'x'], true),
            ack(0x97)
        );
        assert_eq!(Ack::read(&[1, 2, 0], false), Err(Violation::Fields));
        assert_eq!(Ack::read(&[0, 0], false), Err(Violation::ZeroId));
        let mut out = Vec::new();
        Ack::write(Packet::Pubrel, 258, &mut out);
        assert_eq!(out, [0x62, 2, 1, 2]);
    }

    #[test]
    fn a_disconnect_says_why() {
        assert_eq!(disconnect(&[], true), Ok(Reason::Success));
        assert_eq!(disconnect(&[0x8e], true), Ok(Reason::TakenOver));
        assert_eq!(disconnect(&[0x8e, 0], true), Ok(Reason::TakenOver));
        assert_eq!(disconnect(&[0x8e], false), Err(Violation::Fields));
        let mut out = Vec::new();
        write_disconnect(0x82, true, &mut out);
        write_disconnect(0x82, false, &mut out);
        assert_eq!(out, [0xe0, 1, 0x82, 0xe0, 0]);
    }

    #[test]
    fn a_connect_is_read_with_all_that_may_be_in_it() {
        let v3 = b"\0\x04MQTT\x04\xee\0\x3c\0\x02id\0\x01w\0\x03bye\0\x01u\0\x01p";
        let connect = Connect::read(v3).unwrap();
        assert!(!connect.v5 && !connect.nameless_session);
        assert_eq!(connect.keep_alive, 60);
        let v5 = b"\0\x04MQTT\x05\x04\0\0\x05\x11\0\0\0\x09\0\0\0\0\x01w\0\0";
        assert!(Connect::read(v5).unwrap().v5);
        let nameless = b"\0\x04MQTT\x04\x00\0\0\0\0";
        assert!(Connect::read(nameless).unwrap().nameless_session);
        for (body, error) in [
            (&b"\0\x04MQTT\x06\x02\0\0\0\0"[..], ConnectError::Version),
            (b"\0\x06MQIsdp\x03\x02\0\0\0\0", ConnectError::Version),
            (b"\0\x04HTTP\x04\x02\0\0\0\0", Violation::NotMqtt.into()),
            (b"\0\x04MQTT\x04\x03\0\0\0\0", Violation::Flags.into()),
            (b"\0\x04MQTT\x04\x22\0\0\0\0", Violation::Flags.into()),
            (b"\0\x04MQTT\x04\x02\0\0\0\x01", Violation::Fields.into()),
            (b"\0\x04MQTT\x04\x02\0\0\0\0x", Violation::Fields.into()),
        ] {
            assert_eq!(Connect::read(body), Err(error), "{body:?}");
        }
    }

    #[test]
    fn topic_filters_are_read_in_order() {
        let read = |packet, body: &[u8]| {
            let mut all = Vec::new();
            let id = filters(packet, body, false, |filter, qos| {
                all.push((String::from_utf8(filter.to_vec()).unwrap(), qos));
            });
            id.map(|id| (id, all))
        };
        let two = |a, b| Ok((7, vec![("a/+".to_owned(), a), ("#".to_owned(), b)]));
        assert_eq!(
            read(Packet::Subscribe, b"\0\x07\0\x03a/+\x01\0\x01#\x02"),
            two(1, 2)
        );
        assert_eq!(
            read(Packet::Unsubscribe, b"\0\x07\0\x03a/+\0\x01#"),
            two(0, 0)
        );
        assert_eq!(read(Packet::Subscribe, b"\0\x07"), Err(Violation::Fields));
        assert_eq!(
            read(Packet::Subscribe, b"\0\x07\0\x01#\x03"),
            Err(Violation::Qos)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(body: Vec<u8>, v5: bool) {
            let _ = Connack::read(&body, v5);
            let _ = Connect::read(&body);
            let _ = Ack::read(&body, v5);
            let _ = suback(&body, v5);
            let _ = disconnect(&body, v5);
            let _ = filters(Packet::Subscribe, &body, v5, |_, _| {});
        }
    }
}
