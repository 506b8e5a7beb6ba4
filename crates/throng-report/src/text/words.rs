//! Breaks prose and command lines into lines that fit.

/// Columns that prose is wrapped to: the width of the narrowest usual terminal.
pub(crate) const COLUMNS: usize = 80;

/// Words that belong to the number before them.
const UNITS: [&str; 14] = [
    "%", "ns", "us", "µs", "ms", "s", "m", "h", "B", "KB", "kB", "KiB", "MiB", "GiB",
];

/// Breaks `text` between words into lines of at most `columns`. A longer word stays whole, and so does a number with its
/// unit.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let mut whole = word.to_owned();
        let number = word.trim_start_matches(['(', '<', '>', '=']);
        if number.starts_with(|c: char| c.is_ascii_digit())
            && let Some(unit) = words.next_if(|next| is_unit(next))
        {
            whole += &format!(" {unit}");
        }
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if !line.is_empty() && line.chars().count() + 1 + whole.chars().count() > columns {
            lines.push(whole);
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            *line += &whole;
        }
    }
    lines
}

fn is_unit(word: &str) -> bool {
    UNITS.contains(&word.trim_end_matches([',', '.', ';', ':', ')']))
}

/// A command line, quoted for a shell, in lines of at most `columns` that can be pasted together.
pub(super) fn command(words: &[String], columns: usize) -> Vec<String> {
    continued(words.iter().map(|word| quoted(word)), columns)
}

/// Words of a command line in lines of at most `columns`. Each line but the last ends with a backslash, which continues
/// the command.
pub(crate) fn continued(words: impl IntoIterator<Item = String>, columns: usize) -> Vec<String> {
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

    #[test]
    fn prose_is_wrapped_between_words() {
        assert_eq!(wrapped("", 10), [""]);
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("a unbreakable b", 5), ["a", "unbreakable", "b"]);
        assert_eq!(wrapped("within 1 %. So", 9), ["within", "1 %. So"]);
        assert_eq!(wrapped("took 19.8 s, all", 9), ["took", "19.8 s,", "all"]);
        assert_eq!(wrapped("only a % b", 6), ["only a", "% b"]);
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
    }
}
