//! A run as a report of JUnit (`--junit FILE`), for programs that collect those of tests: a test case for the verdict, and
//! one for each expectation.
//!
//! The elements and attributes are those that Jenkins' schema (jenkins-junit.xsd) and Maven Surefire's have in common.

use crate::text::verdict;
use std::io::{self, Write};
use throng_core::summary::{Expected, Summary};

/// Writes the report of `summary` to `out`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_junit(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let failed = summary.interrupted || !summary.reached;
    let unmet = summary.expectations.iter().filter(|e| !e.met).count();
    let (tests, failures) = (1 + summary.expectations.len(), usize::from(failed) + unmet);
    let name = escaped(&format!("throng {}", summary.role));
    let class = format!("throng.{}", summary.role);
    let time = format!("{:.3}", summary.seconds);
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"{time}\"");
    let began = date_and_time(summary.started_unix_s);
    writeln!(out, r#"<?xml version="1.0" encoding="UTF-8"?>"#)?;
    writeln!(out, "<testsuites name=\"throng\" {counts}>")?;
    writeln!(
        out,
        "  <testsuite name=\"{name}\" {counts} skipped=\"0\" timestamp=\"{began}\">"
    )?;
    writeln!(out, "    <properties>")?;
    for (name, value) in [
        ("tool", &summary.tool),
        ("command", &summary.command.join(" ")),
        ("kernel", &summary.kernel),
    ] {
        let value = escaped(value);
        writeln!(out, "      <property name=\"{name}\" value=\"{value}\"/>")?;
    }
    writeln!(out, "    </properties>")?;
    let case = Case {
        class: &class,
        name: "the run reached what was asked for",
        time: Some(&time),
    };
    case.write(out, failed.then(|| of_verdict(summary)))?;
    for expected in &summary.expectations {
        let case = Case {
            class: &format!("{class}.expect"),
            name: &expected.expression.to_string(),
            time: None,
        };
        case.write(out, (!expected.met).then(|| of_expectation(expected)))?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

/// A test case.
struct Case<'a> {
    class: &'a str,
    name: &'a str,
    /// How long it took, in seconds.
    time: Option<&'a str>,
}

/// Why a test case failed.
struct Failed {
    kind: &'static str,
    message: String,
    text: String,
}

impl Case<'_> {
    fn write(&self, out: &mut impl Write, failed: Option<Failed>) -> io::Result<()> {
        let (class, name) = (escaped(self.class), escaped(self.name));
        write!(out, "    <testcase classname=\"{class}\" name=\"{name}\"")?;
        if let Some(time) = self.time {
            write!(out, " time=\"{time}\"")?;
        }
        let Some(failed) = failed else {
            return writeln!(out, "/>");
        };
        let (message, text) = (escaped(&failed.message), escaped(&failed.text));
        writeln!(out, ">")?;
        let kind = failed.kind;
        writeln!(
            out,
            "      <failure type=\"{kind}\" message=\"{message}\">{text}</failure>\n    </testcase>"
        )
    }
}

/// The verdict of a run that failed, with everything else that is worth knowing of it.
fn of_verdict(summary: &Summary) -> Failed {
    let kind = match summary.findings.first() {
        _ if summary.interrupted => "interrupted",
        Some(finding) => finding.kind(),
        None => "fell_short",
    };
    let findings = summary.findings.iter().map(ToString::to_string);
    Failed {
        kind,
        message: verdict(summary),
        text: findings.collect::<Vec<_>>().join("\n"),
    }
}

fn of_expectation(expected: &Expected) -> Failed {
    let said = format!("{}: measured {}", expected.expression, expected.measured);
    Failed {
        kind: "expectation_failed",
        message: said.clone(),
        text: said,
    }
}

/// `text` for an attribute or an element. Characters that XML 1.0 cannot have (section 2.2) become U+FFFD.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            // A parser makes blanks of those of an attribute.
            '\n' | '\t' | '\r' => out += &format!("&#{};", u32::from(c)),
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Seconds since 1970 as `YYYY-MM-DDThh:mm:ss` (UTC), to the second.
fn date_and_time(unix_s: f64) -> String {
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
    fn what_xml_reserves_is_escaped_and_what_it_cannot_have_is_replaced() {
        for (text, out) in [
            ("a<b & \"c\">d", "a&lt;b &amp; &quot;c&quot;&gt;d"),
            ("two\nlines\t", "two&#10;lines&#9;"),
            ("\x1b[1m\0", "\u{fffd}[1m\u{fffd}"),
            ("Grüße 𝄞 '", "Grüße 𝄞 '"),
        ] {
            assert_eq!(escaped(text), out);
        }
    }

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
