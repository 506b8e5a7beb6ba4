//! Turns a command line or a file into a scenario, and into how its run is reported. Reads the files that they name and
//! refuses contradictions. Host names are resolved last, just before the run.

#[cfg(test)]
mod command_lines;
pub(crate) mod file;
pub(crate) mod load;
pub(crate) mod losses;
pub(crate) mod report;
pub(crate) mod route;
pub(crate) mod serve;
pub(crate) mod sockets;
pub(crate) mod target;
pub(crate) mod texts;
