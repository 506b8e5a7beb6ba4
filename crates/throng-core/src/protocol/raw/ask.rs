//! What can be asked of TCP alone: nothing.

use super::serve::{Echo, Sink};
use super::wire::Raw;
use crate::protocol::facts::{Authority, Choose, Facts};
use serde::{Deserialize, Serialize};
use std::error::Error;

/// What is asked of TCP alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawAsked {}

impl Facts for RawAsked {
    const NAME: &'static str = "TCP";

    type Client = Raw;
    type Server = Raw;
    type Prepared = ();
    type Sink = Sink;
    type Echo = Echo;

    fn prepare(&self, _: &[Authority], _: u64) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }

    fn client((): &(), _: Choose) -> Raw {
        Raw
    }

    fn server((): &()) -> Raw {
        Raw
    }
}
