//! Histograms in their encoded form.

use super::Durations;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer, V2Serializer};
use serde::{Deserialize, Serialize};

/// Significant digits of a [coarse](PackedDurations::coarse) histogram.
const COARSE_DIGITS: u8 = 2;
/// The longest text that is read as a histogram. A histogram with a count in every bucket takes a third of that.
const LONGEST_TEXT: usize = 1 << 20;

/// A histogram of durations in nanoseconds, encoded. A text holds it in HdrHistogram's V2 encoding with deflate, in
/// base64: any HdrHistogram library reads that. In memory it is not deflated, because a compressor takes 300 KiB, more
/// than a small run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackedDurations(Box<[u8]>);

/// Why a text is not a histogram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// It is longer than any histogram of throng.
    #[error("a histogram of {0} characters is too long")]
    TooLong(usize),
    /// It is not base64.
    #[error("a histogram is not base64: {0}")]
    NotBase64(String),
    /// What it encodes is not a histogram.
    #[error("not a histogram in HdrHistogram's V2 encoding: {0}")]
    NotHistogram(String),
}

impl PackedDurations {
    /// Encodes `durations` with full precision; `None` if it is empty.
    pub fn whole(durations: &Durations) -> Option<PackedDurations> {
        durations.recorded().map(pack)
    }

    /// Encodes `durations` with two significant digits, which is a third as long; `None` if it is empty.
    pub fn coarse(durations: &Durations) -> Option<PackedDurations> {
        let all = durations.recorded()?;
        if all.sigfig() <= COARSE_DIGITS {
            return Some(pack(all));
        }
        let mut coarse = Histogram::new_with_bounds(all.low(), all.high(), COARSE_DIGITS).ok()?;
        coarse.add(all).ok()?;
        Some(pack(&coarse))
    }

    /// The histogram.
    pub fn unpack(&self) -> Durations {
        // The bytes were written by `pack`.
        read(&self.0).map_or_else(|_| Durations::default(), Durations::from_histogram)
    }
}

fn pack(histogram: &Histogram<u64>) -> PackedDurations {
    PackedDurations(write(V2Serializer::new(), histogram).into())
}

fn write(mut serializer: impl Serializer, histogram: &Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a vector never fails, and counts below 2^63 can be encoded.
    let _ = serializer.serialize(histogram, &mut bytes);
    bytes
}

fn read(mut bytes: &[u8]) -> Result<Histogram<u64>, PackedError> {
    let mut histogram: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes)
        .map_err(|e| PackedError::NotHistogram(e.to_string()))?;
    histogram.auto(true);
    Ok(histogram)
}

impl TryFrom<String> for PackedDurations {
    type Error = PackedError;
    fn try_from(text: String) -> Result<PackedDurations, PackedError> {
        if text.len() > LONGEST_TEXT {
            return Err(PackedError::TooLong(text.len()));
        }
        let bytes = STANDARD
            .decode(text)
            .map_err(|e| PackedError::NotBase64(e.to_string()))?;
        read(&bytes).map(|histogram| pack(&histogram))
    }
}

impl From<PackedDurations> for String {
    fn from(packed: PackedDurations) -> String {
        // The bytes were written by `pack`.
        read(&packed.0).map_or_else(
            |_| String::new(),
            |histogram| STANDARD.encode(write(V2DeflateSerializer::new(), &histogram)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn some() -> Durations {
        let mut durations = Durations::default();
        for us in 1..10_000u64 {
            durations.record(Duration::from_micros(us * us % 77_777));
        }
        durations
    }

    #[test]
    fn a_packed_histogram_unpacks_to_the_same_one() {
        let durations = some();
        let packed = PackedDurations::whole(&durations).unwrap();
        assert_eq!(packed.unpack().recorded(), durations.recorded());
        let json = serde_json::to_string(&packed).unwrap();
        assert_eq!(
            serde_json::from_str::<PackedDurations>(&json).unwrap(),
            packed
        );
        assert_eq!(PackedDurations::whole(&Durations::default()), None);
    }

    #[test]
    fn a_coarse_one_is_shorter_and_within_a_hundredth() {
        let durations = some();
        let whole = PackedDurations::whole(&durations).unwrap();
        let coarse = PackedDurations::coarse(&durations).unwrap();
        assert!(
            coarse.0.len() * 2 < whole.0.len(),
            "{} {}",
            coarse.0.len(),
            whole.0.len()
        );
        let unpacked = coarse.unpack();
        assert_eq!(unpacked.count(), durations.count());
        for percent in [50.0, 90.0, 99.0, 100.0] {
            let of = |d: &Durations| d.percentile(percent).unwrap().as_secs_f64();
            let (exact, rough) = (of(&durations), of(&unpacked));
            assert!(
                (rough / exact - 1.0).abs() < 0.01,
                "{percent}: {exact} {rough}"
            );
        }
        assert_eq!(PackedDurations::coarse(&unpacked).as_ref(), Some(&coarse));
    }

    #[test]
    fn what_is_no_histogram_is_refused() {
        let read = |text: &str| PackedDurations::try_from(text.to_owned()).unwrap_err();
        assert!(matches!(read("?"), PackedError::NotBase64(_)));
        assert!(matches!(read(""), PackedError::NotHistogram(_)));
        assert!(matches!(read("AAAA"), PackedError::NotHistogram(_)));
        assert!(matches!(
            read(&"A".repeat(2 << 20)),
            PackedError::TooLong(_)
        ));
    }
}
