//! A netfilter netlink socket, and dumps over it.

use std::io;

use mnl::{Bus, Socket};
use netfilter::attributes::{errno, message, text};

/// A connection to the kernel's netfilter subsystems in the current network namespace.
pub(crate) struct Netfilter {
    socket: Socket,
    buffer: Box<Buffer>,
    sequence: u32,
}

/// As large as a part of a dump can be, and aligned as a message header.
#[repr(align(8))]
struct Buffer([u8; 64 * 1024]);

/// The most times that a dump is begun, because the ruleset changed during it.
const ATTEMPTS: usize = 20;

// linux/netlink.h
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLMSG_ERROR: u16 = libc::NLMSG_ERROR as u16;
const NLMSG_DONE: u16 = libc::NLMSG_DONE as u16;
/// `struct nlmsghdr`: length u32, type u16, flags u16, sequence u32, port u32.
const HEADER: usize = 16;

impl Netfilter {
    /// Opens the socket. Any user may; the first dump needs CAP_NET_ADMIN.
    pub(crate) fn open() -> io::Result<Self> {
        let socket = Socket::new(Bus::Netfilter)?;
        Ok(Netfilter {
            socket,
            buffer: Box::new(Buffer([0; 64 * 1024])),
            sequence: 0,
        })
    }

    /// Requests all objects of one kind, and reads each message, with its header, by `read`. `kind` is
    /// the subsystem and its message, `strings` are attributes of the request.
    pub(crate) fn dump<T>(
        &mut self,
        kind: u16,
        family: u8,
        strings: &[(u16, &str)],
        mut read: impl FnMut(&[u8]) -> io::Result<T>,
    ) -> io::Result<Vec<T>> {
        for _ in 0..ATTEMPTS {
            self.sequence += 1;
            self.socket
                .send(&request(kind, family, self.sequence, strings))?;
            if let Some(answer) = self.collect(&mut read)? {
                return Ok(answer);
            }
        }
        Err(io::Error::new(
            io::ErrorKind::Interrupted,
            "the ruleset changed during each of 20 attempts to read it",
        ))
    }

    /// `None`: the ruleset changed meanwhile.
    fn collect<T>(
        &mut self,
        read: &mut impl FnMut(&[u8]) -> io::Result<T>,
    ) -> io::Result<Option<Vec<T>>> {
        let mut answer = Vec::new();
        let mut whole = true;
        loop {
            for message in self.socket.recv(&mut self.buffer.0)? {
                let message = message?;
                let header = Header::of(message)?;
                if header.sequence != self.sequence {
                    continue;
                }
                whole &= header.flags & NLM_F_DUMP_INTR == 0;
                match header.kind {
                    NLMSG_DONE => return Ok(whole.then_some(answer)),
                    NLMSG_ERROR => return Err(refusal(message)),
                    _ => answer.push(read(message)?),
                }
            }
        }
    }
}

struct Header {
    kind: u16,
    flags: u16,
    sequence: u32,
}

impl Header {
    fn of(message: &[u8]) -> io::Result<Self> {
        let short = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "a netlink message is shorter than its header",
            )
        };
        let header = message.first_chunk::<HEADER>().ok_or_else(short)?;
        let [_, _, _, _, k0, k1, f0, f1, s0, s1, s2, s3, ..] = *header;
        Ok(Header {
            kind: u16::from_ne_bytes([k0, k1]),
            flags: u16::from_ne_bytes([f0, f1]),
            sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
        })
    }
}

fn refusal(message: &[u8]) -> io::Error {
    match errno(message) {
        Some(errno) => io::Error::from_raw_os_error(errno),
        None => io::Error::new(io::ErrorKind::InvalidData, "a netlink error has no number"),
    }
}

/// A dump request with string attributes.
fn request(kind: u16, family: u8, sequence: u32, strings: &[(u16, &str)]) -> Vec<u8> {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_DUMP;
    let strings: Vec<_> = strings.iter().map(|(kind, it)| text(*kind, it)).collect();
    let mut message = message(kind, flags, family, 0, &strings);
    message[8..12].copy_from_slice(&sequence.to_ne_bytes());
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_padding_and_its_length() {
        let message = request(0x0a0a, 2, 7, &[(1, "pinhole"), (2, "m_out")]);
        assert_eq!(message.len(), 16 + 4 + 12 + 12);
        assert_eq!(message[..4], 44_u32.to_ne_bytes());
        assert_eq!(message[20..22], 12_u16.to_ne_bytes());
        assert_eq!(&message[24..32], b"pinhole\0");
        assert_eq!(message[32..34], 10_u16.to_ne_bytes());
        assert_eq!(&message[36..], b"m_out\0\0\0");
    }

    #[test]
    fn an_error_is_that_of_the_kernel() {
        let mut message = request(NLMSG_ERROR, 0, 1, &[]);
        message.truncate(HEADER);
        assert_eq!(refusal(&message).kind(), io::ErrorKind::InvalidData);
        message.extend((-libc::EPERM).to_ne_bytes());
        assert_eq!(refusal(&message).kind(), io::ErrorKind::PermissionDenied);
    }
}
