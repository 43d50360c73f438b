//! Messages in a byte stream: over TCP they follow one another, and the length in each header gives
//! the start of the next (RFC 8489 §6.2.2).

use crate::{MAX_DATAGRAM, ParseError};

const HEADER: usize = 20;

/// Splits a byte stream into messages. It holds what has arrived of the next one.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
}

impl Frames {
    /// Takes more of the stream. Call [`Self::next_message`] until there is none, or what is held grows.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Whether nothing has arrived of the next message.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What has come after the last whole message: of the next one, or of another protocol.
    pub fn into_rest(self) -> Vec<u8> {
        self.held
    }

    /// The bytes of the next whole message, which is not parsed yet.
    ///
    /// # Errors
    /// When the next bytes are not STUN, or the message is longer than [`MAX_DATAGRAM`]: the start of
    /// the message after it is then unknown.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, ParseError> {
        // Bytes that cannot be a header are refused before the header is complete.
        let cookie = [0x21, 0x12, 0xa4, 0x42];
        let begun = self.held.iter().skip(4).zip(cookie);
        if self.held.first().is_some_and(|first| first & 0xc0 != 0)
            || begun.into_iter().any(|(byte, wanted)| *byte != wanted)
        {
            return Err(ParseError::NotStun);
        }
        let Some(&[high, low]) = self.held.get(2..4).and_then(|two| two.first_chunk()) else {
            return Ok(None);
        };
        let whole = HEADER + usize::from(u16::from_be_bytes([high, low]));
        if !whole.is_multiple_of(4) || whole > MAX_DATAGRAM {
            return Err(ParseError::NotStun);
        }
        if self.held.len() < whole {
            return Ok(None);
        }
        let rest = self.held.split_off(whole);
        Ok(Some(std::mem::replace(&mut self.held, rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_gives_the_same_messages_however_it_is_cut() {
        let one = crate::binding_request([1; 12], None);
        let two = crate::Builder::request(crate::Method::Probe, [2; 12])
            .attempt([3; 8])
            .finish();
        let stream = [one.clone(), two.clone()].concat();
        for size in 1..=stream.len() {
            let mut frames = Frames::default();
            let mut found = Vec::new();
            for piece in stream.chunks(size) {
                frames.push(piece);
                while let Some(message) = frames.next_message().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [one.clone(), two.clone()], "in pieces of {size}");
        }
    }

    #[test]
    fn bytes_that_are_not_stun_are_refused_at_the_first_wrong_one() {
        let mut long = crate::binding_request([1; 12], None);
        long[2..4].copy_from_slice(&2000u16.to_be_bytes());
        let mut odd = crate::binding_request([1; 12], None);
        odd[3] = 2;
        for bytes in [&b"SSH-2.0-x"[..], b"\x00\x01\x00\x00GET /", &long, &odd] {
            let mut frames = Frames::default();
            frames.push(bytes);
            assert_eq!(frames.next_message(), Err(ParseError::NotStun), "{bytes:?}");
        }
    }
}
