//! Frames as bytes: a type, a length (u32, big endian) and a body.

use super::{Frame, FrameError, Hello, InRoom, Item, MOST_NAME, MOST_PATH, MOST_TEXT, Party};
use crate::proof;
use crate::verify::Step;

/// The longest body of a frame.
const MOST_BODY: usize = MOST_TEXT + 64;

const VERSION: u8 = 1;

impl Frame {
    /// To bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; 5];
        bytes[0] = match self {
            Frame::Hello(hello) => {
                bytes.push(VERSION);
                for number in [hello.epoch, hello.first, hello.of, hello.received] {
                    bytes.extend(number.to_be_bytes());
                }
                // An earlier version reads no further.
                bytes.push(u8::from(hello.rooms));
                1
            }
            Frame::Item { number, item } => {
                bytes.extend(number.to_be_bytes());
                item.encode(&mut bytes);
                2
            }
            Frame::Ack(received) => {
                bytes.extend(received.to_be_bytes());
                3
            }
            Frame::Bye => 4,
            Frame::Verify(Step::Commit(hash)) => {
                bytes.extend(hash);
                5
            }
            Frame::Verify(Step::Reveal(nonce)) => {
                bytes.extend(nonce);
                6
            }
            Frame::Proof(proof::Step::Element(element)) => {
                bytes.extend(element);
                7
            }
            Frame::Proof(proof::Step::Confirm(shown)) => {
                bytes.extend(shown);
                8
            }
        };
        let length = (bytes.len() - 5) as u32;
        bytes[1..5].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    fn decode(kind: u8, body: &[u8]) -> Result<Option<Frame>, FrameError> {
        let mut body = Body(body);
        let frame = match kind {
            1 => {
                let version = body.byte()?;
                if version != VERSION {
                    return Err(FrameError::Version(version));
                }
                Frame::Hello(Hello {
                    epoch: body.number()?,
                    first: body.number()?,
                    of: body.number()?,
                    received: body.number()?,
                    rooms: body.byte().is_ok_and(|knows| knows & 1 == 1),
                })
            }
            2 => Frame::Item {
                number: body.number()?,
                item: Item::decode(body)?,
            },
            3 => Frame::Ack(body.number()?),
            4 => Frame::Bye,
            5 => Frame::Verify(Step::Commit(body.array()?)),
            6 => Frame::Verify(Step::Reveal(body.array()?)),
            7 => Frame::Proof(proof::Step::Element(body.array()?)),
            8 => Frame::Proof(proof::Step::Confirm(body.array()?)),
            _ => return Ok(None), // Of a later version.
        };
        Ok(Some(frame))
    }
}

impl Item {
    fn encode(&self, bytes: &mut Vec<u8>) {
        match self {
            Item::Text(text) => {
                bytes.push(1);
                bytes.extend(text.as_bytes());
            }
            Item::Offer { file, size, name } => {
                bytes.push(2);
                bytes.extend(file.to_be_bytes());
                bytes.extend(size.to_be_bytes());
                bytes.extend(name.as_bytes());
            }
            Item::Accept {
                file,
                offset,
                prefix,
            } => {
                bytes.push(3);
                bytes.extend(file.to_be_bytes());
                bytes.extend(offset.to_be_bytes());
                bytes.extend(prefix);
            }
            Item::Decline { file, by, why } => {
                bytes.push(4);
                bytes.extend(file.to_be_bytes());
                bytes.push(u8::from(*by == Party::Sender));
                bytes.extend(why.as_bytes());
            }
            Item::Complete { file } => {
                bytes.push(5);
                bytes.extend(file.to_be_bytes());
            }
            Item::Parcel {
                files,
                bytes: size,
                name,
            } => {
                bytes.push(6);
                bytes.extend(files.to_be_bytes());
                bytes.extend(size.to_be_bytes());
                bytes.extend(name.as_bytes());
            }
            Item::Take => bytes.push(7),
            Item::Refuse { why } => {
                bytes.push(8);
                bytes.extend(why.as_bytes());
            }
            Item::Room { room, says } => {
                bytes.push(says.kind());
                says.encode(room, bytes);
            }
            Item::Unknown => bytes.push(0),
        }
    }

    fn decode(mut body: Body<'_>) -> Result<Item, FrameError> {
        Ok(match body.byte()? {
            1 => Item::Text(body.text(MOST_TEXT)?),
            2 => Item::Offer {
                file: body.number()?,
                size: body.number()?,
                name: body.text(MOST_PATH)?,
            },
            3 => Item::Accept {
                file: body.number()?,
                offset: body.number()?,
                prefix: body.array()?,
            },
            4 => Item::Decline {
                file: body.number()?,
                by: match body.byte()? {
                    0 => Party::Receiver,
                    _ => Party::Sender,
                },
                why: body.text(MOST_NAME)?,
            },
            5 => Item::Complete {
                file: body.number()?,
            },
            6 => Item::Parcel {
                files: body.number()?,
                bytes: body.number()?,
                name: body.text(MOST_NAME)?,
            },
            7 => Item::Take,
            8 => Item::Refuse {
                why: body.text(MOST_NAME)?,
            },
            kind @ 9..=12 => match InRoom::decode(kind, body)? {
                Some((room, says)) => Item::Room { room, says },
                None => Item::Unknown,
            },
            _ => Item::Unknown,
        })
    }
}

/// Frames out of bytes as they come.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// What has arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame, once it is whole.
    ///
    /// # Errors
    /// See [`FrameError`]; nothing that follows can be read.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        loop {
            let rest = &self.buffer[self.taken..];
            let Some((head, rest)) = rest.split_first_chunk::<5>() else {
                return Ok(None);
            };
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
            if length > MOST_BODY {
                return Err(FrameError::TooLong(length));
            }
            let Some(body) = rest.get(..length) else {
                return Ok(None);
            };
            let frame = Frame::decode(head[0], body)?;
            self.taken += 5 + length;
            if frame.is_some() {
                return Ok(frame);
            }
        }
    }
}

pub(super) struct Body<'a>(&'a [u8]);

impl Body<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(FrameError::Malformed)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn byte(&mut self) -> Result<u8, FrameError> {
        Ok(self.array::<1>()?[0])
    }

    fn number(&mut self) -> Result<u64, FrameError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// So many bytes as text.
    pub(super) fn part(&mut self, length: usize) -> Result<String, FrameError> {
        let (head, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(FrameError::Malformed)?;
        self.0 = rest;
        Body(head).text(length)
    }

    pub(super) fn text(&mut self, most: usize) -> Result<String, FrameError> {
        if self.0.len() > most {
            return Err(FrameError::TooLong(self.0.len()));
        }
        let text = std::str::from_utf8(self.0).map_err(|_| FrameError::Malformed)?;
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Member;

    fn samples() -> Vec<Frame> {
        let items = [
            Item::Text("hello 👋, with spaces".into()),
            Item::Text(String::new()),
            Item::Offer {
                file: 1,
                size: 2,
                name: "a b.txt".into(),
            },
            Item::Accept {
                file: 1,
                offset: 9,
                prefix: [3; 32],
            },
            Item::Decline {
                file: 1,
                by: Party::Sender,
                why: "no".into(),
            },
            Item::Complete { file: 1 },
            Item::Parcel {
                files: 1,
                bytes: 2,
                name: "photos".into(),
            },
            Item::Take,
            Item::Refuse { why: "no".into() },
            Item::Unknown,
        ];
        let member = |n: u8| Member {
            name: format!("member-{n}"),
            key: [n; 32],
        };
        let says = [
            InRoom::Join((0..15).map(member).collect()),
            InRoom::Join(Vec::new()),
            InRoom::Leave,
            InRoom::Full,
            InRoom::Text("hello all".into()),
        ];
        let room = "r".repeat(32);
        let says = says.map(|says| Item::Room {
            room: room.clone(),
            says,
        });
        let items = items.into_iter().chain(says);
        let items = items.zip(0..);
        let items = items.map(|(item, number)| Frame::Item { number, item });
        let hello = Frame::Hello(Hello {
            epoch: 1,
            first: 2,
            of: 3,
            received: 4,
            rooms: true,
        });
        let steps = [Step::Commit([5; 32]), Step::Reveal([6; 32])].map(Frame::Verify);
        let proof = [proof::Step::Element([7; 33]), proof::Step::Confirm([8; 32])];
        [hello, Frame::Ack(7), Frame::Bye]
            .into_iter()
            .chain(steps)
            .chain(proof.map(Frame::Proof))
            .chain(items)
            .collect()
    }

    #[test]
    fn frames_are_read_as_they_were_written_however_the_bytes_are_cut() {
        let bytes: Vec<u8> = samples().iter().flat_map(Frame::encode).collect();
        for piece in [1, 3, 7, bytes.len()] {
            let (mut decoder, mut read) = (Decoder::default(), Vec::new());
            for piece in bytes.chunks(piece) {
                decoder.push(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    read.push(frame);
                }
            }
            assert_eq!(read, samples());
        }
    }

    #[test]
    fn damaged_frames_give_an_error_and_never_a_panic() {
        for frame in samples() {
            let bytes = frame.encode();
            for at in 0..bytes.len() {
                for value in [0, 1, 0x7f, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[at] = value;
                    let mut decoder = Decoder::default();
                    decoder.push(&bytes);
                    let _ = decoder.next_frame();
                }
            }
        }
        let mut decoder = Decoder::default();
        decoder.push(&[2, 0xff, 0xff, 0xff, 0xff]);
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong(_))));
        let mut decoder = Decoder::default();
        decoder.push(&[2, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
        assert_eq!(decoder.next_frame(), Err(FrameError::Malformed));
    }

    #[test]
    fn a_hello_of_an_earlier_version_is_read_and_an_earlier_version_reads_ours() {
        let hello = |rooms| {
            Frame::Hello(Hello {
                epoch: 1,
                first: 2,
                of: 3,
                received: 4,
                rooms,
            })
        };
        // As it was before rooms: it ended with the fourth number.
        let mut earlier = hello(false).encode();
        earlier.pop();
        earlier[4] -= 1;
        let mut decoder = Decoder::default();
        decoder.push(&earlier);
        assert_eq!(decoder.next_frame(), Ok(Some(hello(false))));
        // An earlier version takes the first 33 bytes of the body, and skips the rest.
        assert_eq!(hello(true).encode()[5..38], earlier[5..]);
    }

    #[test]
    fn a_room_has_a_name_and_no_more_members_than_have_a_place() {
        let read = |item: Item| {
            let mut decoder = Decoder::default();
            decoder.push(&Frame::Item { number: 0, item }.encode());
            decoder.next_frame()
        };
        let room = |room: &str, members: usize, name: &str| Item::Room {
            room: room.into(),
            says: InRoom::Join(vec![
                Member {
                    name: name.into(),
                    key: [1; 32]
                };
                members
            ]),
        };
        assert!(read(room("tea", 15, "bob")).is_ok());
        let longest = Item::Room {
            room: "r".repeat(32),
            says: InRoom::Text("x".repeat(MOST_TEXT)),
        };
        assert!(read(longest).is_ok());
        for malformed in [
            room("", 1, "bob"),
            room("two words", 1, "bob"),
            room("tea", 1, "\u{1b}[2J"),
            room("tea", 16, "bob"),
        ] {
            assert_eq!(read(malformed), Err(FrameError::Malformed));
        }
    }

    #[test]
    fn frames_of_a_later_version_are_skipped() {
        let mut decoder = Decoder::default();
        decoder.push(&[99, 0, 0, 0, 2, 1, 2]);
        decoder.push(&Frame::Ack(1).encode());
        assert_eq!(decoder.next_frame(), Ok(Some(Frame::Ack(1))));
    }
}
