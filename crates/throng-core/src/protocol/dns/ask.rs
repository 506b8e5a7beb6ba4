//! What can be asked of name servers.

use super::query::Query;
use super::wire::Dns;
use crate::payload::{Message, Part};
use crate::protocol::facts::{Answers, Authority, Choose, Facts};
use crate::protocol::raw::{Echo, Raw, Sink};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// What is asked of name servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct DnsAsked {
    /// Questions, sent in turn.
    pub queries: Vec<Query>,
}

impl Facts for DnsAsked {
    const NAME: &'static str = "DNS";
    const ANSWERS: Answers = Answers::Ids;

    type Client = Dns;
    type Server = Raw;
    type Prepared = ();
    type Sink = Sink;
    type Echo = Echo;

    fn messages(&self) -> Vec<Message> {
        self.queries.iter().map(message).collect()
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
fn message(query: &Query) -> Message {
    let template = query.template();
    let (before, rest) = template.bytes.split_at(template.id_at);
    Message {
        parts: vec![
            Part::Bytes(before.to_vec()),
            Part::DnsId,
            Part::Bytes(rest[2..].to_vec()),
        ],
    }
}
