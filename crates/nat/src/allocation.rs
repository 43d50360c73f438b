//! How a NAT chooses outer ports (RFC 4787 §4.2).

use serde::{Deserialize, Serialize};

/// How the ports are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// The inner port, where it is free.
    Preserving,
    /// One after the other.
    Sequential,
    /// Any port of a block that is small against all ports.
    Block,
    /// Any port.
    Random,
}
