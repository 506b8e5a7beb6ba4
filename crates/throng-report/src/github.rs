//! A run for GitHub's workflows (`--github`): annotations, which the runner finds in a step's output, and Markdown for the
//! page of the run.
//!
//! "Workflow commands for GitHub Actions" describes both, and which characters a command escapes.

use crate::ci;
use crate::text::{Latencies, PERCENTILES, command_line, rows, verdict};
use std::io::{self, Write};
use throng_core::summary::Summary;

/// Writes an annotation for each finding: errors if the run fell short, else notices.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_annotations(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let failed = ci::is_failed(summary);
    let mut annotate = |level: &str, kind: &str, text: &str| {
        let title = property(&format!("throng {}: {kind}", summary.role));
        writeln!(out, "::{level} title={title}::{}", data(text))
    };
    if failed {
        annotate("error", ci::kind(summary), &verdict(summary))?;
    }
    // The first finding of a run that fell short is its verdict.
    let said = usize::from(failed && !summary.reached);
    for finding in summary.findings.iter().skip(said) {
        let level = if failed { "warning" } else { "notice" };
        annotate(level, finding.kind(), &finding.to_string())?;
    }
    Ok(())
}

/// Writes the summary as Markdown: the verdict, the findings, the expectations, and tables of the
/// latencies and of the other numbers.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_markdown(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let mark = match ci::is_failed(summary) {
        true => "❌",
        false => "✅",
    };
    writeln!(out, "### {mark} {}\n", plain(&verdict(summary)))?;
    // Quoted for a shell it is one line, whose start is no fence.
    writeln!(out, "```sh\n{}\n```\n", command_line(&summary.command))?;
    for finding in &summary.findings {
        writeln!(out, "- {}", plain(&finding.to_string()))?;
    }
    if !summary.findings.is_empty() {
        writeln!(out)?;
    }
    if !summary.expectations.is_empty() {
        writeln!(out, "| | expectation | measured |\n| --- | --- | --- |")?;
        for expected in &summary.expectations {
            let mark = if expected.met { "✅" } else { "❌" };
            let (expression, measured) = (
                plain(&expected.expression.to_string()),
                plain(&expected.measured),
            );
            writeln!(out, "| {mark} | {expression} | {measured} |")?;
        }
        writeln!(out)?;
    }
    write_latencies(summary, out)?;
    writeln!(out, "| | | | |\n| --- | --- | ---: | --- |")?;
    let mut under = "";
    for row in rows(summary) {
        let title = if row.title == under { "" } else { row.title };
        under = row.title;
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            plain(title),
            plain(row.label),
            plain(&row.value),
            plain(&row.remark)
        )?;
    }
    writeln!(out)
}

/// Writes the latencies that were measured, if any, as the text output has them.
fn write_latencies(summary: &Summary, out: &mut impl Write) -> io::Result<()> {
    let rows = Latencies::of(summary, true).rows;
    if rows.is_empty() {
        return Ok(());
    }
    let head = PERCENTILES.map(|(percentile, _)| percentile);
    writeln!(out, "| latency | {} |", head.join(" | "))?;
    writeln!(out, "| --- |{}", " ---: |".repeat(head.len()))?;
    for row in rows {
        let cells = row.cells.map(|cell| plain(&cell));
        writeln!(out, "| {} | {} |", plain(row.label), cells.join(" | "))?;
    }
    writeln!(out)
}

/// The text of a command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// The value of a command's property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// `text` as Markdown that shows it as it is, in one line.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' => out.push(' '),
            '\\' | '|' | '*' | '_' | '`' | '<' | '>' | '[' | ']' | '#' | '~' | '&' | '@' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_one_line_whatever_the_text_has() {
        assert_eq!(data("90 % of\r\n::it, all"), "90 %25 of%0D%0A::it, all");
        assert_eq!(property("throng: a, b%"), "throng%3A a%2C b%25");
    }

    #[test]
    fn markdown_shows_a_text_as_it_is() {
        assert_eq!(
            plain("a|b *c* <d>\n[e](f) `g` tcp_mem"),
            r"a\|b \*c\* \<d\> \[e\](f) \`g\` tcp\_mem"
        );
    }
}
