//! How many requests a connection carries before it is closed and opened again.

use crate::payload::Dice;
use crate::units::{self, UnitError, written::count_text};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// Requests on a connection: `10`, or `5..20` for a random number between the two on each, evenly distributed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub struct Most {
    from: NonZeroU32,
    to: NonZeroU32,
}

impl Most {
    /// A connection a request.
    pub const ONE: Most = Most {
        from: NonZeroU32::MIN,
        to: NonZeroU32::MIN,
    };

    /// How many it is on the connection `uid` of a run with this seed.
    #[inline]
    pub(super) fn on(&self, uid: u64, seed: u64) -> u32 {
        let (from, to) = (self.from.get(), self.to.get());
        if from == to {
            return from;
        }
        let random = Dice::of(seed, &[0x6d6f_7374, uid]).word();
        let span = u128::from(to - from) + 1;
        from + ((u128::from(random) * span) >> 64) as u32
    }
}

/// Why a text is no number of requests. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MostError {
    /// One of its ends is no count.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// It is 0, or ends before it begins.
    #[error("{0:?} is no number of requests; write it like 10 or 5..20")]
    Empty(String),
}

impl FromStr for Most {
    type Err = MostError;

    fn from_str(text: &str) -> Result<Most, MostError> {
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let [from, to] = [units::count(from)?, units::count(to)?].map(NonZeroU32::new);
        match (from, to) {
            (Some(from), Some(to)) if from <= to => Ok(Most { from, to }),
            _ => Err(MostError::Empty(text.into())),
        }
    }
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&count_text(self.from.get()))?;
        match self.from == self.to {
            true => Ok(()),
            false => write!(f, "..{}", count_text(self.to.get())),
        }
    }
}

/// As a file has it: a number, or a text.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Text {
    Number(u32),
    Text(String),
}

impl TryFrom<Text> for Most {
    type Error = MostError;
    fn try_from(text: Text) -> Result<Most, MostError> {
        match text {
            Text::Number(n) => n.to_string().parse(),
            Text::Text(text) => text.parse(),
        }
    }
}

impl From<Most> for Text {
    fn from(most: Most) -> Text {
        match most.from == most.to {
            true => Text::Number(most.from.get()),
            false => Text::Text(most.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_number_or_a_range_of_numbers() {
        let most = |text: &str| text.parse::<Most>();
        assert_eq!(most("1"), Ok(Most::ONE));
        assert_eq!(most("1k").unwrap().on(7, 1), 1000);
        let range = most("3..6").unwrap();
        let drawn: BTreeSet<u32> = (0..200).map(|uid| range.on(uid, 1)).collect();
        assert_eq!(drawn, BTreeSet::from([3, 4, 5, 6]));
        assert_eq!(range.on(5, 1), range.on(5, 1));
        for text in ["2", "1..5", "7..7", "10k"] {
            let written = most(text).unwrap().to_string();
            assert_eq!(most(&written), most(text), "{written}");
        }
        for text in ["", "0", "0..3", "5..1", "1..", "..1", "x", "1..2..3"] {
            let error = most(text).unwrap_err().to_string();
            assert_eq!(error.lines().count(), 1, "{text}: {error}");
        }
    }
}
