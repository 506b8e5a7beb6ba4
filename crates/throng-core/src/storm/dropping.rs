//! Connections that a load closes on purpose: which, when and how.

use crate::units::written::{duration_text, text_of};
use crate::units::{self, UnitError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A share of something, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share(u32);

/// All of something.
const ALL: u32 = 1_000_000;

impl Share {
    /// Everything.
    pub const ALL: Share = Share(ALL);

    /// Whether number `n` is in it. Of any `m` numbers in a row, the share of `m` is, to within one, evenly spread.
    pub fn picks(self, n: u64) -> bool {
        let below = |n: u64| u128::from(n) * u128::from(self.0) / u128::from(ALL);
        below(n + 1) > below(n)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ALL => f.write_str("all"),
            millionths => write!(f, "{}%", f64::from(millionths) / 1e4),
        }
    }
}

/// A share of the connections that a load closes during the hold, as the clients of a network that fails do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Dropping {
    /// Which share.
    pub share: Share,
    /// When, since the hold began.
    pub after: Duration,
    /// Whether they are reset (RST) instead of closed (FIN).
    pub reset: bool,
}

/// The form of what is dropped, and examples.
const WHAT: &str =
    "a share and a time (SHARE@TIME or SHARE@TIME:reset; the share is a percentage or all)";
const LIKE: &str = "10%@30s, all@1m or all@1m:reset";

impl FromStr for Dropping {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Dropping, UnitError> {
        let wrong = || UnitError::Unreadable {
            text: text.into(),
            what: WHAT,
            like: LIKE,
        };
        let (when, reset) = match text.strip_suffix(":reset") {
            Some(when) => (when, true),
            None => (text, false),
        };
        let (share, after) = when.split_once('@').ok_or_else(wrong)?;
        let share = match share.strip_suffix('%') {
            None if share == "all" => Share::ALL,
            None => return Err(wrong()),
            Some(percent) => {
                let percent = percent.parse::<f64>().map_err(|_| wrong())?;
                let millionths = (percent * 1e4).round();
                if !(1.0..=f64::from(ALL)).contains(&millionths) {
                    return Err(UnitError::OutOfBounds(
                        "a share from 0.0001% to 100% of the connections is needed".into(),
                    ));
                }
                Share(millionths as u32)
            }
        };
        Ok(Dropping {
            share,
            after: units::duration(after)?,
            reset,
        })
    }
}

/// As it is read.
impl fmt::Display for Dropping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reset = if self.reset { ":reset" } else { "" };
        write!(f, "{}@{}{reset}", self.share, duration_text(self.after))
    }
}

text_of!(Dropping, UnitError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_drop_is_read_as_it_is_written() {
        for text in [
            "10%@30s",
            "all@1m",
            "all@1m:reset",
            "0.5%@0s",
            "33.3333%@250ms:reset",
        ] {
            let dropping: Dropping = text.parse().unwrap();
            assert_eq!(dropping.to_string(), text);
        }
        let whole: Dropping = "100%@1s".parse().unwrap();
        assert_eq!(whole.share, Share::ALL);
        for text in [
            "",
            "10%",
            "all",
            "@30s",
            "10@30s",
            "%@30s",
            "0%@1s",
            "101%@1s",
            "-1%@1s",
            "nan%@1s",
            "some@1s",
            "all@",
            "all@soon",
            "all@1s:fin",
            "all@1s:reset:reset",
        ] {
            assert!(text.parse::<Dropping>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_of_numbers_in_a_row_is_in_it_evenly_spread() {
        for (percent, of, picked) in [
            (10.0, 2_000, 200),
            (100.0, 77, 77),
            (0.1, 5_000, 5),
            (33.3333, 3_000_000, 999_999),
        ] {
            let share = Share((percent * 1e4) as u32);
            let all: Vec<u64> = (0..of).filter(|n| share.picks(*n)).collect();
            assert_eq!(all.len(), picked, "{percent} %");
            let gaps = all.windows(2).map(|two| two[1] - two[0]);
            let (least, most) = gaps.fold((u64::MAX, 0), |(l, m), gap| (gap.min(l), gap.max(m)));
            assert!(
                all.len() < 2 || most - least <= 1,
                "{percent} %: {least} to {most}"
            );
        }
        // From another number on, too.
        let share: Dropping = "10%@0s".parse().unwrap();
        for from in 0..30 {
            assert_eq!(
                (from..from + 100).filter(|n| share.share.picks(*n)).count(),
                10
            );
        }
    }
}
