//! Histograms in their encoded form.

use super::Durations;
use super::durations::{DIGITS, LONGEST};
use super::encoded::{HEADER, Plain, Sum, V2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer, V2Serializer};
use serde::{Deserialize, Serialize};
use std::io::Read;

/// Significant digits of a [coarse](PackedDurations::coarse) histogram.
const COARSE_DIGITS: u8 = 2;
/// The longest text that is read as a histogram, and the most bytes that it may inflate to. A histogram with a count in
/// every bucket takes a third of that.
const MOST_BYTES: usize = 1 << 20;
/// The first bytes of one that is deflated.
const V2_DEFLATE: [u8; 4] = [0x1c, 0x84, 0x93, 0x14];
/// The highest value that a histogram may have room for, in nanoseconds. HdrHistogram rounds [`LONGEST`] up to the end
/// of a bucket, which is less than twice as long.
const MOST_NS: u64 = 2 * LONGEST.as_nanos() as u64;

/// A histogram of durations in nanoseconds, encoded. A text holds it in HdrHistogram's V2 encoding with deflate, in
/// base64: any HdrHistogram library reads that. In memory it is not deflated, because a compressor takes 300 KiB, more
/// than a small run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackedDurations(Box<[u8]>);

/// Why a text is not a histogram.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackedError {
    /// It is longer than any histogram of throng, as text or inflated.
    #[error("a histogram has more than {MOST_BYTES} bytes")]
    TooLong,
    /// It has more significant digits, or reaches further, than any histogram of throng.
    #[error(
        "a histogram has {digits} significant digits up to {high} ns, but at most {DIGITS} up to {MOST_NS} ns are \
         allowed"
    )]
    TooLarge {
        /// Its significant digits.
        digits: u32,
        /// The highest value that it has room for, in nanoseconds.
        high: u64,
    },
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

    /// Both together, with the precision of the coarser one.
    pub fn and(&self, other: &PackedDurations) -> PackedDurations {
        let mut sum = Sum::default();
        if sum.add(&self.0)
            && sum.add(&other.0)
            && let Some(bytes) = sum.bytes()
        {
            return PackedDurations::from_bytes(bytes);
        }
        let mut all = self.unpack();
        all.merge(&other.unpack());
        PackedDurations::coarse(&all).unwrap_or_else(|| self.clone())
    }

    /// What is encoded, in V2's encoding.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What these bytes encode, which `pack` could have written.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> PackedDurations {
        PackedDurations(bytes.into())
    }

    /// The histogram.
    pub fn unpack(&self) -> Durations {
        // The bytes were written by `pack`.
        read(&self.0).map_or_else(|_| Durations::default(), Durations::from_histogram)
    }
}

pub(super) fn pack(histogram: &Histogram<u64>) -> PackedDurations {
    PackedDurations(write(V2Serializer::new(), histogram).into())
}

fn write(mut serializer: impl Serializer, histogram: &Histogram<u64>) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to a vector never fails, and counts below 2^63 can be encoded.
    let _ = serializer.serialize(histogram, &mut bytes);
    bytes
}

/// Reads a histogram in V2's encoding.
pub(super) fn read(mut bytes: &[u8]) -> Result<Histogram<u64>, PackedError> {
    let mut histogram: Histogram<u64> = Deserializer::new()
        .deserialize(&mut bytes)
        .map_err(|e| PackedError::NotHistogram(e.to_string()))?;
    histogram.auto(true);
    Ok(histogram)
}

/// Reads a histogram that may come from anybody, in V2's encoding with or without deflate. The deserializer allocates
/// what the header states, so the header is checked first.
fn read_foreign(bytes: &[u8]) -> Result<PackedDurations, PackedError> {
    let malformed = |why: &str| PackedError::NotHistogram(why.to_owned());
    let mut inflated = Vec::new();
    let plain = match bytes.strip_prefix(&V2_DEFLATE) {
        None => bytes,
        Some(rest) => {
            let deflated = rest.get(4..).ok_or_else(|| malformed("it is cut off"))?;
            ZlibDecoder::new(deflated)
                .take(MOST_BYTES as u64 + 1)
                .read_to_end(&mut inflated)
                .map_err(|e| malformed(&e.to_string()))?;
            if inflated.len() > MOST_BYTES {
                return Err(PackedError::TooLong);
            }
            &inflated
        }
    };
    let (header, counts) = plain
        .split_at_checked(HEADER)
        .ok_or_else(|| malformed("it is cut off"))?;
    if !header.starts_with(&V2) {
        return Err(malformed("it begins with other bytes"));
    }
    let u32_at = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| header[at + i]));
    let u64_at = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| header[at + i]));
    if u32_at(4) as usize > counts.len() {
        return Err(malformed("it is cut off"));
    }
    let (digits, high) = (u32_at(12), u64_at(24));
    if digits > DIGITS.into() || high > MOST_NS {
        return Err(PackedError::TooLarge { digits, high });
    }
    // Most are throng's own: those need not be decoded to be known as sound.
    match Plain::of(plain).is_some_and(|plain| plain.is_canonical()) {
        true => Ok(PackedDurations::from_bytes(plain.to_vec())),
        false => read(plain).map(|histogram| pack(&histogram)),
    }
}

impl TryFrom<String> for PackedDurations {
    type Error = PackedError;
    fn try_from(text: String) -> Result<PackedDurations, PackedError> {
        if text.len() > MOST_BYTES {
            return Err(PackedError::TooLong);
        }
        let bytes = STANDARD
            .decode(text)
            .map_err(|e| PackedError::NotBase64(e.to_string()))?;
        read_foreign(&bytes)
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
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use std::io::Write;
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
        assert_eq!(read(&"A".repeat(2 << 20)), PackedError::TooLong);
        let packed = PackedDurations::whole(&some()).unwrap();
        let cut = &packed.0[..packed.0.len() - 1];
        assert!(matches!(
            read(&STANDARD.encode(cut)),
            PackedError::NotHistogram(_)
        ));
    }

    /// A header that states these, without counts.
    fn header(length: u32, digits: u32, high: u64) -> Vec<u8> {
        let mut bytes = V2.to_vec();
        bytes.extend(length.to_be_bytes());
        bytes.extend(0u32.to_be_bytes());
        bytes.extend(digits.to_be_bytes());
        bytes.extend(1u64.to_be_bytes());
        bytes.extend(high.to_be_bytes());
        bytes.extend(1f64.to_be_bytes());
        bytes
    }

    fn deflated(bytes: &[u8]) -> Vec<u8> {
        let mut deflate = ZlibEncoder::new(Vec::new(), Compression::default());
        deflate.write_all(bytes).unwrap();
        let deflated = deflate.finish().unwrap();
        let length = (deflated.len() as u32).to_be_bytes();
        [&V2_DEFLATE[..], &length, &deflated].concat()
    }

    #[test]
    fn a_histogram_larger_than_any_of_throng_is_refused_before_it_takes_memory() {
        let hour = LONGEST.as_nanos() as u64;
        let large = |digits, high| PackedError::TooLarge { digits, high };
        let cut = PackedError::NotHistogram("it is cut off".into());
        let mut bomb = header(2 << 20, 3, hour);
        bomb.resize(3 << 20, 0);
        let cases = [
            (header(0, 3, u64::MAX), large(3, u64::MAX)),
            (header(0, 5, hour), large(5, hour)),
            (header(u32::MAX, 3, hour), cut),
            (bomb, PackedError::TooLong),
        ];
        for (bytes, why) in cases {
            for bytes in [deflated(&bytes), bytes] {
                if bytes.len() < MOST_BYTES / 2 {
                    let text = STANDARD.encode(&bytes);
                    assert_eq!(PackedDurations::try_from(text), Err(why.clone()));
                }
            }
        }
    }

    #[test]
    fn the_longest_span_and_every_count_are_within_the_bounds() {
        let mut durations = Durations::default();
        for n in 0..3600 * 50 {
            durations.record_many(Duration::from_millis(n * 20), u32::MAX);
        }
        durations.record(LONGEST * 2);
        for packed in [PackedDurations::whole, PackedDurations::coarse] {
            let packed = packed(&durations).unwrap();
            let text = String::from(packed.clone());
            assert_eq!(PackedDurations::try_from(text), Ok(packed));
        }
    }
}
