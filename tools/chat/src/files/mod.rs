//! Files beside the conversation: offered, accepted, carried, verified.

pub mod carry;
pub mod folder;
pub mod ledger;
