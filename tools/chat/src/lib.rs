//! The protocols of `chat`, which are sans-IO, and what is shown of a peer's text.
//! The program is in `main.rs`.

pub mod code;
pub mod conversation;
/// Files beside the conversation, as far as it is a protocol.
pub mod files {
    pub mod ledger;
}
pub mod frame;
pub mod history;
pub mod pending;
pub mod proof;
pub mod room;
pub mod text;
pub mod verify;
