//! Points in time as people and other programs read them.

/// Seconds since 1970 as `YYYY-MM-DDThh:mm:ss` (UTC), to the second.
pub fn date_and_time(unix_s: f64) -> String {
    let seconds = unix_s as i64;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years that begin in March, in eras of 400 years, as in "chrono-Compatible Low-Level Date Algorithms".
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let leaps = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_a_date_and_a_time() {
        for (unix_s, written) in [
            (0.0, "1970-01-01T00:00:00"),
            (951_782_399.9, "2000-02-28T23:59:59"),
            (951_782_400.0, "2000-02-29T00:00:00"),
            (1_760_000_000.25, "2025-10-09T08:53:20"),
            (4_107_542_400.0, "2100-03-01T00:00:00"),
        ] {
            assert_eq!(date_and_time(unix_s), written);
        }
    }
}
