//! NFLOG: the packets that rules report (linux/netfilter/nfnetlink_log.h).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use crate::attributes::{self, HEADERS, attribute, value};
use crate::socket::Socket;

/// A packet that a rule reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The rule's group.
    pub group: u16,
    /// Nanoseconds since 1970, in steps of a microsecond. `None`: the packet is on its way out.
    pub at_ns: Option<u64>,
    /// The rule's prefix, without the space at its end.
    pub prefix: String,
    /// From the IP header on.
    pub packet: Vec<u8>,
}

/// The reports of some groups, in the network namespace in which it was opened.
pub struct Reports {
    socket: Socket,
    groups: Vec<u16>,
}

const ULOG: u16 = 4 << 8; // NFNL_SUBSYS_ULOG
const PACKET: u16 = ULOG;
const CONFIG: u16 = ULOG | 1;

const CFG_CMD: u16 = 1;
const CFG_MODE: u16 = 2;
const CFG_TIMEOUT: u16 = 4;
const BIND: u8 = 1;
const UNBIND: u8 = 2;
const COPY_PACKET: u8 = 2;

const TIMESTAMP: u16 = 3;
const PAYLOAD: u16 = 9;
const PREFIX: u16 = 10;

/// Bytes of reports that may wait in the socket.
const WAITING: usize = 64 << 20;
/// Most of a packet that is reported; a rule may say less.
const MOST: u32 = 2048;
/// How long the kernel collects reports before it delivers them, in hundredths of a second.
const COLLECT: u32 = 2;
/// The time after which no report of an earlier packet is left.
pub const DELAY: Duration = Duration::from_millis(COLLECT as u64 * 10 + 40);

impl Reports {
    /// Opens the socket and asks for these groups.
    ///
    /// # Errors
    /// `EBUSY`: another program has a group. `EPERM`: CAP_NET_ADMIN is missing.
    pub fn open(groups: &[u16]) -> io::Result<Self> {
        let socket = Socket::open()?;
        // an older kernel allows the first to root alone
        setsockopt(&socket, sockopt::RcvBufForce, &WAITING)
            .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &WAITING))?;
        let mut reports = Reports {
            socket,
            groups: groups.to_vec(),
        };
        for &group in groups {
            let mode = [&MOST.to_be_bytes()[..], &[COPY_PACKET, 0]].concat();
            for (kind, content) in [
                (CFG_CMD, &[BIND][..]),
                (CFG_MODE, &mode),
                (CFG_TIMEOUT, &COLLECT.to_be_bytes()),
            ] {
                reports.socket.request(&message(group, kind, content))?;
            }
        }
        Ok(reports)
    }

    /// Ends the groups, so that the kernel delivers what it has collected.
    pub fn end(&mut self) -> io::Result<()> {
        for &group in &self.groups {
            self.socket.send(&message(group, CFG_CMD, &[UNBIND]))?;
        }
        Ok(())
    }

    /// Adds what has come. Never waits.
    ///
    /// # Errors
    /// `ENOBUFS`: reports were lost after those that were added; later ones can be read by the next call.
    pub fn read(&mut self, into: &mut Vec<Report>) -> io::Result<()> {
        self.socket.for_each(|message| {
            into.extend(parse(message));
            Ok(())
        })
    }
}

impl AsFd for Reports {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// A request about a group, which is the resource id, with one attribute.
fn message(group: u16, kind: u16, content: &[u8]) -> Vec<u8> {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_ACK;
    let attribute = attribute(kind, content);
    attributes::message(CONFIG, flags, libc::AF_UNSPEC as u8, group, &[attribute])
}

/// `None`: another message, or one without a packet.
pub fn parse(message: &[u8]) -> Option<Report> {
    if message.get(4..6)? != PACKET.to_ne_bytes() {
        return None;
    }
    let attributes = message.get(HEADERS..)?;
    let group = u16::from_be_bytes(*message.get(18..20)?.first_chunk()?);
    let prefix = value(attributes, PREFIX).unwrap_or_default();
    let prefix = String::from_utf8_lossy(prefix);
    let at_ns = value(attributes, TIMESTAMP).and_then(|bytes| {
        let (seconds, rest) = bytes.split_first_chunk()?;
        let micros = u64::from_be_bytes(*rest.first_chunk()?);
        u64::from_be_bytes(*seconds)
            .checked_mul(1_000_000_000)?
            .checked_add(micros.checked_mul(1000)?)
    });
    Some(Report {
        group,
        at_ns,
        prefix: prefix.trim_end_matches(['\0', ' ']).to_owned(),
        packet: value(attributes, PAYLOAD)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Vec<u8> {
        let mut message = vec![0; 16];
        message[4..6].copy_from_slice(&PACKET.to_ne_bytes());
        message.extend([2, 0, 0, 7]);
        let time = [2_u64.to_be_bytes(), 5_u64.to_be_bytes()].concat();
        message.extend(attribute(TIMESTAMP, &time));
        message.extend(attribute(PREFIX, b"NO_MAPPING \0"));
        message.extend(attribute(PAYLOAD, b"\x45packet"));
        message
    }

    #[test]
    fn a_report_is_read() {
        let expected = Report {
            group: 7,
            at_ns: Some(2_000_005_000),
            prefix: "NO_MAPPING".to_owned(),
            packet: b"\x45packet".to_vec(),
        };
        assert_eq!(parse(&report()), Some(expected));
    }

    #[test]
    fn a_broken_report_does_not_panic() {
        let report = report();
        for end in 0..report.len() {
            parse(&report[..end]);
        }
        for at in 0..report.len() {
            let mut changed = report.clone();
            changed[at] ^= 0xff;
            parse(&changed);
        }
    }

    #[test]
    fn a_request_names_its_group() {
        let message = message(2, CFG_CMD, &[BIND]);
        assert_eq!(message[..4], 28_u32.to_ne_bytes());
        assert_eq!(message[18..20], [0, 2]);
        assert_eq!(message[20..25], [5, 0, 1, 0, BIND]);
    }
}
