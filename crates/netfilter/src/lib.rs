//! What the rules of this host do with packets, over netlink and without C.
//!
//! [`Reports`] are the packets that rules report (NFLOG). A [`Table`] is ours as long as we have its
//! socket: when that is closed, the kernel removes the table, whatever has ended the process. [`OwnRules`]
//! joins the two: it tells which packets to and from this host the host's own rules have dropped.
//!
//! All of it needs CAP_NET_ADMIN in the present network namespace.

pub mod attributes;
mod nflog;
mod own_rules;
mod passed;
mod socket;
mod table;

pub use nflog::{DELAY, Report, Reports, parse as parse_report};
pub use own_rules::OwnRules;
pub use passed::{Direction, Dropped};
pub use table::{Chain, Hook, Table};
