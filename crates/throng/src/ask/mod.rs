//! From the command line or a file to a scenario, and to what is told of it: files read, what does not go together
//! refused. Names are resolved last, when the scenario is about to be run.

#[cfg(test)]
mod command_lines;
pub(crate) mod file;
pub(crate) mod load;
pub(crate) mod serve;
pub(crate) mod target;
pub(crate) mod telling;
mod texts;
