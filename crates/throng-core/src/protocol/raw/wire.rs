//! TCP alone, as a load's wire.

use crate::behaviour::{At, Received, Receiver, Wire};
use crate::stats::{Closed, Measured};

/// TCP alone.
#[derive(Debug, Default)]
pub struct Raw;

impl Wire for Raw {
    type Conn = ();
    const MESSAGES: bool = false;

    #[inline]
    fn opened(&mut self, (): &mut (), _: u64, _: &At, _: &mut Vec<u8>) -> bool {
        true
    }

    #[inline]
    fn is_ready(&self, (): &()) -> bool {
        true
    }

    #[inline]
    fn received(
        &mut self,
        (): &mut (),
        _: u64,
        bytes: &[u8],
        _: &At,
        _: &mut Vec<u8>,
        to: &mut impl Receiver,
    ) -> Received {
        to.payload(bytes);
        Received::default()
    }

    fn farewell(&mut self, (): &mut (), _: &mut Vec<u8>) -> bool {
        false
    }

    fn closed(&mut self, (): &mut (), _: Closed, _: &At, _: &mut Measured) -> u32 {
        0
    }
}
