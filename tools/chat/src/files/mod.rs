//! Files beside the conversation: offered, accepted, carried, verified.
//!
//! [`peer`] has the files of one peer, both ways: its [`ledger`] says what was
//! agreed on. [`transfers`] is what the files of all peers share: the tasks,
//! which [`carry`] the bytes into the [`folder`] for received files, the offers,
//! the [`progress`], and what is to be done next.

pub mod carry;
pub mod folder;
pub mod peer;
pub mod progress;
pub mod transfers;
pub mod tree;

pub use chat::files::ledger::{self, Direction};
