//! What one host tells of its side of an attempt: the packets that its sockets have sent and received,
//! and what the server saw.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Packets of an account, at most; of these, sent and heard ones.
pub const MOST_PACKETS: usize = 512;
const MOST_SENT: usize = MOST_PACKETS - MOST_HEARD;
pub(crate) const MOST_HEARD: usize = 128;

/// The length of an encoded account in bytes, at most.
pub const MOST_BYTES: usize = 32 * 1024;

/// Reflexive addresses of an account, at most.
const MOST_REFLEXIVE: usize = 4;

/// The longest name and the longest code.
const LONGEST_TEXT: usize = 32;

const VERSION: u8 = 1;

/// One host's account of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The host's name at the rendezvous.
    pub name: String,
    /// Its own address.
    pub address: IpAddr,
    /// Where the server saw it: towards the server's first address, then towards its second.
    pub reflexive: Vec<SocketAddr>,
    /// Where the server saw its peer.
    pub peer: SocketAddr,
    /// Whether it has a path to the peer.
    pub connected: bool,
    /// Where it has no path: the code of the cause.
    pub cause: Option<String>,
    /// Packets that are not in `packets`, since there were too many.
    pub left_out: u32,
    /// The packets to the peer and from it, and the ICMP errors about them, in the order of time.
    pub packets: Vec<Packet>,
}

/// A packet at a socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Microseconds since the host's attempt began.
    pub at_us: u64,
    /// What happened to it.
    pub what: What,
    /// The host's own port.
    pub port: u16,
    /// The other end; for an ICMP error, where the packet that it is about was sent.
    pub remote: SocketAddr,
    /// Sent: the TTL that was set, if not the system's default. Received: the TTL that was left.
    pub ttl: Option<u8>,
    /// The length of the payload in bytes; for an ICMP error, of what it quotes.
    pub len: u16,
    /// What its header says, if it is a STUN message.
    pub stun: Option<Stun>,
    /// The first bytes of the SHA-256 of the payload.
    pub hash: [u8; 8],
}

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// A socket has sent it.
    Sent,
    /// A socket has received it.
    Received,
    /// This ICMP error came about it.
    Icmp {
        /// Who sent the error.
        offender: IpAddr,
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
    },
    /// The host's own rules have dropped it.
    Blocked {
        /// On its way out, and not on its way in.
        outgoing: bool,
    },
}

/// The header of a STUN message (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stun {
    /// The message type.
    pub kind: u16,
    /// The first bytes of the transaction id.
    pub id: [u8; 3],
}

impl Stun {
    /// Of a payload of which as much as the header is there.
    pub fn of(payload: &[u8]) -> Option<Stun> {
        let [a, b, _, _, cookie @ .., i, j, k] = payload.first_chunk::<11>()?;
        let is_stun = *cookie == MAGIC_COOKIE.to_be_bytes() && payload.len() >= HEADER;
        (is_stun && a & 0xc0 == 0).then_some(Stun {
            kind: u16::from_be_bytes([*a, *b]),
            id: [*i, *j, *k],
        })
    }

    /// In words: `probe request 3f2a11`.
    pub fn describe(&self) -> Option<String> {
        let mut header = [0; HEADER];
        header[..2].copy_from_slice(&self.kind.to_be_bytes());
        header[4..8].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
        header[8..11].copy_from_slice(&self.id);
        stun::describe(&header)
    }
}

/// The length of a STUN header, and what is in its fifth to eighth byte.
const HEADER: usize = 20;
const MAGIC_COOKIE: u32 = 0x2112_a442;

impl Packet {
    /// A packet with this payload, as far as it is known.
    pub fn new(at_us: u64, what: What, port: u16, remote: SocketAddr, payload: &[u8]) -> Packet {
        let mut hash = [0; 8];
        hash.copy_from_slice(&Sha256::digest(payload)[..8]);
        Packet {
            at_us,
            what,
            port,
            remote,
            ttl: None,
            len: u16::try_from(payload.len()).unwrap_or(u16::MAX),
            stun: Stun::of(payload),
            hash,
        }
    }
}

impl Account {
    /// Where the server's first address sees it, and where the second one does, if that is elsewhere:
    /// its NAT gives each destination another port.
    pub fn remap(&self) -> Option<(SocketAddr, SocketAddr)> {
        let first = *self.reflexive.first()?;
        let other = *self.reflexive.iter().find(|&&other| other != first)?;
        Some((first, other))
    }

    /// Encodes it: a version byte, then postcard's format.
    pub fn encode(&self) -> Vec<u8> {
        let start = vec![VERSION];
        // A Vec never refuses to grow, and no type here refuses to be written.
        postcard::to_extend(self, start).unwrap_or_default()
    }

    /// Decodes what a peer has told; `None` if it cannot be read, or is longer than it may be.
    pub fn decode(bytes: &[u8]) -> Option<Account> {
        let encoded = bytes.strip_prefix(&[VERSION])?;
        if bytes.len() > MOST_BYTES {
            return None;
        }
        let account: Account = postcard::from_bytes(encoded).ok()?;
        let plain =
            |text: &str| text.len() <= LONGEST_TEXT && text.chars().all(|c| !c.is_control());
        let bounded = plain(&account.name)
            && account.cause.as_deref().is_none_or(plain)
            && account.reflexive.len() <= MOST_REFLEXIVE
            && account.packets.len() <= MOST_PACKETS;
        bounded.then_some(account)
    }
}

/// The packets that are kept while an attempt goes on: the first ones and the last ones.
#[derive(Debug, Default)]
pub struct Notes {
    sent: Ends,
    heard: Ends,
}

/// The first half and the last half of what may be kept.
#[derive(Debug, Default)]
struct Ends {
    first: Vec<Packet>,
    last: VecDeque<Packet>,
    left_out: u32,
}

impl Notes {
    /// Keeps a packet, or counts it.
    pub fn note(&mut self, packet: Packet) {
        match packet.what {
            What::Sent => self.sent.note(packet, MOST_SENT),
            What::Received | What::Icmp { .. } | What::Blocked { .. } => {
                self.heard.note(packet, MOST_HEARD);
            }
        }
    }

    /// The packets in the order of time, and how many are not among them.
    pub fn finish(self) -> (Vec<Packet>, u32) {
        let left_out = self.sent.left_out.saturating_add(self.heard.left_out);
        let kept = [self.sent, self.heard].into_iter();
        let mut packets: Vec<_> = kept
            .flat_map(|it| it.first.into_iter().chain(it.last))
            .collect();
        packets.sort_by_key(|packet| packet.at_us);
        (packets, left_out)
    }
}

impl Ends {
    fn note(&mut self, packet: Packet, most: usize) {
        if self.first.len() < most / 2 {
            return self.first.push(packet);
        }
        if self.last.len() == most - most / 2 {
            self.last.pop_front();
            self.left_out = self.left_out.saturating_add(1);
        }
        self.last.push_back(packet);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(packets: Vec<Packet>) -> Account {
        Account {
            name: "alice".into(),
            address: "192.168.1.2".parse().unwrap(),
            reflexive: vec!["203.0.113.17:40000".parse().unwrap()],
            peer: "203.0.113.33:40001".parse().unwrap(),
            connected: false,
            cause: Some("NOTHING_HEARD".into()),
            left_out: 3,
            packets,
        }
    }

    fn packet(n: u64) -> Packet {
        let remote = "[2001:db8::1]:65535".parse().unwrap();
        Packet {
            ttl: Some(2),
            ..Packet::new(n, What::Sent, 65535, remote, &n.to_be_bytes())
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_and_the_longest_is_short_enough() {
        let longest: Vec<_> = (0..MOST_PACKETS as u64)
            .map(|n| packet(u64::MAX - n))
            .collect();
        let account = account(longest);
        let bytes = account.encode();
        assert!(bytes.len() <= MOST_BYTES, "{}", bytes.len());
        assert_eq!(Account::decode(&bytes), Some(account));
        assert_eq!(Account::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Account::decode(&[]), None);
        assert_eq!(Account::decode(&[9, 9]), None);
    }

    #[test]
    fn an_account_beyond_the_bounds_is_refused() {
        let more = (0..=MOST_PACKETS as u64).map(packet).collect();
        assert_eq!(Account::decode(&account(more).encode()), None);
        let named = |name: &str| Account {
            name: name.into(),
            ..account(Vec::new())
        };
        assert!(Account::decode(&named("bob").encode()).is_some());
        assert_eq!(Account::decode(&named("b\x1b[2Job").encode()), None);
        assert_eq!(Account::decode(&named(&"b".repeat(33)).encode()), None);
    }

    #[test]
    fn the_first_and_the_last_packets_are_kept_and_the_rest_is_counted() {
        let mut notes = Notes::default();
        (0..1000).for_each(|n| notes.note(packet(n)));
        let received = Packet {
            what: What::Received,
            ..packet(500)
        };
        notes.note(received.clone());
        let (packets, left_out) = notes.finish();
        assert_eq!(
            (packets.len(), left_out),
            (MOST_SENT + 1, 1000 - MOST_SENT as u32)
        );
        assert_eq!((packets[0].at_us, packets.last().unwrap().at_us), (0, 999));
        assert!(packets.contains(&received));
    }

    #[test]
    fn a_stun_message_is_told_by_its_header_alone() {
        let request = stun::binding_request([0x3f; 12], None);
        let of = Stun::of(&request[..HEADER]).unwrap();
        assert_eq!(of.id, [0x3f; 3]);
        assert_eq!(of.describe().as_deref(), Some("binding request"));
        assert_eq!(Stun::of(&request[..HEADER - 1]), None);
        assert_eq!(Stun::of(&[7; 40]), None);
    }
}
