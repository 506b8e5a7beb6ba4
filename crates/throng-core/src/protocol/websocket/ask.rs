//! What can be asked of WebSocket.

use super::handshake::client::Opening;
use super::handshake::server::Upgrade;
use super::latencies::WebSocketLatencies;
use super::serve::{Ws, WsSink};
use super::subprotocol::Subprotocol;
use super::wire::WebSocket;
use crate::payload::Framing;
use crate::protocol::facts::{Answers, Authority, Choose, Facts, HandshakesSent, Scheme};
use crate::protocol::http::Field;
use crate::protocol::options::{Flag, ProtocolOption, Takes};
use crate::scenario::bounds;
use crate::stats::Tally;
use crate::units::written::Maybe;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::time::Duration;

/// What is asked of WebSocket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct WebSocketAsked {
    /// Further headers of the opening handshake (section 4.1), in order.
    pub header: Vec<Field>,
    /// Whether the handshake names throng as its `User-Agent`.
    pub user_agent: bool,
    /// How often a ping (section 5.5.2) is sent on each connection; `None` for never.
    #[serde(with = "Maybe::<bounds::Positive>")]
    pub ping: Option<Duration>,
    /// Subprotocols to ask for (section 1.9), the preferred one first.
    pub subprotocols: Vec<Subprotocol>,
}

impl Default for WebSocketAsked {
    fn default() -> WebSocketAsked {
        WebSocketAsked {
            header: Vec::new(),
            user_agent: true,
            ping: None,
            subprotocols: Vec::new(),
        }
    }
}

/// The request for each target, the random seed, and how often pings are sent.
pub struct Openings {
    requests: Vec<Opening>,
    seed: u64,
    ping: Option<Duration>,
}

impl WebSocketAsked {
    /// Which latencies are measured.
    pub(in crate::protocol) fn measures(&self) -> WebSocketLatencies<bool> {
        WebSocketLatencies { upgrade: true }
    }
}

impl Facts for WebSocketAsked {
    const NAME: &'static str = "WebSocket";
    // RFC 6455, section 3.
    const SCHEMES: &'static [Scheme] = &[
        Scheme {
            name: "ws",
            secure: false,
            port: 80,
        },
        Scheme {
            name: "wss",
            secure: true,
            port: 443,
        },
    ];
    const OPTIONS: &'static [ProtocolOption<WebSocketAsked>] = &[
        ProtocolOption {
            flag: Flag {
                long: "websocket",
                alias: Some("ws"),
                short: None,
                takes: Takes::Nothing,
                help: "Speak WebSocket: each message is a text frame; ws:// targets imply it",
                asks: true,
            },
            set: |_, _| Ok(()),
        },
        ProtocolOption {
            flag: Field::FLAG,
            set: |asked, text| {
                asked.header.push(Field::fixed(text)?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "subprotocol",
                alias: None,
                short: None,
                takes: Takes::Value("NAME[,NAME]"),
                help: "Subprotocols to ask for in the WebSocket handshake, the preferred one first; repeatable",
                asks: false,
            },
            set: |asked, text| {
                asked.subprotocols.extend(Subprotocol::list(text)?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "ping",
                alias: None,
                short: None,
                takes: Takes::Value("TIME"),
                help: "Send a ping on each WebSocket connection at this interval, and measure its pong",
                asks: false,
            },
            set: |asked, text| {
                asked.ping = Some(bounds::positive(text)?);
                Ok(())
            },
        },
    ];
    const FRAMING: [Framing; 2] = [Framing::WebSocketClient, Framing::WebSocketServer];
    const ANSWERS: Answers = Answers::Messages;
    const BEGINS_WITH_HANDSHAKE: bool = true;
    const SAYS_FAREWELL: bool = true;

    type Client = WebSocket;
    type Server = WebSocket;
    type Prepared = Openings;
    type Sink = WsSink;
    type Echo = Ws;

    fn handshakes_sent(tally: &Tally) -> HandshakesSent {
        let upgraded = tally.websocket.upgraded;
        HandshakesSent {
            writes: upgraded,
            bytes: upgraded * Upgrade::ANSWER_BYTES,
        }
    }

    fn pings(&self) -> Option<Duration> {
        self.ping
    }

    fn subprotocols(&self) -> &[Subprotocol] {
        &self.subprotocols
    }

    fn prepare(
        &self,
        targets: &[Authority],
        seed: u64,
    ) -> Result<Openings, Box<dyn Error + Send + Sync>> {
        let opening = match self.user_agent {
            true => Opening::new,
            false => Opening::anonymous,
        };
        let own = [Authority {
            authority: "localhost",
            path: "/",
        }];
        let mut fields = self.header.clone();
        if !self.subprotocols.is_empty() {
            let names: Vec<&str> = self.subprotocols.iter().map(Subprotocol::name).collect();
            // First, so that their places are those of the option.
            fields.insert(
                0,
                format!("Sec-WebSocket-Protocol: {}", names.join(", ")).parse()?,
            );
        }
        let targets = if targets.is_empty() { &own } else { targets };
        let requests = targets
            .iter()
            .map(|target| opening(target.authority, target.path, &fields, seed))
            .collect::<Result<_, _>>()?;
        Ok(Openings {
            requests,
            seed,
            ping: self.ping,
        })
    }

    fn client(openings: &Openings, choose: Choose) -> WebSocket {
        WebSocket::client(openings.requests.clone(), openings.seed, choose).pinging(openings.ping)
    }

    fn server(openings: &Openings) -> WebSocket {
        WebSocket::server(openings.seed)
    }
}
