//! Numbers in files: written with a unit as on the command line, read from that or from a plain number.
//!
//! What is written is read back to the same value, to the last bit. [`As`] and [`Maybe`] are for
//! `#[serde(with = "…")]`.

use super::{
    BANDWIDTHS, BINARY, Bandwidth, DAY, DECIMAL, HOUR, MINUTE, MS, Rate, SECOND, US, UnitError,
};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// The duration as on the command line, in the largest unit that needs no fraction: `90s`, `2m`, `250ms`.
pub fn duration_text(span: Duration) -> String {
    const UNITS: [(&str, u128); 6] = [
        ("d", DAY),
        ("h", HOUR),
        ("m", MINUTE),
        ("s", SECOND),
        ("ms", MS),
        ("us", US),
    ];
    let ns = span.as_nanos();
    match UNITS
        .iter()
        .find(|(_, unit)| ns > 0 && ns.is_multiple_of(*unit))
    {
        Some((name, unit)) => format!("{}{name}", ns / unit),
        None if ns == 0 => "0s".into(),
        None => format!("{}.{:03}us", ns / US, ns % US),
    }
}

/// The rate as on the command line.
pub fn rate_text(per_second: f64) -> String {
    scaled(per_second, DECIMAL)
}

/// The number as on the command line.
pub fn count_text(n: u32) -> String {
    scaled(n.into(), DECIMAL)
}

/// The size as on the command line.
pub fn bytes_text(n: u64) -> String {
    scaled(n as f64, BINARY)
}

/// The bandwidth as on the command line, in bytes.
pub fn bandwidth_text(bandwidth: Bandwidth) -> String {
    const BYTES: usize = 8;
    scaled(bandwidth.get(), &BANDWIDTHS[BYTES..])
}

/// `value` with the unit that makes it shortest, if what is written is still the same number. The first unit is 1.
fn scaled(value: f64, units: &[(&str, f64)]) -> String {
    let plain = format!("{value}{}", units[0].0);
    let with = units.iter().skip(1).map(|(name, factor)| {
        let number = value / factor;
        (number, *factor, format!("{number}{name}"))
    });
    with.filter(|(number, factor, text)| {
        *number >= 1.0 && number * factor == value && text.len() <= plain.len()
    })
    .map(|(.., text)| text)
    .min_by_key(String::len)
    .unwrap_or(plain)
}

/// How a number is written. For `#[serde(with = "As::<…>")]`.
pub trait Written {
    /// The number.
    type Value: Copy;
    /// What it is and what it looks like, for an error.
    const WHAT: &'static str;
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with `text`, and what would be right.
    fn read(text: &str) -> Result<Self::Value, UnitError>;
    /// Writes it.
    fn text(value: Self::Value) -> String;
}

/// Makes types that are [`Written`], each of a value with its name for errors, its reader and its writer.
macro_rules! written {
    ($($(#[$doc:meta])* $vis:vis $name:ident: $value:ty = $what:expr, $read:path, $text:expr;)*) => {$(
        $(#[$doc])*
        $vis enum $name {}

        impl $crate::units::written::Written for $name {
            type Value = $value;
            const WHAT: &'static str = $what;
            fn read(text: &str) -> Result<$value, $crate::units::UnitError> {
                $read(text)
            }
            fn text(value: $value) -> String {
                $text(value)
            }
        }
    )*};
}

pub(crate) use written;

/// Has serde write a type as its text, and read it from there: for `#[serde(try_from = "String", into = "String")]` on a type
/// that implements `FromStr`, with this error, and `Display`.
macro_rules! text_of {
    ($Type:ty, $Error:ty) => {
        impl TryFrom<String> for $Type {
            type Error = $Error;
            fn try_from(text: String) -> Result<$Type, $Error> {
                text.parse()
            }
        }

        impl From<$Type> for String {
            fn from(it: $Type) -> String {
                it.to_string()
            }
        }
    };
}

pub(crate) use text_of;

/// Numbers as `W` writes them.
pub struct As<W>(PhantomData<W>);

impl<W: Written> As<W> {
    /// Writes one.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &W::Value, to: S) -> Result<S::Ok, S::Error> {
        serialize_text(&W::text(*value), to)
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<W::Value, D::Error> {
        from.deserialize_any(Reads::<W>(PhantomData))
    }
}

/// The same for an optional number.
pub struct Maybe<W>(PhantomData<W>);

impl<W: Written> Maybe<W> {
    /// Writes one, if there is one.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Option<W::Value>, to: S) -> Result<S::Ok, S::Error> {
        value.map(One::<W>).serialize(to)
    }

    /// Reads one, if there is one.
    ///
    /// # Errors
    /// What is wrong with it, and what would be right.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<W::Value>, D::Error> {
        let one = Option::<One<W>>::deserialize(from)?;
        Ok(one.map(|one| one.0))
    }
}

struct One<W: Written>(W::Value);

impl<W: Written> Serialize for One<W> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        As::<W>::serialize(&self.0, to)
    }
}

impl<'de, W: Written> Deserialize<'de> for One<W> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<One<W>, D::Error> {
        As::<W>::deserialize(from).map(One)
    }
}

/// Writes plain numbers as such and all else as text.
fn serialize_text<S: Serializer>(text: &str, to: S) -> Result<S::Ok, S::Error> {
    match text.parse::<i64>() {
        Ok(n) if n.to_string() == text => to.serialize_i64(n),
        _ => to.serialize_str(text),
    }
}

/// Reads a text, or a number as its text.
struct Reads<W>(PhantomData<W>);

impl<W: Written> Visitor<'_> for Reads<W> {
    type Value = W::Value;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(W::WHAT)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<W::Value, E> {
        W::read(text).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<W::Value, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<W::Value, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<W::Value, E> {
        self.visit_str(&n.to_string())
    }
}

/// A [count](super::count()).
pub enum Count {}

impl Written for Count {
    type Value = u32;
    const WHAT: &'static str = "a count such as 1000 or \"20k\"";
    fn read(text: &str) -> Result<u32, UnitError> {
        super::count(text)
    }
    fn text(n: u32) -> String {
        count_text(n)
    }
}

/// A [span of time](super::duration()).
pub enum Span {}

impl Written for Span {
    type Value = Duration;
    const WHAT: &'static str = "a duration such as \"10s\"";
    fn read(text: &str) -> Result<Duration, UnitError> {
        super::duration(text)
    }
    fn text(span: Duration) -> String {
        duration_text(span)
    }
}

impl Written for Rate {
    type Value = Rate;
    const WHAT: &'static str = "a rate such as 250 or \"20k\"";
    fn read(text: &str) -> Result<Rate, UnitError> {
        text.parse()
    }
    fn text(rate: Rate) -> String {
        rate_text(rate.get())
    }
}

impl Written for Bandwidth {
    type Value = Bandwidth;
    const WHAT: &'static str = "a bandwidth such as \"10Mbps\"";
    fn read(text: &str) -> Result<Bandwidth, UnitError> {
        text.parse()
    }
    fn text(bandwidth: Bandwidth) -> String {
        bandwidth_text(bandwidth)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        As::<Rate>::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rate, D::Error> {
        As::<Rate>::deserialize(from)
    }
}

impl Serialize for Bandwidth {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        As::<Bandwidth>::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bandwidth, D::Error> {
        As::<Bandwidth>::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{bytes, count, duration};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for (written, text) in [
            (count_text(50_000), "50k"),
            (count_text(1_500), "1.5k"),
            (count_text(1_234), "1234"),
            (count_text(1_000_000), "1m"),
            (count_text(0), "0"),
            (bytes_text(65_536), "64k"),
            (bytes_text(1000), "1000"),
            (rate_text(0.1), "0.1"),
            (rate_text(20_000.0), "20k"),
            (duration_text(Duration::from_secs(90)), "90s"),
            (duration_text(Duration::from_secs(120)), "2m"),
            (duration_text(Duration::from_millis(250)), "250ms"),
            (duration_text(Duration::from_nanos(1_001)), "1.001us"),
            (duration_text(Duration::ZERO), "0s"),
        ] {
            assert_eq!(written, text);
        }
        let kilobits: Bandwidth = "100kbps".parse().unwrap();
        assert_eq!(bandwidth_text(kilobits), "12.5kBps");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_to_the_last_bit(
            n: u32,
            size in 0u64..1 << 53,
            rate in prop_oneof![1e-9..1e9, (1u32..1_000_000).prop_map(f64::from)],
            bandwidth in prop_oneof![0.0..1e15, (0u32..).prop_map(f64::from)],
            ns in 0u64..=super::super::LONGEST as u64,
        ) {
            prop_assert_eq!(count(&count_text(n)), Ok(n));
            prop_assert_eq!(bytes(&bytes_text(size)), Ok(size));
            let rate = Rate::per_second(rate).unwrap();
            prop_assert_eq!(rate_text(rate.get()).parse(), Ok(rate));
            let bandwidth = Bandwidth::bytes_per_second(bandwidth).unwrap();
            prop_assert_eq!(bandwidth_text(bandwidth).parse(), Ok(bandwidth));
            let span = Duration::from_nanos(ns);
            prop_assert_eq!(duration(&duration_text(span)), Ok(span));
            let seconds = format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
            prop_assert_eq!(duration(&seconds), Ok(span));
        }
    }
}
