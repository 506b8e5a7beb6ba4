//! The settings of a machine that may make two runs of the same thing differ.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings by name, as text: sysctls by theirs (`net.core.somaxconn`), and others such as `cpu` (the processor's model),
/// `governor` and `open_files` (the hard limit). What a machine does not have, or does not let be read, is missing. The kernel's
/// release and the number of cores are facts of the source beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Environment(pub BTreeMap<String, String>);
