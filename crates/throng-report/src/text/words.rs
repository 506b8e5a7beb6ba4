//! Breaks prose and command lines into lines that fit.

/// Columns that prose is wrapped to: the width of the narrowest usual terminal.
pub(crate) const COLUMNS: usize = 80;

/// Breaks `text` between words into lines of at most `columns`. A longer word stays whole.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            *line += word;
        }
    }
    lines
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
