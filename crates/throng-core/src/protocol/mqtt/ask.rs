//! What MQTT states about itself.

use super::asked::{MqttAsked, Version};
use super::build;
use super::counts::Qos;
use super::deliveries::Numbered;
use super::latencies::MqttLatencies;
use super::reason::OfAck;
use super::serve::Mqtt as Server;
use super::topic::Filter;
use super::wire::{MqttClient, Rules};
use crate::payload::{Framing, Message, Messages, Script};
use crate::protocol::facts::{Answers, Authority, Choose, Facts, Says, Scheme, UseWire};
use crate::protocol::options::{Flag, OptionError, ProtocolOption, Takes};
use crate::protocol::raw::Raw;
use crate::scenario::bounds;
use crate::stats::Tally;
use crate::units;
use crate::units::written::Written;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

/// An option with a value.
const fn flag(long: &'static str, takes: Takes, help: &'static str) -> Flag {
    Flag {
        long,
        alias: None,
        short: None,
        takes,
        help,
        asks: false,
    }
}

impl MqttAsked {
    /// Which latencies are measured.
    pub(in crate::protocol) fn measures(&self) -> MqttLatencies<bool> {
        MqttLatencies {
            suback: !self.subscribe.is_empty(),
            connack: true,
        }
    }
}

impl Facts for MqttAsked {
    const NAME: &'static str = "MQTT";
    // As registered for the ports (IANA, mqtt and secure-mqtt).
    const SCHEMES: &'static [Scheme] = &[
        Scheme {
            name: "mqtt",
            secure: false,
            port: 1883,
        },
        Scheme {
            name: "mqtts",
            secure: true,
            port: 8883,
        },
    ];
    const OPTIONS: &'static [ProtocolOption<MqttAsked>] = &[
        ProtocolOption {
            flag: Flag {
                asks: true,
                ..flag(
                    "mqtt",
                    Takes::Nothing,
                    "Speak MQTT: each message is published; mqtt:// targets imply it",
                )
            },
            set: |_, _| Ok(()),
        },
        ProtocolOption {
            flag: flag(
                "mqtt-version",
                Takes::Value("VERSION"),
                "Version of MQTT: 5 or 3.1.1 [default: 5]",
            ),
            set: |asked, text| {
                asked.version = Version::read(text)?;
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "client-id",
                Takes::Value("TEXT"),
                "MQTT client identifier, with expressions such as \\{connection.uid} [default: one per connection and run]",
            ),
            set: |asked, text| {
                asked.client_id = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "username",
                Takes::Value("TEXT"),
                "MQTT user name, with expressions",
            ),
            set: |asked, text| {
                asked.username = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "password",
                Takes::Value("TEXT"),
                "MQTT password, with expressions",
            ),
            set: |asked, text| {
                asked.password = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "keep-alive",
                Takes::Value("TIME"),
                "Send an MQTT ping on each connection at this interval, and measure its answer; 0 for never [default: 60s]",
            ),
            set: |asked, text| {
                asked.keep_alive = units::duration(text)?;
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "subscribe",
                Takes::Value("FILTER[:QOS]"),
                "Subscribe each connection to an MQTT topic filter, with expressions; repeatable [default QOS: 0]",
            ),
            set: |asked, text| {
                asked.subscribe.push(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "publish",
                Takes::Value("TOPIC[:QOS]"),
                "Publish messages to this MQTT topic, with expressions [default QOS: 0]",
            ),
            set: |asked, text| {
                asked.publish = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "retain",
                Takes::Nothing,
                "Have the MQTT server retain published messages",
            ),
            set: |asked, _| {
                asked.retain = true;
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "numbered",
                Takes::Nothing,
                "Number MQTT messages, and count those that are lost, repeated or out of order",
            ),
            set: |asked, _| {
                asked.numbered = true;
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "keep-session",
                Takes::Nothing,
                "Continue the MQTT session of the client identifier, instead of a clean one",
            ),
            set: |asked, _| {
                asked.keep_session = true;
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "session-expiry",
                Takes::Value("TIME"),
                "How long the server keeps an MQTT 5 session after its connection [default: not at all]",
            ),
            set: |asked, text| {
                asked.session_expiry = Some(bounds::positive(text)?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "will",
                Takes::Value("TOPIC[:QOS]"),
                "MQTT will: where the server publishes when a connection is lost",
            ),
            set: |asked, text| {
                asked.will = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "will-message",
                Takes::Value("TEXT"),
                "Payload of the MQTT will [default: empty]",
            ),
            set: |asked, text| {
                asked.will_message = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: flag(
                "will-retain",
                Takes::Nothing,
                "Have the MQTT server retain the will",
            ),
            set: |asked, _| {
                asked.will_retain = true;
                Ok(())
            },
        },
    ];
    const ANSWERS: Answers = Answers::Messages;
    const BEGINS_WITH_HANDSHAKE: bool = true;
    const SAYS_FAREWELL: bool = true;

    type Client = MqttClient;
    type Server = Raw;
    type Prepared = Rules;
    type Sink = Server;
    type Echo = Server;

    fn answers(&self) -> Answers {
        match &self.publish {
            Some(topic) if topic.qos != Qos::AtMostOnce => Answers::Acknowledgements,
            _ => Answers::Messages,
        }
    }

    fn answers_with_error(tally: &Tally) -> Vec<(String, u64)> {
        let errors = OfAck::ALL.into_iter().filter(|reason| reason.is_error());
        let counted = errors.map(|reason| (reason.name().to_owned(), tally.mqtt.acks(reason)));
        counted.filter(|(_, n)| *n > 0).collect()
    }

    fn clashes(&self, connections: u32) -> Option<&'static str> {
        // With an identifier that another connection has, the server closes that one (MQTT 5.0, section 3.1.4).
        let different = self.client_id.as_ref()?.different();
        (different < connections.into()).then_some(
            "--client-id is the same on several connections, and the server closes all but one of them: put \\{connection.uid} into it",
        )
    }

    fn misses(&self) -> bool {
        self.numbered
    }

    fn says(&self) -> Says {
        match &self.publish {
            Some(_) => Says::Around,
            None => Says::NothingWithout("--publish TOPIC"),
        }
    }

    fn pings(&self) -> Option<Duration> {
        Some(self.keep_alive).filter(|interval| !interval.is_zero())
    }

    fn messages(&self, given: &[Message], _: &Authority) -> Result<Vec<Message>, OptionError> {
        let Some(topic) = &self.publish else {
            return Ok(Vec::new());
        };
        let publish = |payload: &Message| build::publish(self, topic, &payload.parts);
        Ok(match given {
            [] => vec![publish(&Message::default())],
            given => given.iter().map(publish).collect(),
        })
    }

    fn prepare(&self, _: &[Authority], seed: u64) -> Result<Rules, Box<dyn Error + Send + Sync>> {
        if self.keep_alive > MOST_KEEP_ALIVE {
            return Err("--keep-alive: at most 65,535 seconds are possible".into());
        }
        if self.session_expiry.is_some() && !self.is_v5() {
            return Err("--session-expiry is of MQTT 5: leave out --mqtt-version 3.1.1".into());
        }
        let other = [
            (self.will_message.is_some(), "--will-message"),
            (self.will_retain, "--will-retain"),
        ];
        if let (None, Some((_, option))) = (&self.will, other.iter().find(|(given, _)| *given)) {
            return Err(format!("{option} is for a will: add --will TOPIC").into());
        }
        if self.retain && self.publish.is_none() {
            return Err("--retain is for messages: add --publish TOPIC".into());
        }
        if self.numbered {
            let (Some(topic), false) = (&self.publish, self.subscribe.is_empty()) else {
                return Err(
                    "--numbered is for messages that come back: add --publish TOPIC and --subscribe FILTER"
                        .into(),
                );
            };
            if topic.topic.differs() {
                return Err("--numbered needs one topic for all messages of a connection".into());
            }
            if self.subscribe.iter().any(Filter::is_shared) {
                return Err("--numbered needs all messages: leave out $share/".into());
            }
        }
        let script = |message: Message| {
            let messages = Messages {
                first: vec![message],
                repeated: Vec::new(),
            };
            Script::new(&messages, Framing::Raw, 1, seed)
        };
        let subscribe = match self.subscribe.as_slice() {
            [] => None,
            filters => {
                let subscribe = build::subscribe(filters, self.is_v5());
                let qos = filters.iter().map(|filter| filter.qos.number()).collect();
                Some((script(subscribe)?, qos))
            }
        };
        Ok(Rules {
            v5: self.is_v5(),
            connect: script(build::connect(self, seed))?,
            subscribe,
            publish: self.publish.as_ref().map(|topic| (topic.qos, self.retain)),
            keep_alive: self.pings(),
            numbered: self.numbered.then(|| (seed, Arc::default())),
        })
    }

    fn client(rules: &Rules, _: Choose) -> MqttClient {
        MqttClient::new(rules.clone(), ())
    }

    fn with_client<U: UseWire>(rules: &Rules, choose: Choose, then: U) -> U::Output {
        match &rules.numbered {
            Some((seed, published)) => {
                let numbered = Numbered::new(*seed, Arc::clone(published));
                then.with(MqttClient::new(rules.clone(), numbered))
            }
            None => then.with(MqttAsked::client(rules, choose)),
        }
    }

    fn server(_: &Rules) -> Raw {
        Raw
    }
}

/// What fits into a CONNECT.
const MOST_KEEP_ALIVE: Duration = Duration::from_secs(u16::MAX as u64);
