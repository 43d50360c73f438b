//! Port assignment: how a NAT chooses outside ports (RFC 4787 §4.2).

use serde::{Deserialize, Serialize};

/// How a NAT chooses the outside port of a new mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortAssignment {
    /// The inside port, where it is free.
    Preserving,
    /// One port after the other.
    Sequential,
    /// A random port of a block that is small against all ports.
    Block,
    /// A random port of all.
    Random,
}

/// The ports from which a NAT without a block assigns: those from 1024 up (RFC 6335 §6).
pub const ALL_PORTS: u32 = 65536 - 1024;

/// The largest step from one port to the next that still counts as sequential.
pub const MAX_STEP: i32 = 64;
