//! The settings as a table for people, the reasons and risks of those that are insufficient, and what was done.

use super::wrapped;
use crate::colour::{self, paint};
use crate::human;
use anstyle::Style;
use std::io::{self, Write};
use throng_core::tune::{Action, Current, Did, Report, Setting, Status};

/// Longer values (lists of reserved ports) are cut in the table; the JSON has the whole value.
const LONGEST_VALUE: usize = 28;

/// Draws `report` in lines of at most `columns`.
///
/// # Errors
/// Writing to `out` failed.
pub fn write_text(
    report: &Report,
    out: &mut impl Write,
    columns: usize,
    coloured: bool,
) -> io::Result<()> {
    let style = if report.ok { colour::GOOD } else { colour::BAD };
    for line in crate::text::wrapped(&verdict(report), columns) {
        writeln!(out, "{}", paint(&line, style, coloured))?;
    }
    // After a change, the values from before are outdated; the JSON has them.
    if report.action == Action::Check {
        writeln!(out)?;
        table(report, out, columns, coloured)?;
    }
    if !report.outcomes.is_empty() {
        writeln!(out, "\n{}", paint("What was done", colour::TITLE, coloured))?;
        for outcome in &report.outcomes {
            let (word, style) = match outcome.did {
                Did::Changed => ("changed", colour::GOOD),
                Did::AsItWas => ("nothing to do", colour::PLAIN),
                Did::Failed => ("failed", colour::BAD),
                Did::Foreign => ("left alone", colour::ODD),
            };
            writeln!(
                out,
                "  {}  {}",
                paint(&format!("{word:13}"), style, coloured),
                outcome.what
            )?;
            out.write_all(wrapped(&outcome.detail, "                 ", columns).as_bytes())?;
        }
    }
    reasons(report, out, columns, coloured)?;
    let last = match (&report.state_file, report.action) {
        (_, Action::Check) => {
            "Nothing was changed. --apply raises insufficient settings, --revert restores them; docs/tune.md has \
             every formula."
                .to_owned()
        }
        (Some(path), Action::Apply) => {
            format!("The old values are in {path}; `throng tune --revert` restores them.")
        }
        (Some(path), Action::Revert) => {
            format!("Values that were not restored are still in {path}.")
        }
        (None, _) => return Ok(()),
    };
    writeln!(out)?;
    out.write_all(wrapped(&last, "", columns).as_bytes())
}

/// The first line.
fn verdict(report: &Report) -> String {
    let done = |did: Did| report.outcomes.iter().filter(|o| o.did == did).count() as u64;
    let (changed, failed, foreign) = (done(Did::Changed), done(Did::Failed), done(Did::Foreign));
    let not_done = match (failed, foreign) {
        (0, 0) => String::new(),
        (n, 0) => format!(", {} failed", human::count(n)),
        (0, n) => format!(", {} left alone", human::count(n)),
        (n, m) => format!(
            ", {} failed, {} left alone",
            human::count(n),
            human::count(m)
        ),
    };
    let purpose = match (report.connections, report.role) {
        (Some(n), Some(role)) => format!(
            "{}, role {}",
            human::things(n.into(), "connection"),
            role.name()
        ),
        _ => String::new(),
    };
    match report.action {
        Action::Revert if report.outcomes.is_empty() => {
            "Nothing to restore: there is no state file".into()
        }
        Action::Revert => format!("{} restored{not_done}", human::count(changed)),
        Action::Apply if report.outcomes.is_empty() => {
            format!("All settings already suffice for {purpose}")
        }
        Action::Apply => format!("{} set{not_done}, for {purpose}", human::count(changed)),
        Action::Check => {
            let count = |status| {
                report
                    .settings
                    .iter()
                    .filter(|s| s.status == status)
                    .count() as u64
            };
            let (short, unread) = (count(Status::Short), count(Status::Unread));
            let are = |n| if n == 1 { "is" } else { "are" };
            match (short, unread) {
                (0, 0) => format!("All settings suffice for {purpose}"),
                (0, n) => format!(
                    "{} can't be read, for {purpose}",
                    human::things(n, "setting")
                ),
                (n, 0) => format!(
                    "{} {} insufficient for {purpose}",
                    human::things(n, "setting"),
                    are(n)
                ),
                (n, m) => format!(
                    "{} {} insufficient and {} can't be read, for {purpose}",
                    human::things(n, "setting"),
                    are(n),
                    human::count(m)
                ),
            }
        }
    }
}

fn state(status: Status) -> (&'static str, Style) {
    match status {
        Status::Enough => ("enough", colour::PLAIN),
        Status::Short => ("insufficient", colour::BAD),
        Status::OnRequest => ("on request", colour::ODD),
        Status::Absent => ("not here", colour::PLAIN),
        Status::Unread => ("not read", colour::BAD),
    }
}

fn table(report: &Report, out: &mut impl Write, columns: usize, coloured: bool) -> io::Result<()> {
    let rows: Vec<[String; 3]> = report.settings.iter().map(row).collect();
    let titles = ["setting", "now", "needed"].map(str::to_owned);
    let width = |i: usize| {
        rows.iter()
            .chain([&titles])
            .map(|r| r[i].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    let states = report.settings.iter().map(|s| state(s.status).0.len());
    let widest = widths.iter().sum::<usize>() + 2 * 4 + states.max().unwrap_or(0);
    if widest > columns {
        return list(report, &rows, out, columns, coloured);
    }
    let line = |r: &[String; 3]| {
        format!(
            "  {:<a$}  {:<b$}  {:<c$}",
            r[0],
            r[1],
            r[2],
            a = widths[0],
            b = widths[1],
            c = widths[2]
        )
    };
    writeln!(
        out,
        "{}",
        paint(line(&titles).trim_end(), colour::TITLE, coloured)
    )?;
    for (setting, row) in report.settings.iter().zip(&rows) {
        let (word, style) = state(setting.status);
        writeln!(out, "{}  {}", line(row), paint(word, style, coloured))?;
    }
    Ok(())
}

/// The table where its columns do not fit.
fn list(
    report: &Report,
    rows: &[[String; 3]],
    out: &mut impl Write,
    columns: usize,
    coloured: bool,
) -> io::Result<()> {
    for (setting, [name, now, needed]) in report.settings.iter().zip(rows) {
        let (word, style) = state(setting.status);
        writeln!(out, "  {name}: {}", paint(word, style, coloured))?;
        let values = format!("now {now}, needed {needed}");
        out.write_all(wrapped(&values, "      ", columns).as_bytes())?;
    }
    Ok(())
}

fn row(setting: &Setting) -> [String; 3] {
    let now = match &setting.now {
        Current::Value(text) if text.trim().is_empty() => "none".into(),
        Current::Value(_) => cut(&setting.now.to_string()),
        Current::Absent(_) | Current::Unread(_) => "-".into(),
    };
    let wanted = match setting.status {
        Status::Absent => "-".into(),
        _ if setting.wanted.is_empty() => "none".into(),
        _ => cut(&setting.wanted),
    };
    [setting.name.clone(), now, wanted]
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST_VALUE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_VALUE - 1).chain(['…']).collect()
}

/// The reasons and risks of settings that are insufficient.
fn reasons(
    report: &Report,
    out: &mut impl Write,
    columns: usize,
    coloured: bool,
) -> io::Result<()> {
    for (status, title) in [
        (Status::Short, "Insufficient"),
        (Status::Unread, "Can't be read"),
        (Status::OnRequest, "Only on request"),
        (Status::Absent, "Not here"),
    ] {
        // After a change, its outcome has said this.
        if report.action != Action::Check && status != Status::Absent {
            continue;
        }
        let mut rows = report
            .settings
            .iter()
            .filter(|s| s.status == status)
            .peekable();
        if rows.peek().is_none() {
            continue;
        }
        writeln!(out, "\n{}", paint(title, colour::TITLE, coloured))?;
        for setting in rows {
            let with = match (status, setting.with) {
                (Status::OnRequest, Some(extra)) => format!("  (--with {})", extra.name()),
                _ => String::new(),
            };
            writeln!(out, "  {}{with}", setting.name)?;
            if let Current::Absent(why) | Current::Unread(why) = &setting.now {
                out.write_all(wrapped(&format!("{why}."), "      ", columns).as_bytes())?;
            }
            if status == Status::Absent {
                continue;
            }
            out.write_all(wrapped(&setting.why, "      ", columns).as_bytes())?;
            if !setting.risk.is_empty() {
                let risk = format!("Risk: {}", setting.risk);
                out.write_all(wrapped(&risk, "      ", columns).as_bytes())?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use throng_core::tune::{Ask, Now, Outcome, Role, settings};

    fn drawn(report: &Report) -> String {
        let mut out = Vec::new();
        write_text(report, &mut out, 100, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn check(now: &[(&str, &str)]) -> Report {
        let ask = Ask {
            role: Role::Server,
            connections: 5000,
            ports: Vec::new(),
            with: Vec::new(),
        };
        let mut machine = Now::unknown();
        for (name, value) in now {
            let reading = match value.strip_prefix('!') {
                Some(why) => Current::Absent(why.into()),
                None => Current::Value((*value).into()),
            };
            machine.sysctls.insert((*name).into(), reading);
        }
        let all = settings(&ask, &machine);
        let known = |s: &Setting| now.iter().any(|(name, _)| *name == s.name);
        Report::check(ask.role, 5000, all.into_iter().filter(known).collect())
    }

    #[test]
    fn the_table_has_what_is_insufficient_with_reason_and_risk() {
        let text = drawn(&check(&[
            ("net.core.somaxconn", "4096"),
            ("fs.file-max", "9223372036854775807"),
            ("net.ipv4.tcp_mem", "!the host's"),
            ("net.ipv4.tcp_syncookies", "1"),
        ]));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[0],
            "1 setting is insufficient for 5,000 connections, role server"
        );
        let row = |name: &str| {
            let line = lines.iter().find(|l| l.trim().starts_with(name)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            row("net.core.somaxconn"),
            "net.core.somaxconn 4096 5000 insufficient"
        );
        assert_eq!(row("net.ipv4.tcp_mem"), "net.ipv4.tcp_mem - - not here");
        assert!(row("fs.file-max").ends_with("enough"));
        assert!(row("net.ipv4.tcp_syncookies").ends_with("1 0 on request"));
        for part in [
            "accept queue",
            "Risk: Off,",
            "--with syncookies-off",
            "the host's.",
            "Nothing was changed.",
        ] {
            assert!(text.contains(part), "no '{part}':\n{text}");
        }
    }

    #[test]
    fn the_first_line_is_the_verdict() {
        let did = |all: &[Did]| {
            all.iter()
                .map(|d| Outcome::new("x", *d, "y"))
                .collect::<Vec<_>>()
        };
        for (action, outcomes, line) in [
            (
                Action::Apply,
                did(&[]),
                "All settings already suffice for 5,000 connections, role server",
            ),
            (
                Action::Apply,
                did(&[Did::Changed, Did::Failed, Did::Changed]),
                "2 set, 1 failed, for 5,000 connections, role server",
            ),
            (
                Action::Revert,
                did(&[Did::Changed, Did::Foreign]),
                "1 restored, 1 left alone",
            ),
            (
                Action::Revert,
                did(&[]),
                "Nothing to restore: there is no state file",
            ),
        ] {
            let report = Report {
                action,
                outcomes,
                ..check(&[])
            };
            assert_eq!(drawn(&report).lines().next(), Some(line));
        }
        let none = drawn(&check(&[("net.core.somaxconn", "5000")]));
        assert!(
            none.starts_with("All settings suffice for 5,000 connections"),
            "{none}"
        );
    }
}
