//! Numbers in files: written with a unit as on the command line, read from that or from a plain number.
//!
//! What is written is read back to the same value, to the last bit. The modules are for `#[serde(with = "…")]`,
//! each with an `option` beside it.

use super::{BANDWIDTHS, BINARY, Bandwidth, DAY, DECIMAL, HOUR, MINUTE, MS, Rate, SECOND, US};
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

/// A type that has a text with a unit.
trait Written: Sized {
    /// What it is, for the error.
    const WHAT: &'static str;
    type Value;
    fn read(text: &str) -> Result<Self::Value, String>;
    fn text(value: &Self::Value) -> String;
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

/// A module for `#[serde(with = "…")]`.
macro_rules! written {
    ($(#[$doc:meta])* $name:ident: $type:ty, $what:literal, $read:expr, $text:expr) => {
        $(#[$doc])*
        pub mod $name {
            use super::*;

            struct This;

            impl Written for This {
                const WHAT: &'static str = $what;
                type Value = $type;
                fn read(text: &str) -> Result<$type, String> {
                    ($read)(text).map_err(|e| e.to_string())
                }
                fn text(value: &$type) -> String {
                    ($text)(*value)
                }
            }

            /// Writes it.
            ///
            /// # Errors
            /// The serializer's.
            pub fn serialize<S: Serializer>(value: &$type, to: S) -> Result<S::Ok, S::Error> {
                serialize_text(&This::text(value), to)
            }

            /// Reads it.
            ///
            /// # Errors
            /// What is wrong with it, and what would be right.
            pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<$type, D::Error> {
                from.deserialize_any(Reads::<This>(PhantomData))
            }

            /// The same where there may be none.
            pub mod option {
                use super::*;

                struct One($type);

                impl Serialize for One {
                    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                        super::serialize(&self.0, to)
                    }
                }

                impl<'de> Deserialize<'de> for One {
                    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<One, D::Error> {
                        super::deserialize(from).map(One)
                    }
                }

                /// Writes it, if there is one.
                ///
                /// # Errors
                /// The serializer's.
                pub fn serialize<S: Serializer>(
                    value: &Option<$type>,
                    to: S,
                ) -> Result<S::Ok, S::Error> {
                    value.map(One).serialize(to)
                }

                /// Reads it, if there is one.
                ///
                /// # Errors
                /// What is wrong with it, and what would be right.
                pub fn deserialize<'de, D: Deserializer<'de>>(
                    from: D,
                ) -> Result<Option<$type>, D::Error> {
                    let one = Option::<One>::deserialize(from)?;
                    Ok(one.map(|one| one.0))
                }
            }
        }
    };
}

written! {
    /// A [count](super::super::count()).
    count: u32, "a count such as 1000 or \"20k\"", crate::units::count, count_text
}

written! {
    /// A [size in bytes](super::super::bytes()).
    bytes: u64, "a size such as 4096 or \"64k\"", crate::units::bytes, bytes_text
}

written! {
    /// A [span of time](super::super::duration()).
    duration: Duration, "a duration such as \"10s\"", crate::units::duration, duration_text
}

written! {
    /// A [`Rate`].
    rate: Rate, "a rate such as 250 or \"20k\"", str::parse::<Rate>, |rate: Rate| rate_text(rate.get())
}

written! {
    /// A [`Bandwidth`].
    bandwidth: Bandwidth, "a bandwidth such as \"10Mbps\"", str::parse::<Bandwidth>, bandwidth_text
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        rate::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Rate, D::Error> {
        rate::deserialize(from)
    }
}

impl Serialize for Bandwidth {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        bandwidth::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for Bandwidth {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Bandwidth, D::Error> {
        bandwidth::deserialize(from)
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
