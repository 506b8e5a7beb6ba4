//! What is wrong with a command line, in one line.

/// clap's error of several lines in one line, with its hint and without the usage.
pub(crate) fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .filter(|line| !line.is_empty())
        .collect();
    let mut said = String::new();
    for line in lines {
        if !said.is_empty() {
            said += if said.ends_with(':') { " " } else { "; " };
        }
        said += line
            .trim_start_matches("error: ")
            .trim_start_matches("tip: ");
    }
    said + " (see --help)"
}
