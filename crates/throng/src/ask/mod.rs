//! From the command line to a scenario: names resolved, files read, what does not go together refused.

#[cfg(test)]
mod command_lines;
pub(crate) mod load;
pub(crate) mod serve;
pub(crate) mod target;
mod texts;
