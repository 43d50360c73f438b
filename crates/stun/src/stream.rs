//! Messages in a byte stream: over TCP they follow one another, and the length
//! in each header says where the next begins (RFC 8489 §6.2.2).

use crate::{MAX_DATAGRAM, ParseError};

const HEADER: usize = 20;

/// What has arrived of a stream and is not yet a message.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    held: Vec<u8>,
}

impl Frames {
    /// More of the stream. Call [`Self::next`] until it has nothing, or what
    /// is held grows.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// The next whole message, not yet looked into.
    ///
    /// # Errors
    /// When what comes next is not STUN, or longer than [`MAX_DATAGRAM`]:
    /// nobody can tell where the one after it would begin.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, ParseError> {
        // What cannot become a header is refused before the header is whole.
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
    fn however_it_is_cut_the_same_messages_come_out() {
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
                while let Some(message) = frames.next().unwrap() {
                    found.push(message);
                }
            }
            assert_eq!(found, [one.clone(), two.clone()], "in pieces of {size}");
        }
    }

    #[test]
    fn what_is_no_stun_is_refused_at_its_first_wrong_byte() {
        let mut long = crate::binding_request([1; 12], None);
        long[2..4].copy_from_slice(&2000u16.to_be_bytes());
        let mut odd = crate::binding_request([1; 12], None);
        odd[3] = 2;
        for bytes in [&b"SSH-2.0-x"[..], b"\x00\x01\x00\x00GET /", &long, &odd] {
            let mut frames = Frames::default();
            frames.push(bytes);
            assert_eq!(frames.next(), Err(ParseError::NotStun), "{bytes:?}");
        }
    }
}
