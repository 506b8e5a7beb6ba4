//! Breaks prose and command lines into lines that fit.

use crate::colour::{PLAIN, paint};
use anstyle::Style;

/// Columns that prose is wrapped to where the width is unknown: those of the narrowest usual terminal.
pub(crate) const COLUMNS: usize = 80;

/// Words that belong to the number before them.
const UNITS: [&str; 22] = [
    "%", "ns", "us", "µs", "ms", "s", "m", "h", "d", "B", "KB", "kB", "MB", "GB", "TB", "KiB",
    "MiB", "GiB", "TiB", "PiB", "EiB", "k",
];

/// A word and how it is painted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    text: String,
    style: Style,
}

/// The words of `text`, all in `style`.
pub(super) fn styled(text: &str, style: Style) -> impl Iterator<Item = Word> {
    text.split_whitespace().map(move |word| Word {
        text: word.to_owned(),
        style,
    })
}

/// Breaks `words` into lines of at most `columns`. A longer word stays whole, and so does a number with its unit.
pub(super) fn filled(words: impl IntoIterator<Item = Word>, columns: usize) -> Vec<Vec<Word>> {
    let mut lines: Vec<Vec<Word>> = vec![Vec::new()];
    // The columns that the last line takes, and from which of its words on it can't be broken.
    let (mut taken, mut whole) = (0, 0);
    for word in words {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        match line.last() {
            None => taken = 0,
            Some(before) if !belong_together(&before.text, &word.text) => {
                (taken, whole) = (taken + 1, line.len());
            }
            Some(_) => taken += 1,
        }
        taken += word.text.chars().count();
        line.push(word);
        if taken > columns && whole > 0 {
            let next = line.split_off(whole);
            let letters = next.iter().map(|word| word.text.chars().count());
            (taken, whole) = (letters.sum::<usize>() + next.len() - 1, 0);
            lines.push(next);
        }
    }
    lines
}

/// Whether no line may end between these words: they are parts of one number.
pub(crate) fn belong_together(word: &str, next: &str) -> bool {
    let digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let number = word.trim_start_matches(['(', '<', '>', '=', '~', '-']);
    let sign = matches!(word, "<" | ">" | "<=" | ">=" | "≤" | "≥" | "±" | "~");
    (digit(number) && (is_unit(next) || is_clock(number, next))) || (sign && digit(next))
}

fn is_unit(word: &str) -> bool {
    let word = word.trim_end_matches([',', '.', ';', ':', ')']);
    UNITS.contains(&word.strip_suffix("/s").unwrap_or(word))
}

/// Whether this is a span of time in two units, as in `1m 05s`.
fn is_clock(greater: &str, smaller: &str) -> bool {
    let smaller = smaller.trim_end_matches([',', '.', ';', ':', ')']);
    let in_unit = |text: &str, units: [char; 3]| {
        let number = text.strip_suffix(units).unwrap_or_default();
        !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
    };
    in_unit(greater, ['d', 'h', 'm']) && in_unit(smaller, ['h', 'm', 's'])
}

/// A line of words, painted if `colour`.
pub(super) fn painted(line: &[Word], colour: bool) -> String {
    let runs = line.chunk_by(|one, other| one.style == other.style);
    let runs = runs.map(|run| {
        let words: Vec<&str> = run.iter().map(|word| word.text.as_str()).collect();
        paint(&words.join(" "), run[0].style, colour)
    });
    runs.collect::<Vec<_>>().join(" ")
}

/// Breaks `text` between words into lines of at most `columns`. A longer word stays whole, and so does a number with its
/// unit.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let lines = filled(styled(text, PLAIN), columns);
    lines.iter().map(|line| painted(line, false)).collect()
}

/// A command line, quoted for a shell, in lines of at most `columns` that can be pasted together.
pub(crate) fn command(words: &[String], columns: usize) -> Vec<String> {
    continued(words.iter().map(|word| quoted(word)), columns)
}

/// A command line, quoted for a shell, in one line.
pub(crate) fn command_line(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    words.join(" ")
}

/// Words of a command line in lines of at most `columns`. Each line but the last ends with a backslash, which continues
/// the command.
fn continued(words: impl IntoIterator<Item = String>, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        // The backslash takes two columns.
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() + 2 > columns {
            *line += " \\";
            lines.push(format!("  {word}"));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            *line += &word;
        }
    }
    lines
}

/// A shell command in lines of at most `columns` that can be pasted together. Quoted text is not broken.
pub(crate) fn shell_lines(command: &str, columns: usize) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in command.chars() {
        match quote {
            None if c == ' ' => {
                words.push(String::new());
                continue;
            }
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if c == open => quote = None,
            _ => {}
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    continued(words, columns)
}

/// `word`, in quotes if a shell would interpret it.
fn quoted(word: &str) -> String {
    let safe = |c: char| c.is_alphanumeric() || "-_./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word.to_owned()
    } else if word.contains(char::is_control) {
        let escaped = |c: char| match c {
            '\'' | '\\' => format!("\\{c}"),
            '\r' => r"\r".into(),
            '\n' => r"\n".into(),
            c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
            // Control characters above ASCII (U+0080 to U+009F).
            c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
            c => c.into(),
        };
        format!("$'{}'", word.chars().map(escaped).collect::<String>())
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::colour::DIM;

    #[test]
    fn prose_is_wrapped_between_words() {
        assert_eq!(wrapped("", 10), [""]);
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a unbreakable b", 5), ["a", "unbreakable", "b"]);
        assert_eq!(wrapped("within 1 %. So", 9), ["within", "1 %. So"]);
        assert_eq!(wrapped("took 19.8 s, all", 9), ["took", "19.8 s,", "all"]);
        assert_eq!(wrapped("only a % b", 6), ["only a", "% b"]);
        for whole in ["1m 05s,", "935 KiB/s", "> 31.5 ms", "(12 %)", "< 20 ms."] {
            let text = format!("one {whole} two");
            assert_eq!(wrapped(&text, 5), ["one", whole, "two"]);
        }
        assert_eq!(wrapped("1m connections", 5), ["1m", "connections"]);
    }

    #[test]
    fn a_line_is_painted_in_runs_of_one_style() {
        let words: Vec<Word> = styled("a b", PLAIN).chain(styled("c d", DIM)).collect();
        let lines = filled(words, 5);
        let lines: Vec<String> = lines.iter().map(|line| painted(line, true)).collect();
        assert_eq!(lines, ["a b \x1b[2mc\x1b[0m", "\x1b[2md\x1b[0m"]);
    }

    #[test]
    fn a_command_can_be_pasted_into_a_shell() {
        let words = |all: &[&str]| all.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            command(&words(&["throng", "load", "[::1]:80"]), 60),
            ["throng load '[::1]:80'"]
        );
        assert_eq!(
            command(&words(&["throng", "-m", "it's", ""]), 60),
            [r"throng -m 'it'\''s' ''"]
        );
        assert_eq!(
            command(&words(&["GET /'\r\n\x1b"]), 60),
            [r"$'GET /\'\r\n\x1b'"]
        );
        assert_eq!(
            command(&words(&["throng", "load", "--self", "--hold", "10s"]), 20),
            [r"throng load --self \", r"  --hold 10s"]
        );
        assert_eq!(
            command_line(&words(&["throng", "-m", "a b\n", "[::1]:80"])),
            r"throng -m $'a b\n' '[::1]:80'"
        );
    }

    #[test]
    fn a_command_is_broken_outside_quotes_only() {
        assert_eq!(
            shell_lines("sysctl -w a=\"1024 65535\" b=1", 22),
            ["sysctl -w \\", "  a=\"1024 65535\" b=1"]
        );
        assert_eq!(shell_lines("a b", 80), ["a b"]);
    }
}
