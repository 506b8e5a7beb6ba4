//! What can be asked of name servers.

use super::query::Query;
use super::rcode::Rcode;
use super::wire::Dns;
use crate::payload::{Message, Part};
use crate::protocol::facts::{Answers, Authority, Choose, Facts, Says};
use crate::protocol::options::{Flag, OptionError, ProtocolOption, Takes};
use crate::protocol::raw::{Echo, Raw, Sink};
use crate::stats::Tally;
use serde::{Deserialize, Serialize};
use std::error::Error;

/// What is asked of name servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DnsAsked {
    /// Questions, sent in turn.
    pub queries: Vec<Query>,
    /// Whether they announce EDNS (RFC 6891), as those of resolvers do.
    pub edns: bool,
}

impl Facts for DnsAsked {
    const NAME: &'static str = "DNS";
    const OPTIONS: &'static [ProtocolOption<DnsAsked>] = &[
        ProtocolOption {
            flag: Flag {
                long: "dns",
                alias: None,
                short: None,
                takes: Takes::Value("NAME/TYPE"),
                help: "DNS query to send as a message: a name and a record type, such as example.com/A; repeatable",
                asks: true,
            },
            set: |asked, text| {
                asked.queries.push(text.parse()?);
                Ok(())
            },
        },
        ProtocolOption {
            flag: Flag {
                long: "edns",
                alias: None,
                short: None,
                takes: Takes::Nothing,
                help: "Add an EDNS record to each DNS query, as resolvers do",
                asks: false,
            },
            set: |asked, _| {
                asked.edns = true;
                Ok(())
            },
        },
    ];
    const ANSWERS: Answers = Answers::Ids;

    type Client = Dns;
    type Server = Raw;
    type Prepared = ();
    type Sink = Sink;
    type Echo = Echo;

    fn answers_with_error(tally: &Tally) -> Vec<(String, u64)> {
        let answers = Rcode::ALL.map(|rcode| (rcode, tally.dns.answers_with(rcode)));
        let came = answers.into_iter().filter(|(_, n)| *n > 0);
        came.map(|(rcode, n)| (rcode.mnemonic().into(), n))
            .collect()
    }

    fn says(&self) -> Says {
        match self.queries.is_empty() {
            true => Says::Given,
            false => Says::Own,
        }
    }

    fn messages(&self, given: &[Message], _: &Authority) -> Result<Vec<Message>, OptionError> {
        let queries = self.queries.iter();
        Ok(match self.says() {
            Says::Own => queries.map(|query| message(query, self.edns)).collect(),
            _ => given.to_vec(),
        })
    }

    fn prepare(&self, _: &[Authority], _: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn client((): &(), _: Choose) -> Dns {
        Dns
    }

    fn server((): &()) -> Raw {
        Raw
    }
}

/// A query as a message: with another id each time.
fn message(query: &Query, edns: bool) -> Message {
    let template = query.template(edns);
    let (before, rest) = template.bytes.split_at(template.id_at);
    Message {
        parts: vec![
            Part::Bytes(before.to_vec()),
            Part::MessageId,
            Part::Bytes(rest[2..].to_vec()),
        ],
    }
}
