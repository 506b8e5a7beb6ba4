//! Changes the machine's settings, and restores them: [`now`] reads what [`throng_core::tune`] needs to know, [`apply`]
//! raises what is insufficient, [`revert`] undoes that.
//!
//! The one rule: nothing is written before its old value is on disk in the state file. So a crash, a kill or a power
//! cut at any instant leaves a state file from which [`revert`] restores all that may have been changed. A value that
//! somebody else has changed since is not touched.

mod apply;
mod etc;
mod fault;
mod file_limits;
mod files;
mod firewall;
mod notrack;
mod old_values;
mod proc_sys;
mod process_limits;
mod read;
mod replace;
mod revert;
mod session;
mod state_file;
mod sysctls;
mod system;
#[cfg(test)]
mod tests;

pub use apply::{Done, Request, apply};
pub use fault::{Fault, Unusable};
pub use process_limits::file_limits_of;
pub use read::now;
pub use revert::revert;
pub use state_file::default_state_file;
pub use system::System;
