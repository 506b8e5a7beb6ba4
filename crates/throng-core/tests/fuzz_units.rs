//! Numbers with units and rate profiles: whatever is written is read within its limits, or refused in one
//! line.

mod fuzzing;

use fuzzing::fuzz;
use std::fmt::Display;
use std::time::Duration;
use throng_core::pacing::{Piece, Profile};
use throng_core::units::{self, Bandwidth, Rate};

fn one_line<T, E: Display>(read: Result<T, E>) -> Option<T> {
    read.map_err(|error| {
        let error = error.to_string();
        assert!(!error.contains(['\n', '\r', '\0', '\x1b']), "{error:?}");
        assert!(!error.is_empty());
    })
    .ok()
}

/// serde_json reads a number back to the last bit but one.
fn same(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-15 * b.abs(), "{a} {b}");
}

#[test]
fn numbers_are_within_their_limits_or_refused_in_one_line() {
    let mut read = 0;
    fuzz("units", 1, |text| {
        let text = String::from_utf8_lossy(text);
        read += u32::from(one_line(units::count(&text)).is_some());
        if let Some(bytes) = one_line(units::bytes(&text)) {
            assert!(bytes < 1 << 53);
        }
        if let Some(span) = one_line(units::duration(&text)) {
            assert!(span <= Duration::from_secs(100 * 365 * 86_400));
        }
        if let Some(rate) = one_line(units::rate_or_zero(&text)) {
            assert!((0.0..=1e9).contains(&rate));
        }
        if let Some(rate) = one_line(text.parse::<Rate>()) {
            assert!(rate.get() > 0.0 && rate.get() <= 1e9);
            let json = serde_json::to_string(&rate).unwrap();
            same(
                serde_json::from_str::<Rate>(&json).unwrap().get(),
                rate.get(),
            );
        }
        if let Some(bandwidth) = one_line(text.parse::<Bandwidth>()) {
            assert!((0.0..=1e15).contains(&bandwidth.get()));
            let json = serde_json::to_string(&bandwidth).unwrap();
            let read = serde_json::from_str::<Bandwidth>(&json).unwrap();
            same(read.get(), bandwidth.get());
        }
    });
    assert!(read > 1000, "only {read} inputs were numbers");
}

#[test]
fn profiles_hold_together_or_are_refused_in_one_line() {
    let mut read = 0;
    fuzz("units", 2, |text| {
        let text = String::from_utf8_lossy(text);
        let lines = text.lines().try_fold(Profile::new(), |mut profile, line| {
            if let Some(piece) = Piece::from_line(line, 1)? {
                profile.push(piece)?;
            }
            Ok(profile)
        });
        for profile in [text.parse::<Profile>(), lines] {
            let Some(profile) = one_line(profile) else {
                continue;
            };
            let end = profile.duration();
            assert_eq!(end.is_zero(), profile.pieces().is_empty());
            read += u32::from(!end.is_zero());
            let total = profile.total(end);
            assert!(total.is_finite() && total >= 0.0);
            let half = profile.total(end / 2);
            assert!((0.0..=total).contains(&half), "{text}");
            let json = serde_json::to_string(&profile).unwrap();
            let read: Profile = serde_json::from_str(&json).unwrap();
            assert_eq!(read.duration(), end);
            same(read.total(end), total);
        }
    });
    assert!(read > 1000, "only {read} inputs were profiles");
}
