//! What can be asked of HTTP.

use super::counts::Failed;
use super::field::Field;
use super::latencies::HttpLatencies;
use super::look::Looked;
use super::most::Most;
use super::origin::Origin;
use super::redirect::Follow;
use super::request::{self, Method, RequestError, Statuses};
use super::requests::{self, Listed};
use super::serve::Http as Server;
use super::status::Status;
use super::wire::{Bodiless, HttpClient, Rules};
use crate::behaviour::Pattern;
use crate::pacing::Think;
use crate::payload::{Message, Script};
use crate::protocol::facts::{Answers, Authority, Choose, Facts, Says, Scheme, UseWire, Waits};
use crate::protocol::options::{Flag, OptionError, OptionFile, ProtocolOption, Takes};
use crate::protocol::raw::Raw;
use crate::scenario::bounds;
use crate::stats::Tally;
use crate::units::count;
use crate::units::written::Maybe;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::num::NonZeroU16;
use std::time::Duration;

/// What is asked of HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct HttpAsked {
    /// The method; `None` for GET, or POST if there is a body.
    pub method: Option<Method>,
    /// Further header fields of requests, in order. One replaces the usual field of its name.
    pub header: Vec<Field>,
    /// Whether requests name throng as their `User-Agent`.
    pub user_agent: bool,
    /// Requests that are sent in turn, instead of those to the targets' paths.
    pub requests: Vec<Listed>,
    /// Requests on a connection before it is closed and opened again; `None` for as many as the server answers.
    pub requests_per_connection: Option<Most>,
    /// Requests that are under way on a connection at a time.
    pub pipeline: NonZeroU16,
    /// How long a request waits for its whole answer; `None` for ever.
    #[serde(with = "Maybe::<bounds::Positive>")]
    pub timeout: Option<Duration>,
    /// The time between an answer and the next request; `None` for none.
    pub think: Option<Think>,
    /// The URL that is requested of the targets, which are proxies; `None` to request the targets' own.
    pub origin: Option<Origin>,
    /// The most redirects of a request that are followed; `None` for none.
    pub follow: Option<NonZeroU16>,
    /// Whether answers that are event streams are read as such, and may last.
    pub events: bool,
    /// A text that each answer's body must have.
    #[serde(with = "crate::payload::written::bytes")]
    pub expect_body: Option<Vec<u8>>,
    /// The statuses that are expected. An answer with another one is a failed request.
    pub expect_status: Statuses,
}

impl Default for HttpAsked {
    fn default() -> HttpAsked {
        HttpAsked {
            method: None,
            header: Vec::new(),
            user_agent: true,
            requests: Vec::new(),
            requests_per_connection: None,
            pipeline: NonZeroU16::MIN,
            timeout: None,
            think: None,
            origin: None,
            follow: None,
            events: false,
            expect_body: None,
            expect_status: Statuses::default(),
        }
    }
}

impl HttpAsked {
    /// Which latencies are measured.
    pub(in crate::protocol) fn measures(&self) -> HttpLatencies<bool> {
        HttpLatencies {
            first_event: self.events,
            event_gap: self.events,
            event_silence: self.events,
            event_age: self.events,
        }
    }

    /// Whether the server need not wait for further requests on a connection (RFC 9112, section 9.6).
    fn sends_once(&self) -> bool {
        self.requests_per_connection == Some(Most::ONE)
    }

    /// The request to `target` that has `body`, if any.
    fn request(&self, target: &Authority, body: Option<&Message>) -> Result<Message, RequestError> {
        let method = match (&self.method, body) {
            (Some(method), _) => method.as_str(),
            (None, Some(_)) => "POST",
            (None, None) => "GET",
        };
        request::message(&request::Request {
            method,
            target,
            user_agent: self.user_agent,
            fields: &self.header,
            last: self.sends_once(),
            body,
        })
    }
}

impl Facts for HttpAsked {
    const NAME: &'static str = "HTTP";
    // RFC 9110, section 4.2.
    const SCHEMES: &'static [Scheme] = &[
        Scheme {
            name: "http",
            secure: false,
            port: 80,
        },
        Scheme {
            name: "https",
            secure: true,
            port: 443,
        },
    ];
    const OPTIONS: &'static [ProtocolOption<HttpAsked>] = &[
        ProtocolOption {
            flag: Flag {
                long: "http",
                alias: None,
                short: None,
                takes: Takes::Nothing,
                help: "Speak HTTP/1.1: each message is the body of a request; http:// targets imply it",
                asks: true,
            },
            set: |_, _| Ok(()),
        },
        ProtocolOption {
            flag: Flag {
                long: "method",
                alias: None,
                short: None,
                takes: Takes::Value("METHOD"),
                help: "Method of HTTP requests [default: GET, or POST with a message]",
                asks: false,
            },
            set: |asked, text| {
                asked.method = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Field::FLAG,
            set: |asked, text| {
                asked.header.push(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "requests-from",
                alias: None,
                short: None,
                takes: Takes::File("FILE"),
                help: "Send the HTTP requests of this file in turn: METHOD URL, headers, =BODY or @FILE",
                asks: false,
            },
            // See `read_file`.
            set: |_, _| Ok(()),
        },
        ProtocolOption {
            flag: Flag {
                long: "requests-per-connection",
                alias: None,
                short: None,
                takes: Takes::Value("N|A..B"),
                help: "Close each connection after N answers, or a random number of them, and open it again; 1 is a connection a request",
                asks: false,
            },
            set: |asked, text| {
                asked.requests_per_connection = Some(text.parse::<Most>()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "pipeline",
                alias: None,
                short: None,
                takes: Takes::Value("N"),
                help: "Requests under way on each connection, sent without waiting for answers [default: 1]",
                asks: false,
            },
            set: |asked, text| {
                let n = count(text)?.try_into().ok().and_then(NonZeroU16::new);
                asked.pipeline = n.ok_or("from 1 to 65,535")?;
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "timeout",
                alias: None,
                short: None,
                takes: Takes::Value("TIME"),
                help: "Fail a request without a whole answer after this long, and reopen its connection",
                asks: false,
            },
            set: |asked, text| {
                asked.timeout = Some(bounds::positive(text)?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "think",
                alias: None,
                short: None,
                takes: Takes::Value("TIME"),
                help: "Wait this long before each request of a closed loop: 2s, or 1s..5s for a random time",
                asks: false,
            },
            set: |asked, text| {
                asked.think = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "origin",
                alias: None,
                short: None,
                takes: Takes::Value("URL"),
                help: "Request this http:// URL of the targets, which are proxies",
                asks: false,
            },
            set: |asked, text| {
                asked.origin = Some(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "follow",
                alias: None,
                short: None,
                takes: Takes::Value("N"),
                help: "Follow up to N redirects of a request, to the same origin, on the same connection",
                asks: false,
            },
            set: |asked, text| {
                let n = count(text)?.try_into().ok().and_then(NonZeroU16::new);
                asked.follow = Some(n.ok_or("from 1 to 65,535")?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "events",
                alias: None,
                short: None,
                takes: Takes::Nothing,
                help: "Read event streams (text/event-stream): count and time their events; they may last",
                asks: false,
            },
            set: |asked, _| {
                asked.events = true;
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "expect-body",
                alias: None,
                short: None,
                takes: Takes::Text("TEXT"),
                help: "Fail requests whose answer's body lacks this text",
                asks: false,
            },
            set: |asked, text| {
                asked.expect_body = Some(text.into());
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "expect-status",
                alias: None,
                short: None,
                takes: Takes::Value("CODES"),
                help: "Statuses that answers may have, such as 200,204 or 2xx,404 [default: 2xx,3xx]",
                asks: false,
            },
            set: |asked, text| {
                asked.expect_status = text.parse()?;
                Ok(())
            },
        },
    ];
    const ANSWERS: Answers = Answers::Whole;
    const JUDGES_ANSWERS: bool = true;

    type Client = HttpClient;
    type Server = Raw;
    type Prepared = Rules;
    type Sink = Server;
    type Echo = Server;

    fn read_file(&mut self, file: &OptionFile) -> Result<(), OptionError> {
        self.requests.extend(requests::read(file)?);
        Ok(())
    }

    fn says(&self) -> Says {
        match self.requests.is_empty() {
            true => Says::Around,
            false => Says::Own,
        }
    }

    fn waits(&self) -> Waits {
        Waits {
            depth: self.pipeline.get().into(),
            timeout: self.timeout,
            think: self.think,
        }
    }

    fn closes(&self) -> bool {
        self.requests_per_connection.is_some()
    }

    fn closed_by_agreement(tally: &Tally) -> u64 {
        tally.http.announced
    }

    fn requested(tally: &Tally) -> u64 {
        tally.http.requests
    }

    fn unwanted(tally: &Tally) -> u64 {
        tally.http.failed(Failed::Status) + tally.http.failed(Failed::Body)
    }

    fn answers_with_error(tally: &Tally) -> Vec<(String, u64)> {
        let errors = Status::ALL.into_iter().filter(|status| status.is_error());
        let counted = errors.map(|status| (status.name().to_owned(), tally.http.status(status)));
        counted.filter(|(_, n)| *n > 0).collect()
    }

    fn messages(
        &self,
        given: &[Message],
        target: &Authority,
    ) -> Result<Vec<Message>, Box<dyn Error + Send + Sync>> {
        if self.origin.is_some() && !self.requests.is_empty() {
            return Err(RequestError::ListedOrigin.into());
        }
        let origin = self.origin.as_ref().map(Origin::authority);
        let target = origin.as_ref().unwrap_or(target);
        if !self.requests.is_empty() {
            if self.method.is_some() {
                return Err(RequestError::TwoMethods.into());
            }
            let listed = self.requests.iter().filter(|one| one.is_for(target));
            let message = |one: &Listed| {
                one.message(target, &self.header, self.user_agent, self.sends_once())
            };
            return Ok(listed.map(message).collect::<Result<_, _>>()?);
        }
        Ok(match given {
            [] => vec![self.request(target, None)?],
            bodies => bodies
                .iter()
                .map(|body| self.request(target, Some(body)))
                .collect::<Result<_, _>>()?,
        })
    }

    fn prepare(
        &self,
        targets: &[Authority],
        seed: u64,
    ) -> Result<Rules, Box<dyn Error + Send + Sync>> {
        // The server in this process.
        let own = [Authority {
            authority: "localhost",
            path: "/",
        }];
        let targets = if targets.is_empty() { &own } else { targets };
        requests::check(&self.requests, targets)?;
        if self.events && self.pipeline > NonZeroU16::MIN {
            return Err(
                "what is sent behind an event stream is not answered: leave out --pipeline".into(),
            );
        }
        if self.follow.is_some() && self.pipeline > NonZeroU16::MIN {
            return Err(
                "what is sent behind a redirected request is answered before it: leave out --follow or --pipeline"
                    .into(),
            );
        }
        if self.follow.is_some() && self.sends_once() {
            return Err(
                "redirects are followed on the connection that they come on, and each request closes its own: leave out --follow, or keep connections"
                    .into(),
            );
        }
        if self.expect_body.is_some() && self.method.as_ref().is_some_and(Method::is_head) {
            return Err(
                "answers to HEAD have no body (RFC 9110, section 9.3.2): leave out --expect-body"
                    .into(),
            );
        }
        let text = match &self.expect_body {
            None => None,
            Some(text) => Some(Box::new(Pattern::new(text).ok_or_else(|| {
                format!("--expect-body is a text of 1 to {} bytes", Pattern::MOST)
            })?)),
        };
        let heads = |target: &Authority| -> Box<[bool]> {
            let listed = self.requests.iter().filter(|one| one.is_for(target));
            listed.map(|one| one.method.is_head()).collect()
        };
        Ok(Rules {
            bodiless: match self.requests.iter().any(|one| one.method.is_head()) {
                true => Bodiless::Some(targets.iter().map(heads).collect()),
                false if self.method.as_ref().is_some_and(Method::is_head) => Bodiless::All,
                false => Bodiless::None,
            },
            most: self.requests_per_connection,
            seed,
            depth: self.pipeline,
            text,
            events: self.events,
            // See `told`.
            follow: None,
            expected: self.expect_status.clone(),
        })
    }

    fn told(&self, rules: &mut Rules, script: &Script, secure: bool) -> Result<(), OptionError> {
        requests::check_schemes(&self.requests, secure)?;
        rules.follow = self.follow.map(|most| Follow {
            most,
            secure,
            script: script.clone(),
        });
        Ok(())
    }

    fn client(rules: &Rules, choose: Choose) -> HttpClient {
        HttpClient::new(rules.clone(), choose)
    }

    fn with_client<U: UseWire>(rules: &Rules, choose: Choose, then: U) -> U::Output {
        match rules.events || rules.text.is_some() {
            true => then.with_answers_in_turn(HttpClient::<Looked>::new(rules.clone(), choose)),
            false => then.with_answers_in_turn(HttpAsked::client(rules, choose)),
        }
    }

    fn server(_: &Rules) -> Raw {
        Raw
    }
}
