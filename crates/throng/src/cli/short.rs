//! The short help, `-h`: one screen with the options that are needed most often, and where the rest is.

use clap::builder::PossibleValue;
use clap::{Arg, ArgAction, Command};
use throng_report::page;

/// What the short help of a subcommand shows.
struct Short {
    /// The subcommand.
    name: &'static str,
    /// Its most common options, by their long names, in the order shown. Empty if all are shown.
    options: &'static [&'static str],
    /// A command line to begin with, and what it does.
    example: (&'static str, &'static str),
    /// Topics of `throng help` that belong to it.
    topics: &'static [&'static str],
}

/// The one list of what is common. Subcommands that are not in it have few options: their help is short by itself.
const COMMON: &[Short] = &[
    Short {
        name: "load",
        options: &[
            "self",
            "connections",
            "connect-rate",
            "source-ip",
            "message",
            "unescape-message-args",
            "message-rate",
            "rate",
            "latency-echo",
            "latency-marker",
            "tls",
            "hold",
            "duration",
            "expect",
            "output",
        ],
        example: (
            "throng load --self -c 10k",
            "10,000 connections from this process to itself",
        ),
        topics: &["messages", "verdict", "limits"],
    },
    Short {
        name: "http",
        options: &[
            "requests",
            "connections",
            "time",
            "rate",
            "no-keep-alive",
            "method",
            "header",
            "post",
            "body",
            "expect-status",
            "insecure",
            "expect",
            "output",
            "percentiles",
            "gnuplot",
        ],
        example: (
            "throng http -n 100k -c 100 http://10.0.0.7:8080/",
            "100,000 requests over 100 persistent connections",
        ),
        topics: &["http", "verdict", "messages"],
    },
    Short {
        name: "serve",
        options: &[
            "mode",
            "max-connections",
            "message",
            "message-rate",
            "tls",
            "ssl-cert",
            "ssl-key",
            "duration",
            "workers",
            "engine",
            "output",
            "quiet",
        ],
        example: ("throng serve --mode echo 9000", "send everything back"),
        topics: &["messages", "limits", "tls"],
    },
    Short {
        name: "proxy",
        options: &[
            "to",
            "balance",
            "source-ip",
            "connect-timeout",
            "left-out",
            "max-connections",
            "duration",
            "drain-timeout",
            "workers",
            "engine",
            "output",
            "quiet",
        ],
        example: (
            "throng proxy 8080 --to 10.0.0.7:80",
            "send each connection on to a backend",
        ),
        topics: &["proxy", "limits"],
    },
    Short {
        name: "run",
        options: &[
            "set",
            "output",
            "output-file",
            "quiet",
            "verbose",
            "latency-percentiles",
            "latency-log",
            "samples",
            "statsd",
        ],
        example: (
            "throng run ping.toml --set load.connections=50k",
            "50,000 connections instead of its number",
        ),
        topics: &["scenario", "messages", "verdict"],
    },
    Short {
        name: "fleet",
        options: &[
            "agents",
            "fit",
            "on-loss",
            "allow",
            "token-file",
            "nats",
            "nats-wait",
        ],
        example: (
            "throng fleet run --agents local:4 load HOST:9000",
            "one load by four processes, one summary",
        ),
        topics: &["fleet", "summary", "verdict"],
    },
    Short {
        name: "agent",
        options: &[],
        example: (
            "throng agent --stdio --allow 10.0.0.0/8:9000",
            "as `throng fleet run --agents exec:...` starts it",
        ),
        topics: &["fleet"],
    },
    Short {
        name: "plan",
        options: &[
            "connections",
            "role",
            "target",
            "source-ip",
            "per-client",
            "proxies",
            "message-size",
            "message-rate",
            "tls",
            "connect-rate",
            "survey",
            "host",
            "output",
        ],
        example: (
            "throng plan -c 100k --target 10.0.0.7:80",
            "what must change here for that",
        ),
        topics: &["limits"],
    },
    Short {
        name: "tune",
        options: &[
            "role",
            "connections",
            "port",
            "apply",
            "persist",
            "revert",
            "script",
            "container",
            "for",
            "os",
            "with",
            "pid",
            "output",
        ],
        example: (
            "throng tune --role server -c 1m",
            "show what is too low; change nothing",
        ),
        topics: &["limits"],
    },
    Short {
        name: "sweep",
        options: &[
            "vary",
            "repeat",
            "trim",
            "objective",
            "order",
            "pause",
            "start",
            "stop",
            "restart",
            "output-dir",
            "resume",
            "output",
            "quiet",
        ],
        example: (
            "throng sweep --vary connections=1..64*2 -- http URL",
            "requests per second over 1, 2, 4 ... 64 connections",
        ),
        topics: &["sweep", "verdict"],
    },
    Short {
        name: "probe",
        options: &[],
        example: (
            "throng probe path 10.0.0.7:9000",
            "once `throng probe --server 9000` runs there",
        ),
        topics: &["probe"],
    },
    Short {
        name: "watch",
        options: &[],
        example: (
            "throng watch $(pidof -s haproxy)",
            "what a connection costs it, until Ctrl-C",
        ),
        topics: &["watch"],
    },
    Short {
        name: "lab",
        options: &["serve", "start", "rate-limit", "loss", "on"],
        example: (
            "throng lab 8 --serve echo -- load {server}:9000",
            "hosts and a server on this machine",
        ),
        topics: &["lab", "limits"],
    },
    Short {
        name: "merge",
        options: &[],
        example: ("throng merge a.json b.json", "one summary of two runs"),
        topics: &["summary", "verdict"],
    },
    Short {
        name: "compare",
        options: &[],
        example: ("throng compare before/ after/", "whether they differ"),
        topics: &["compare", "verdict"],
    },
    Short {
        name: "report",
        options: &[],
        example: (
            "throng report run.json -o run.html",
            "a page with charts of a run",
        ),
        topics: &["report", "summary"],
    },
    Short {
        name: "worklog",
        options: &[],
        example: (
            "throng worklog . -o worklog.html",
            "all results in this directory",
        ),
        topics: &["report", "summary"],
    },
];

/// `command` with the short help in place of the full one. Its subcommands have been built.
pub(crate) fn with_short_help(mut command: Command) -> Command {
    command.build();
    for short in COMMON {
        command = command.mut_subcommand(short.name, |subcommand| {
            let text = short.drawn(&subcommand, page::columns());
            subcommand.override_help(text)
        });
    }
    command
}

impl Short {
    fn drawn(&self, command: &Command, columns: usize) -> String {
        let about = command.get_about().map(ToString::to_string);
        let usage = command.clone().render_usage().to_string();
        let places = command.get_positionals().map(row).collect::<Vec<_>>();
        let commands = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let commands: Vec<_> = commands.map(named).collect();
        let mut options: Vec<&Arg> = command.get_opts().chain(flags(command)).collect();
        let all = options.len();
        if !self.options.is_empty() {
            let place = |arg: &&Arg| self.options.iter().position(|o| Some(*o) == arg.get_long());
            options.retain(|arg| place(arg).is_some());
            options.sort_by_key(place);
        }
        let left = match all - options.len() {
            0 => String::new(),
            n => format!(" and {n} more options"),
        };
        let options: Vec<_> = options.into_iter().map(row).collect();
        let (line, does) = self.example;
        let topics: Vec<String> = self
            .topics
            .iter()
            .map(|t| format!("`throng help {t}`"))
            .collect();
        let more = format!(
            "--help has all details{left}. See also {}.",
            topics.join(", ")
        );
        [
            page::indented(&about.unwrap_or_default(), 0, columns),
            usage + "\n",
            page::list(&places, columns),
            match commands.is_empty() {
                true => String::new(),
                false => format!("Commands:\n{}", page::list(&commands, columns)),
            },
            format!("Options:\n{}", page::list(&options, columns)),
            format!(
                "Example: {line}\n{}{}",
                page::indented(does, 9, columns),
                page::indented(&more, 0, columns)
            ),
        ]
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .collect::<Vec<_>>()
        .join("\n")
    }
}

/// The options without a value, but for those that clap adds.
fn flags(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|arg| {
        let own = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count);
        own && !arg.is_positional() && !arg.is_hide_set()
    })
}

/// A subcommand's own subcommand, and what it does: the first clause of its help.
fn named(command: &Command) -> (String, String) {
    let about = command.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let ends = [", ", ": "].iter().filter_map(|end| about.find(end)).min();
    let does = &about[..ends.unwrap_or(about.len())];
    (command.get_name().to_owned(), does.to_owned())
}

/// How an option is written, and the gist of its help.
fn row(arg: &Arg) -> (String, String) {
    let written = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, Some(long)) => format!("    --{long}"),
        (None, None) => String::new(),
    };
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut help = gist(&help);
    let names = arg.get_value_names().unwrap_or_default().join(" ");
    let name = names.split('|').next().unwrap_or_default();
    if !arg.get_action().takes_values() {
        return (written, help);
    }
    let usual: Vec<_> = arg
        .get_default_values()
        .iter()
        .map(|v| v.to_string_lossy())
        .collect();
    if !usual.is_empty() {
        help += &format!(" [default: {}]", usual.join(" "));
    }
    let possible = arg.get_possible_values();
    let possible: Vec<&str> = possible.iter().map(PossibleValue::get_name).collect();
    if !possible.is_empty() {
        help += &format!(" [{}]", possible.join(", "));
    }
    let value = match (arg.is_positional(), arg.is_require_equals_set()) {
        (true, _) => name.to_owned(),
        (false, true) => format!("[={name}]"),
        (false, false) => format!(" {name}"),
    };
    (written + &value, help)
}

/// The first statement of a help text, and the default that it ends with if that is a value.
fn gist(help: &str) -> String {
    let remarks = [" [default: ", " [MODE: ", "; "];
    let ends = remarks.iter().filter_map(|remark| help.find(remark));
    let first = &help[..ends.min().unwrap_or(help.len())];
    match help.split_once("[default: ") {
        Some((_, usual)) if !usual.contains(' ') => format!("{first} [default: {usual}"),
        _ => first.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::help::TOPICS;
    use crate::grammar::command;

    #[test]
    fn a_help_text_is_shortened_to_its_gist() {
        for (help, short) in [
            (
                "Connections to open and hold",
                "Connections to open and hold",
            ),
            ("Send it; repeatable, in turn", "Send it"),
            (
                "A name or [IPv6] address; repeatable",
                "A name or [IPv6] address",
            ),
            (
                "Hold them this long [default: 10s]",
                "Hold them this long [default: 10s]",
            ),
            (
                "Threads; more than one [default: 1]",
                "Threads [default: 1]",
            ),
            (
                "Source addresses [default: the kernel's choice]",
                "Source addresses",
            ),
        ] {
            assert_eq!(gist(help), short);
        }
    }

    #[test]
    fn the_short_help_is_one_screen_and_says_where_the_rest_is() {
        let mut all = command();
        all.build();
        for short in COMMON {
            let subcommand = all.find_subcommand(short.name).expect("a subcommand");
            let text = short.drawn(subcommand, 80);
            assert!(
                text.lines().count() <= 40,
                "{}:\n{text}",
                text.lines().count()
            );
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
            for option in short.options {
                assert!(
                    text.contains(&format!("--{option}")),
                    "no --{option}:\n{text}"
                );
            }
            for other in subcommand.get_subcommands() {
                let line = format!("\n  {} ", other.get_name());
                assert!(text.contains(&line), "no {line}:\n{text}");
            }
            assert!(text.contains("--help"), "{text}");
            for topic in short.topics {
                assert!(TOPICS.iter().any(|it| it.name == *topic), "{topic}");
            }
        }
    }
}
