//! A run as a report of JUnit (`--junit FILE`), for programs that collect those of tests: a test case for the verdict, and
//! one for each expectation.
//!
//! The elements and attributes are those that Jenkins' schema (jenkins-junit.xsd) and Maven Surefire's have in common.

use crate::ci;
use crate::text::{command_line, verdict};
use crate::utc::date_and_time;
use std::io::{self, Write};
use throng_core::summary::{Expected, Summary};

/// Writes the report of `summary` to `out`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_junit(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let failed = ci::is_failed(summary);
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
        ("command", &command_line(&summary.command)),
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
    let message = verdict(summary);
    let findings: Vec<String> = summary.findings.iter().map(ToString::to_string).collect();
    Failed {
        kind: ci::kind(summary),
        text: match findings.is_empty() {
            true => message.clone(),
            false => findings.join("\n"),
        },
        message,
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
}
