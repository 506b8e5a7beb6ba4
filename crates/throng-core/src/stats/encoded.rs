//! The bytes of encoded histograms: HdrHistogram's V2 encoding, read and added up without making histograms of them.

/// The first bytes of an encoded histogram: V2.
pub(super) const V2: [u8; 4] = [0x1c, 0x84, 0x93, 0x13];
/// The length of a V2 header: cookie, length of the counts, offset (4 bytes each), significant digits (4), lowest and
/// highest value (8 each), ratio (8).
pub(super) const HEADER: usize = 40;

/// What a bucket of a histogram stands for: two with the same precision have the same buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Precision {
    digits: u32,
    low: u64,
}

/// A sum of histograms of one precision.
#[derive(Debug, Default)]
pub(super) struct Sum {
    /// The precision of the first one.
    of: Option<Precision>,
    /// The highest value that any of them has room for.
    high: u64,
    /// How often each bucket occurred.
    counts: Vec<u64>,
}

impl Sum {
    /// Adds a histogram, unless it is encoded in another way, or of another precision than those before. Returns whether it was
    /// added.
    pub fn add(&mut self, bytes: &[u8]) -> bool {
        let plain = Plain::of(bytes);
        let alike = plain.filter(|plain| *self.of.get_or_insert(plain.of) == plain.of);
        if let Some(plain) = &alike {
            self.high = self.high.max(plain.high);
            plain.add_to(&mut self.counts);
        }
        alike.is_some()
    }

    /// The sum, encoded; `None` if it is empty.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let of = self.of.filter(|_| !self.counts.is_empty())?;
        Some(encode(of, self.high, &self.counts))
    }
}

/// A histogram in V2's encoding, whose counts follow its header.
pub(super) struct Plain<'b> {
    of: Precision,
    /// The highest value that it has room for.
    high: u64,
    counts: &'b [u8],
}

impl<'b> Plain<'b> {
    /// What `bytes` encode, as this library writes it; `None` if they are something else.
    pub fn of(bytes: &'b [u8]) -> Option<Plain<'b>> {
        let (header, counts) = bytes.split_at_checked(HEADER)?;
        let u32_at = |at: usize| u32::from_be_bytes(std::array::from_fn(|i| header[at + i]));
        let u64_at = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| header[at + i]));
        let usual = header.starts_with(&V2)
            && u32_at(4) as usize == counts.len()
            && u32_at(8) == 0
            && u64_at(32) == 1f64.to_bits();
        usual.then(|| Plain {
            of: Precision {
                digits: u32_at(12),
                low: u64_at(16),
            },
            high: u64_at(24),
            counts,
        })
    }

    /// Whether these are exactly the bytes that this library writes for the histogram.
    pub fn is_canonical(&self) -> bool {
        let mut counts = Vec::new();
        let Some(places) = self.places() else {
            return false;
        };
        let fits = Runs(self.counts)
            .try_fold(0u64, |at, run| at.checked_add(run?.length()))
            .is_some_and(|length| length <= places);
        if !fits {
            return false;
        }
        self.add_to(&mut counts);
        // Whatever is written in another way comes out differently.
        counts.last().is_some_and(|last| *last > 0)
            && encode(self.of, self.high, &counts)[HEADER..] == *self.counts
    }

    /// How many buckets it has; `None` if there is no such histogram.
    pub fn places(&self) -> Option<u64> {
        self.of.places(self.high)
    }

    /// Adds its counts, bucket by bucket.
    fn add_to(&self, counts: &mut Vec<u64>) {
        let mut at = 0;
        for run in Runs(self.counts).map_while(|run| run) {
            if let Run::Count(n) = run {
                if counts.len() <= at {
                    counts.resize(at + 1, 0);
                }
                counts[at] = counts[at].saturating_add(n).min(i64::MAX as u64);
            }
            at += run.length() as usize;
        }
    }
}

impl Precision {
    /// How many buckets a histogram has that has room for values up to `high`; `None` if there is no such histogram.
    fn places(self, high: u64) -> Option<u64> {
        // As in HdrHistogram: the buckets of twice 10^digits values, rounded up to a power of two; half of them in each further
        // doubling.
        let largest = 10u64
            .checked_pow(self.digits)
            .filter(|_| self.digits <= 5)?
            * 2;
        let sub_buckets = largest.next_power_of_two();
        let unit = self.low.checked_ilog2()?;
        let mut reach = sub_buckets
            .checked_shl(unit)
            .filter(|r| r >> unit == sub_buckets)?;
        if high / 2 < self.low {
            return None;
        }
        let mut doublings = 1;
        while reach <= high {
            doublings += 1;
            reach = match reach.checked_mul(2) {
                Some(reach) => reach,
                None => break,
            };
        }
        Some((doublings + 1) * (sub_buckets / 2))
    }
}

/// A piece of encoded counts.
#[derive(Clone, Copy)]
enum Run {
    /// A bucket with this count.
    Count(u64),
    /// So many empty buckets.
    Empty(u64),
}

impl Run {
    /// How many buckets it is.
    fn length(self) -> u64 {
        match self {
            Run::Count(_) => 1,
            Run::Empty(n) => n,
        }
    }
}

/// The pieces of encoded counts: numbers of 7 bits in each byte, the ninth of 8, with the sign in the lowest bit. `Some(None)` is
/// a number that was cut off, after which there is nothing.
struct Runs<'b>(&'b [u8]);

impl Iterator for Runs<'_> {
    type Item = Option<Run>;

    fn next(&mut self) -> Option<Option<Run>> {
        if self.0.is_empty() {
            return None;
        }
        let (mut number, mut at) = (0u64, 0);
        loop {
            let Some(byte) = self.0.get(at).copied() else {
                self.0 = &[];
                return Some(None);
            };
            if at == 8 {
                number |= u64::from(byte) << 56;
                break;
            }
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                break;
            }
            at += 1;
        }
        self.0 = &self.0[at + 1..];
        let half = number >> 1;
        Some(Some(match (number & 1, half) {
            (0, 0) => Run::Empty(1),
            (0, count) => Run::Count(count),
            // Of -n, ones' complement.
            (_, ones) => Run::Empty(ones.saturating_add(1)),
        }))
    }
}

/// The bytes of a histogram with these counts, the last of which is not 0.
fn encode(of: Precision, high: u64, counts: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + counts.len());
    bytes.extend(V2);
    bytes.extend([0; 8]);
    bytes.extend(of.digits.to_be_bytes());
    bytes.extend(of.low.to_be_bytes());
    bytes.extend(high.to_be_bytes());
    bytes.extend(1f64.to_be_bytes());
    let mut empty = 0u64;
    for count in counts {
        if *count == 0 {
            empty += 1;
            continue;
        }
        match std::mem::take(&mut empty) {
            0 => {}
            1 => put(&mut bytes, 0),
            n => put(&mut bytes, n * 2 - 1),
        }
        put(&mut bytes, count * 2);
    }
    let length = (bytes.len() - HEADER) as u32;
    bytes[4..8].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn put(bytes: &mut Vec<u8>, mut number: u64) {
    for _ in 0..8 {
        if number < 0x80 {
            bytes.push(number as u8);
            return;
        }
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
