//! What a system should be set to for N connections: for each setting the value now, the value wanted,
//! why, and the risk ([`settings`]). What was done about it is an [`Outcome`]; both together are a
//! [`Report`], from which texts are drawn.
//!
//! Nothing here is ever lowered, and no range is narrowed. The few settings that take something away (a
//! protection, a timeout, the firewall's sight) are only proposed, until somebody asks for them by name
//! ([`Extra`]).

pub mod foreign;
mod formulas;
mod outcome;
mod ports;
mod setting;
mod sysctls;
#[cfg(test)]
mod tests;

pub use formulas::{settings, wanted_files};
pub use outcome::{Action, Did, Outcome, Report, VERSION};
pub use ports::{PortSet, PortSetError};
pub use setting::{
    Ask, Current, Extra, FILE_LIMIT, Kind, NOTRACK, Now, Rule, Scope, Setting, Status, words,
};

pub use sysctls::SYSCTLS;

pub use crate::capacity::Role;
