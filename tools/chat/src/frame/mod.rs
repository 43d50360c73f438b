//! What two chats send each other on the control stream of a link.

mod codec;
mod rooms;

pub use codec::Decoder;

pub use rooms::{InRoom, MOST_TOLD, Member};

use crate::proof;
use crate::verify::Step;

/// The longest message, in bytes of UTF-8.
pub const MOST_TEXT: usize = 64 * 1024;

/// The longest file name, or reason for declining a file, in bytes.
pub const MOST_NAME: usize = 255;

/// The longest path of an offered file, in bytes: within a parcel its folders belong to its name.
pub const MOST_PATH: usize = 1024;

/// BLAKE3 of a file, or of its beginning.
pub type FileHash = [u8; 32];

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The first frame on every link, from both sides.
    Hello(Hello),
    /// One item of the conversation.
    Item {
        /// Counts the sender's items from 0.
        number: u64,
        /// What it is.
        item: Item,
    },
    /// This many of the other side's items have arrived, in order.
    Ack(u64),
    /// The sender leaves, and this is its last frame.
    Bye,
    /// A step of the comparison of digits.
    Verify(Step),
    /// A step of the proof that both know a code.
    Proof(proof::Step),
}

/// How far the conversation has come, as one side knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Names the sender's numbering: another one is another conversation.
    pub epoch: u64,
    /// The sender's first item that is not acknowledged, or the next to come.
    pub first: u64,
    /// The receiver's epoch as the sender knows it; 0 if it knows none.
    pub of: u64,
    /// How many items of that epoch have arrived.
    pub received: u64,
    /// Whether the sender knows rooms. An earlier version does not say so.
    pub rooms: bool,
}

/// What is delivered once and in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A message.
    Text(String),
    /// "Do you want this file?"
    Offer {
        /// The sender's number for it.
        file: u64,
        /// In bytes.
        size: u64,
        /// As the sender calls it. Not to be trusted.
        name: String,
    },
    /// "Yes, from this byte on."
    Accept {
        /// The sender's number.
        file: u64,
        /// How much is there already.
        offset: u64,
        /// BLAKE3 of that much.
        prefix: FileHash,
    },
    /// "No", or "no longer", from either side.
    Decline {
        /// The sender's number.
        file: u64,
        /// Who says so.
        by: Party,
        /// Why, for people.
        why: String,
    },
    /// "It is here, and it is what you said."
    Complete {
        /// The sender's number.
        file: u64,
    },
    /// "These files, in all", from whoever has made a code.
    Parcel {
        /// How many files.
        files: u64,
        /// Their size together, in bytes.
        bytes: u64,
        /// Of the file or the folder, for people. Not to be trusted.
        name: String,
    },
    /// "Offer them."
    Take,
    /// "I do not want them."
    Refuse {
        /// Why, for people.
        why: String,
    },
    /// Of a room that the sender is in, or leaves.
    Room {
        /// The room's name.
        room: String,
        /// What it is.
        says: InRoom,
    },
    /// Of a later version: counted, and otherwise ignored.
    Unknown,
}

/// The two ends of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// Who offered it.
    Sender,
    /// To whom it was offered.
    Receiver,
}

/// Why bytes are not a frame. The link has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A frame that is longer than any may be.
    #[error("a frame of {0} bytes is too long")]
    TooLong(usize),
    /// A body that ends too early, or a string that is not UTF-8.
    #[error("a malformed frame")]
    Malformed,
    /// Another version.
    #[error("version {0} of the protocol is not supported")]
    Version(u8),
}
