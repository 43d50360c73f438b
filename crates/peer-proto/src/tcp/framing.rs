//! Datagrams over a connection: two bytes of length, and that many bytes (RFC 4571).

/// The longest datagram.
pub const LONGEST: usize = u16::MAX as usize;

/// The magic cookie of a STUN message, from its fifth byte on (RFC 8489 §5).
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A datagram, to be sent over a connection; `None` if it is too long or empty.
pub fn framed(datagram: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(datagram.len()).ok()?;
    (length > 0).then(|| [&length.to_be_bytes(), datagram].concat())
}

/// The datagrams of a connection that both sides have agreed on.
///
/// The attempt's last messages may still be on the way then, and come before the first
/// datagram. They are told from it by the magic cookie, and dropped: so the first datagram must
/// not have the cookie in its third byte. QUIC's has not.
#[derive(Debug, Default)]
pub struct Datagrams {
    held: Vec<u8>,
    /// What is before it was handed out.
    at: usize,
    /// A datagram has come.
    begun: bool,
}

impl Datagrams {
    /// Takes more of the stream. Call [`Self::next_datagram`] until there is none, or what is
    /// held grows.
    pub fn push(&mut self, bytes: &[u8]) {
        self.held.drain(..self.at);
        self.at = 0;
        self.held.extend_from_slice(bytes);
    }

    /// The next whole datagram.
    pub fn next_datagram(&mut self) -> Option<Vec<u8>> {
        while !self.begun && self.rest().get(4..8) == Some(&COOKIE) {
            self.take(20 + usize::from(self.number(2)?))?;
        }
        if !self.begun && self.rest().len() < 8 {
            // The shortest message, and the shortest packet of QUIC, are longer.
            return None;
        }
        loop {
            let length = usize::from(self.number(0)?);
            let datagram = self.take(2 + length)?.get(2..)?.to_vec();
            self.begun = true;
            if length > 0 {
                return Some(datagram);
            }
        }
    }

    /// What was not handed out.
    fn rest(&self) -> &[u8] {
        self.held.get(self.at..).unwrap_or_default()
    }

    /// The number at that place of it.
    fn number(&self, at: usize) -> Option<u16> {
        let bytes = self.rest().get(at..at + 2)?.first_chunk()?;
        Some(u16::from_be_bytes(*bytes))
    }

    /// Its first bytes. Nothing is moved: a stream of tiny frames costs no more than another.
    fn take(&mut self, count: usize) -> Option<&[u8]> {
        let from = self.at;
        let taken = self.held.get(from..from.checked_add(count)?)?;
        self.at += count;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use stun::{Builder, Method};

    use super::*;

    #[test]
    fn datagrams_come_as_they_left_however_the_stream_is_cut() {
        let message = Builder::request(Method::Probe, [7; 12]).attempt([3; 8]);
        let message = message.finish();
        let sent = [vec![0xc3; 1200], vec![0x40], vec![0x45; LONGEST]];
        let frames = sent.iter().map(|datagram| framed(datagram).unwrap());
        let frames = Vec::from_iter(frames).concat();
        // The attempt's last messages come first, and none, one or two may.
        for before in 0..3 {
            let stream = [message.repeat(before), frames.clone()].concat();
            for size in [1, 2, 3, 7, 19, 21, 1500, stream.len()] {
                let (mut datagrams, mut came) = (Datagrams::default(), Vec::new());
                for piece in stream.chunks(size) {
                    datagrams.push(piece);
                    came.extend(std::iter::from_fn(|| datagrams.next_datagram()));
                }
                assert!(
                    came == sent,
                    "{before} messages before, in pieces of {size}"
                );
                assert!(datagrams.rest().is_empty());
            }
        }
    }

    #[test]
    fn a_datagram_that_looks_like_stun_is_one_after_the_first() {
        let first = framed(&[0x45; 30]).unwrap();
        let mut like = vec![0x40; 30];
        like[2..6].copy_from_slice(&COOKIE);
        let mut datagrams = Datagrams::default();
        datagrams.push(&[first, framed(&like).unwrap()].concat());
        assert_eq!(datagrams.next_datagram(), Some(vec![0x45; 30]));
        assert_eq!(datagrams.next_datagram(), Some(like));
        assert_eq!(datagrams.next_datagram(), None);
    }

    #[test]
    fn what_cannot_be_framed_is_not_and_an_empty_frame_is_no_datagram() {
        assert_eq!(framed(&[]), None);
        assert_eq!(framed(&vec![1; LONGEST + 1]), None);
        let mut datagrams = Datagrams::default();
        datagrams.push(&[&[0, 0, 0, 0][..], &framed(&[9; 40]).unwrap()].concat());
        assert_eq!(datagrams.next_datagram(), Some(vec![9; 40]));
    }
}
