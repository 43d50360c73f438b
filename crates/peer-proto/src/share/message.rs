//! The messages of a share: a part of what is told, and times.
//!
//! ```text
//! 0x80 | number (1) | parts (1) | sent (8) | heard (8) | bytes of the part | padding
//! ```
//!
//! The padding is zero bytes, then its own length (2). The rendezvous passes on no answer that is longer
//! than its question, so a question is as long as the longest answer.

/// The longest part in bytes: with the longest names it fits a datagram, sealed and signed.
const LONGEST_PART: usize = 640;

/// The most parts, and so what may be told.
pub(super) const MOST_PARTS: u8 = 52;

/// What each side may tell, in bytes.
pub const MOST_BYTES: usize = LONGEST_PART * MOST_PARTS as usize;

/// The number of the message that says that its sender has everything.
pub(super) const DONE: u8 = 255;

/// Candidates begin with their version, a small number.
const SHARE: u8 = 0x80;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Its number, from 0 on; an answer has that of its question.
    pub(super) number: u8,
    /// How many parts the sender has.
    pub(super) total: u8,
    /// When it was sent, by the sender's clock, in microseconds.
    pub(super) sent: u64,
    /// When the sender received the other side's last message, by its own clock; 0: none yet.
    pub(super) heard: u64,
    /// The part of this number; empty if the sender has none.
    pub(super) bytes: &'a [u8],
}

impl<'a> Part<'a> {
    /// Encodes an answer.
    pub(super) fn encode(&self) -> Vec<u8> {
        self.padded(0)
    }

    /// Encodes a question.
    pub(super) fn encode_padded(&self) -> Vec<u8> {
        self.padded(LONGEST_PART.saturating_sub(self.bytes.len()))
    }

    fn padded(&self, padding: usize) -> Vec<u8> {
        let mut message = vec![SHARE, self.number, self.total];
        message.extend(self.sent.to_be_bytes());
        message.extend(self.heard.to_be_bytes());
        message.extend(self.bytes);
        message.resize(message.len() + padding, 0);
        message.extend((padding as u16).to_be_bytes());
        message
    }

    pub(super) fn decode(message: &'a [u8]) -> Option<Part<'a>> {
        let (&[SHARE, number, total], rest) = message.split_first_chunk()? else {
            return None;
        };
        let (sent, rest) = rest.split_first_chunk()?;
        let (heard, rest) = rest.split_first_chunk()?;
        let (padded, padding) = rest.split_last_chunk()?;
        let length = padded
            .len()
            .checked_sub(u16::from_be_bytes(*padding).into())?;
        let bytes = &padded[..length];
        let bounded = bytes.len() <= LONGEST_PART && (1..=MOST_PARTS).contains(&total);
        bounded.then_some(Part {
            number,
            total,
            sent: u64::from_be_bytes(*sent),
            heard: u64::from_be_bytes(*heard),
            bytes,
        })
    }
}

/// The bytes, cut into parts; at least one.
pub(super) fn parts(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = &bytes[..bytes.len().min(MOST_BYTES)];
    match bytes.is_empty() {
        true => vec![Vec::new()],
        false => bytes.chunks(LONGEST_PART).map(<[u8]>::to_vec).collect(),
    }
}

/// Reads a message and writes it again; for the fuzz target.
pub fn decode(message: &[u8]) -> Option<Vec<u8>> {
    Part::decode(message).map(|part| part.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded_and_what_is_out_of_bounds_is_not() {
        let part = Part {
            number: 3,
            total: MOST_PARTS,
            sent: 1 << 40,
            heard: 7,
            bytes: &[9; LONGEST_PART],
        };
        let message = part.encode();
        assert_eq!(Part::decode(&message), Some(part));
        assert_eq!(decode(&message), Some(message.clone()));
        assert_eq!(Part::decode(&message[..20]), None);
        let short = Part {
            bytes: b"short",
            ..part
        };
        assert_eq!(Part::decode(&short.encode_padded()), Some(short));
        assert_eq!(short.encode_padded().len(), message.len());
        let refused = |change: fn(&mut Vec<u8>)| {
            let mut other = message.clone();
            change(&mut other);
            Part::decode(&other).is_none()
        };
        assert!(refused(|it| it[0] = 1), "candidates");
        assert!(refused(|it| it[2] = 0));
        assert!(refused(|it| it[2] = MOST_PARTS + 1));
        assert!(refused(|it| it.extend([0, 0])), "too long");
        assert!(refused(|it| *it.last_chunk_mut().unwrap() = [255, 255]));
    }

    #[test]
    fn the_parts_are_the_bytes() {
        for length in [0, 1, LONGEST_PART, LONGEST_PART + 1, MOST_BYTES] {
            let bytes = vec![5; length];
            let parts = parts(&bytes);
            assert_eq!(parts.concat(), bytes);
            assert_eq!(parts.len(), length.div_ceil(LONGEST_PART).max(1));
        }
        assert_eq!(
            parts(&vec![5; MOST_BYTES + 1]).len(),
            usize::from(MOST_PARTS)
        );
    }
}
