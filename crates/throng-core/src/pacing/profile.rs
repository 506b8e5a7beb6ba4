//! A rate that varies over time: steps and ramps, as written on the command line
//! (`10s:1k, 30s:1k..50k, 10s:50k`) or as lines `<milliseconds> <rate>`.
//!
//! A profile determines how long the run lasts: **when it ends, the run ends**. A profile that is read while the run
//! lasts ends when there are no more lines and the last piece is over.

use super::ramp::{Ramp, billionths, messages};
use crate::units::{self, MAX_RATE, UnitError, quoted, written};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest profile. Its end in nanoseconds fits 64 bits.
const LONGEST: Duration = Duration::from_secs(500 * 365 * 86_400);

/// Why a profile is not valid. Displays as one line for the user.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// A piece that lasts 0 or more than 500 years.
    #[error("a piece lasts longer than 0 and at most 500 years; write it like 10s:1k")]
    Duration,
    /// A rate below 0 or above 10^9 per second.
    #[error("the rate {0} must be at least 0 and at most 1,000,000,000 per second")]
    Rate(f64),
    /// A whole profile that lasts longer than 500 years.
    #[error("the whole profile lasts longer than 500 years; make its pieces shorter")]
    TooLong,
    /// A piece without a colon.
    #[error("it is not DURATION:RATE; write it like 10s:1k or 30s:1k..50k")]
    NoColon,
    /// A duration or a rate that could not be read.
    #[error("{what}: {why}")]
    Number {
        /// `duration` or `rate`.
        what: &'static str,
        /// Why it could not be read.
        why: UnitError,
    },
    /// An invalid piece on the command line.
    #[error("piece {number} ({}): {why}", quoted(piece))]
    Piece {
        /// Its number, from 1.
        number: usize,
        /// Its text.
        piece: String,
        /// What is wrong with it.
        why: Box<ProfileError>,
    },
    /// An invalid line.
    #[error("line {number}: {why}")]
    Line {
        /// Its number, from 1.
        number: u64,
        /// What is wrong with it.
        why: LineError,
    },
}

/// What is right in a line of a profile.
const LINE: &str = "write it like 1000 50 (milliseconds, then messages per second)";

/// What is wrong with a line of a profile.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LineError {
    /// It does not have two words. This is the line.
    #[error("{} is not a duration and a rate; {LINE}", quoted(.0))]
    NotTwoWords(String),
    /// Its duration is not a number above 0. This is its first word.
    #[error("the duration: {} is not a number of milliseconds above 0; {LINE}", quoted(.0))]
    Duration(String),
    /// Its rate could not be read.
    #[error("the rate: {0}")]
    Rate(UnitError),
    /// It is not a valid piece.
    #[error("the piece: {0}; {LINE}")]
    Piece(Box<ProfileError>),
}

/// A part of a profile: a step, if its rate stays the same, or else a ramp.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "PlainPiece", into = "PlainPiece")]
pub struct Piece {
    duration: Duration,
    from: f64,
    to: f64,
}

/// A piece as it is written to JSON.
#[derive(Serialize, Deserialize)]
struct PlainPiece {
    duration_ns: u64,
    from_per_s: f64,
    to_per_s: f64,
}

impl Piece {
    /// A piece of length `duration` in which the rate changes evenly from `from` to `to`, in messages per second.
    ///
    /// # Errors
    /// A rate below 0 or above 10^9 per second, or a duration of 0 or above 500 years.
    pub fn new(duration: Duration, from: f64, to: f64) -> Result<Piece, ProfileError> {
        if duration.is_zero() || duration > LONGEST {
            return Err(ProfileError::Duration);
        }
        for rate in [from, to] {
            if !(0.0..=MAX_RATE).contains(&rate) {
                return Err(ProfileError::Rate(rate));
            }
        }
        Ok(Piece { duration, from, to })
    }

    /// How long the piece lasts.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// The rate at its start, in messages per second.
    pub fn from(&self) -> f64 {
        self.from
    }

    /// The rate at its end, in messages per second.
    pub fn to(&self) -> f64 {
        self.to
    }

    pub(super) fn ramp(&self) -> Ramp {
        Ramp {
            duration: nanos(self.duration),
            from: billionths(self.from),
            to: billionths(self.to),
        }
    }

    /// Reads a line `<milliseconds> <rate>`; `None` if the line is empty or a comment (from `#` on). `number` is the
    /// line's number, from 1, for the error.
    ///
    /// # Errors
    /// The line does not have two numbers, or they are not a valid duration and rate.
    pub fn from_line(line: &str, number: u64) -> Result<Option<Piece>, ProfileError> {
        let wrong = |why| ProfileError::Line { number, why };
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let (ms, rate) = match (words.next(), words.next(), words.next()) {
            (None, ..) => return Ok(None),
            (Some(ms), Some(rate), None) => (ms, rate),
            _ => return Err(wrong(LineError::NotTwoWords(line.trim().to_owned()))),
        };
        let duration = ms
            .bytes()
            .all(|c| c.is_ascii_digit() || c == b'.')
            .then(|| units::duration(&format!("{ms}ms")).ok())
            .flatten()
            .filter(|d| !d.is_zero())
            .ok_or_else(|| wrong(LineError::Duration(ms.to_owned())))?;
        let rate = units::rate_or_zero(rate).map_err(|e| wrong(LineError::Rate(e)))?;
        Piece::new(duration, rate, rate)
            .map(Some)
            .map_err(|e| wrong(LineError::Piece(Box::new(e))))
    }
}

impl TryFrom<PlainPiece> for Piece {
    type Error = ProfileError;
    fn try_from(plain: PlainPiece) -> Result<Piece, ProfileError> {
        Piece::new(
            Duration::from_nanos(plain.duration_ns),
            plain.from_per_s,
            plain.to_per_s,
        )
    }
}

impl From<Piece> for PlainPiece {
    fn from(piece: Piece) -> PlainPiece {
        PlainPiece {
            duration_ns: nanos(piece.duration),
            from_per_s: piece.from,
            to_per_s: piece.to,
        }
    }
}

/// `10s:1k` or `30s:1k..50k`.
impl FromStr for Piece {
    type Err = ProfileError;
    fn from_str(text: &str) -> Result<Piece, ProfileError> {
        let (duration, rates) = text.split_once(':').ok_or(ProfileError::NoColon)?;
        let wrong = |what| move |why| ProfileError::Number { what, why };
        let duration = units::duration(duration.trim()).map_err(wrong("duration"))?;
        let (from, to) = rates.split_once("..").unwrap_or((rates, rates));
        let rate = |text: &str| units::rate_or_zero(text.trim()).map_err(wrong("rate"));
        Piece::new(duration, rate(from)?, rate(to)?)
    }
}

/// The rate of a run over time: a sequence of pieces. The run ends after the last one.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<Piece>", into = "Vec<Piece>")]
pub struct Profile {
    pieces: Vec<Piece>,
    /// The start of each piece: nanoseconds, and the parts of messages that are due before.
    begins: Vec<(u64, u128)>,
    end: (u64, u128),
}

impl PartialEq for Profile {
    fn eq(&self, other: &Profile) -> bool {
        self.pieces == other.pieces
    }
}

impl Profile {
    /// A profile without pieces.
    pub fn new() -> Profile {
        Profile::default()
    }

    /// Adds a piece at the end, also while the profile is running.
    ///
    /// # Errors
    /// The profile would last longer than 500 years.
    pub fn push(&mut self, piece: Piece) -> Result<(), ProfileError> {
        let ramp = piece.ramp();
        let end = self.end.0.saturating_add(ramp.duration);
        if end > nanos(LONGEST) {
            return Err(ProfileError::TooLong);
        }
        self.pieces.push(piece);
        self.begins.push(self.end);
        self.end = (end, self.end.1 + ramp.total());
        Ok(())
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How long the whole profile lasts.
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.0)
    }

    /// The index of the piece at `t`; where two pieces meet, of the later one.
    fn piece_at(&self, t: u64) -> Option<usize> {
        let after = self.begins.partition_point(|&(begin, _)| begin <= t);
        (t < self.end.0).then(|| after - 1)
    }

    /// Messages due by `t`: the integral of the rate, with its fraction.
    pub fn total(&self, t: Duration) -> f64 {
        let t = nanos(t);
        messages(match self.piece_at(t) {
            Some(i) => {
                let (begin, before) = self.begins[i];
                before + self.pieces[i].ramp().total_by(t - begin)
            }
            None => self.end.1,
        })
    }
}

/// Pieces `DURATION:RATE` or `DURATION:FROM..TO`, separated by commas.
impl FromStr for Profile {
    type Err = ProfileError;
    fn from_str(text: &str) -> Result<Profile, ProfileError> {
        let mut profile = Profile::new();
        for (number, piece) in (1..).zip(text.split(',')) {
            let piece = piece.trim();
            piece
                .parse()
                .and_then(|piece| profile.push(piece))
                .map_err(|e| ProfileError::Piece {
                    number,
                    piece: piece.to_owned(),
                    why: Box::new(e),
                })?;
        }
        Ok(profile)
    }
}

/// As on the command line.
impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, piece) in self.pieces.iter().enumerate() {
            let comma = if n == 0 { "" } else { ", " };
            write!(f, "{comma}{piece}")?;
        }
        Ok(())
    }
}

/// As on the command line.
impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = written::duration_text(self.duration);
        write!(f, "{duration}:{}", written::rate_text(self.from))?;
        match self.from == self.to {
            true => Ok(()),
            false => write!(f, "..{}", written::rate_text(self.to)),
        }
    }
}

impl TryFrom<Vec<Piece>> for Profile {
    type Error = ProfileError;
    fn try_from(pieces: Vec<Piece>) -> Result<Profile, ProfileError> {
        let mut profile = Profile::new();
        for piece in pieces {
            profile.push(piece)?;
        }
        Ok(profile)
    }
}

impl From<Profile> for Vec<Piece> {
    fn from(profile: Profile) -> Vec<Piece> {
        profile.pieces
    }
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn profile(text: &str) -> Profile {
        text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn steps_and_ramps_are_read() {
        let p = profile("10s:1k, 30s:1k..50k,500ms:0 , 10:50k");
        let read: Vec<_> = p
            .pieces()
            .iter()
            .map(|p| (p.duration().as_millis(), p.from(), p.to()))
            .collect();
        assert_eq!(
            read,
            [
                (10_000, 1e3, 1e3),
                (30_000, 1e3, 50e3),
                (500, 0.0, 0.0),
                (10_000, 50e3, 50e3)
            ]
        );
        assert_eq!(p.duration(), MS(50_500));
        for (ms, total) in [
            (0, 0.0),
            (5_000, 5e3),
            (25_000, 10e3 + 15.0 * 13.25e3),
            (40_200, 775e3),
            (40_500, 775e3),
            (50_500, 1275e3),
            (99_999, 1275e3),
        ] {
            assert_eq!(p.total(MS(ms)), total, "at {ms} ms");
        }
    }

    #[test]
    fn an_error_says_which_piece_and_what_would_be_right() {
        for (text, place, cause) in [
            ("", "piece 1 ('')", "10s:1k"),
            ("10s", "piece 1 ('10s')", "10s:1k"),
            ("10s:1k,", "piece 2 ('')", "10s:1k"),
            ("10s:1k, 5q:3", "piece 2 ('5q:3')", "'5q'"),
            ("10s:1k, 5s:3..x", "piece 2 ('5s:3..x')", "'x'"),
            ("10s:1..2..3", "piece 1 ('10s:1..2..3')", "'2..3'"),
            ("0s:5", "piece 1 ('0s:5')", "longer than 0"),
            ("1s:2000m", "piece 1 ('1s:2000m')", "1,000,000,000"),
            ("1s:-5", "piece 1 ('1s:-5')", "'-5'"),
            (
                "99y:1,99y:1,99y:1,99y:1,99y:1,99y:1",
                "piece 6 ('99y:1')",
                "500 years",
            ),
        ] {
            let error = text.parse::<Profile>().unwrap_err().to_string();
            assert!(error.starts_with(place), "{text}: {error}");
            assert!(error.contains(cause), "{text}: {error}");
            assert!(!error.contains('\n'), "{text}: {error}");
        }
    }

    #[test]
    fn lines_are_read_one_by_one_and_an_error_says_which() {
        for (line, read) in [
            ("1000 50", Some((1000, 50.0))),
            ("  250\t1.5k # more\r", Some((250, 1500.0))),
            ("3000 0", Some((3000, 0.0))),
            ("# warm up", None),
            ("", None),
        ] {
            let piece = read.map(|(ms, rate)| Piece::new(MS(ms), rate, rate).unwrap());
            assert_eq!(Piece::from_line(line, 1), Ok(piece), "{line}");
        }
        for (line, place) in [
            ("100", "line 2: '100' is not a duration and a rate"),
            ("1000 50 7", "line 2: '1000 50 7'"),
            ("1s 50", "line 2: the duration: '1s'"),
            ("0 50", "line 2: the duration: '0'"),
            ("-5 50", "line 2: the duration: '-5'"),
            ("100 many", "line 2: the rate: 'many'"),
        ] {
            let error = Piece::from_line(line, 2).unwrap_err().to_string();
            assert!(error.starts_with(place), "{line}: {error}");
            let right = ["1000 50", "250 or 20k (per second)"];
            assert!(right.iter().any(|r| error.contains(r)), "{line}: {error}");
        }
    }

    #[test]
    fn there_is_no_drift_in_a_week_of_short_lines() {
        // 100 ms at 0.3/s carry 0.03 messages, which no binary fraction is.
        let mut p = Profile::new();
        for _ in 0..7 * 864_000 {
            p.push(Piece::new(MS(100), 0.3, 0.3).unwrap()).unwrap();
        }
        assert_eq!(p.total(p.duration()), 181_440.0);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused_in_one_line(text in "[0-9a-z:., -]{0,40}") {
            match text.parse::<Profile>() {
                Ok(p) => prop_assert!(!p.duration().is_zero()),
                Err(e) => prop_assert!(!e.to_string().contains('\n')),
            }
        }
    }
}
