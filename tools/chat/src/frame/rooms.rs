//! What members of a room send each other.

use session::identity::PublicKey;
use session::name::{NAME_MAX, valid_name};

use super::codec::Body;
use super::{FrameError, MOST_TEXT};

/// Members that are told at once, at most.
pub const MOST_TOLD: usize = 15;

/// What a member says in a room, or of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InRoom {
    /// "I am in it, and so are these."
    Join(Vec<Member>),
    /// "I am in it no longer."
    Leave,
    /// "It has no place for you."
    Full,
    /// A message to all members.
    Text(String),
}

/// A member, as another one knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: PublicKey,
}

impl InRoom {
    /// The type of the item.
    pub(super) fn kind(&self) -> u8 {
        match self {
            InRoom::Join(_) => 9,
            InRoom::Leave => 10,
            InRoom::Full => 11,
            InRoom::Text(_) => 12,
        }
    }

    pub(super) fn encode(&self, room: &str, bytes: &mut Vec<u8>) {
        put_name(room, bytes);
        match self {
            InRoom::Join(members) => {
                for member in members {
                    put_name(&member.name, bytes);
                    bytes.extend(member.key);
                }
            }
            InRoom::Leave | InRoom::Full => {}
            InRoom::Text(text) => bytes.extend(text.as_bytes()),
        }
    }

    /// The room, and what is said of it.
    pub(super) fn decode(
        kind: u8,
        mut body: Body<'_>,
    ) -> Result<Option<(String, InRoom)>, FrameError> {
        let room = take_name(&mut body)?;
        let says = match kind {
            9 => {
                let mut members = Vec::new();
                while !body.is_empty() {
                    if members.len() == MOST_TOLD {
                        return Err(FrameError::Malformed);
                    }
                    let name = take_name(&mut body)?;
                    let key = body.array()?;
                    members.push(Member { name, key });
                }
                InRoom::Join(members)
            }
            10 => InRoom::Leave,
            11 => InRoom::Full,
            12 => InRoom::Text(body.text(MOST_TEXT)?),
            _ => return Ok(None),
        };
        Ok(Some((room, says)))
    }

    /// About how much memory it takes, in bytes.
    pub fn weight(&self) -> usize {
        match self {
            InRoom::Join(members) => 320 + members.len() * (size_of::<Member>() + NAME_MAX),
            InRoom::Text(text) => 128 + text.len(),
            InRoom::Leave | InRoom::Full => 320,
        }
    }
}

fn put_name(name: &str, bytes: &mut Vec<u8>) {
    // A valid name has at most 32 bytes.
    bytes.push(name.len() as u8);
    bytes.extend(name.as_bytes());
}

fn take_name(body: &mut Body<'_>) -> Result<String, FrameError> {
    let length = usize::from(body.byte()?);
    let name = body.part(length)?;
    match valid_name(&name) {
        true => Ok(name),
        false => Err(FrameError::Malformed),
    }
}
