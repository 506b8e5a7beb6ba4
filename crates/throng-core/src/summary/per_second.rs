//! Rates over an interval.

/// Rate per second; 0 for an empty interval.
pub(crate) fn per_s(n: f64, seconds: f64) -> f64 {
    if seconds > 0.0 { n / seconds } else { 0.0 }
}
