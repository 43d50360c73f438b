//! TURN (RFC 8656): its attributes, its long-term credentials, and channel data.

use std::net::SocketAddr;

use stun_types::attribute::{Attribute as _, XorSocketAddr};
use stun_types::message::{IntegrityAlgorithm, LongTermKeyCredentials, MessageWriteExt as _};
use stun_types::prelude::*;

use crate::{Attribute, Builder, IntegrityKey, Message};

/// The numbers that a channel may have (RFC 8656 §12). RFC 5766 went on to 0x7fff; these are reserved
/// now, so that DTLS and RTP can share a socket with TURN (RFC 7983).
pub const CHANNELS: std::ops::RangeInclusive<u16> = 0x4000..=0x4fff;

/// IPv4 in REQUESTED-ADDRESS-FAMILY.
pub const IPV4: u8 = 1;

/// IPv6 in REQUESTED-ADDRESS-FAMILY.
pub const IPV6: u8 = 2;

/// Bytes before the payload in a Data or Send indication with an IPv4 peer: the header,
/// XOR-PEER-ADDRESS, and the head of DATA. Up to 3 bytes of padding follow the payload.
pub const INDICATION_OVERHEAD: usize = 36;

/// Bytes before the payload in channel data.
pub const CHANNEL_OVERHEAD: usize = 4;

/// The largest datagram of TURN that is read, in bytes: what an Ethernet frame carries, in an
/// indication.
pub const MAX_DATAGRAM: usize = 1536;

/// UDP in REQUESTED-TRANSPORT.
const UDP: u8 = 17;

/// The key of long-term credentials with MD5 (RFC 8489 §9.2.2), which every client of TURN supports.
pub fn long_term_key(username: &str, realm: &str, password: &str) -> IntegrityKey {
    let [username, password, realm] = [username, password, realm].map(str::to_owned);
    LongTermKeyCredentials::new(username, password, realm).make_key(IntegrityAlgorithm::Sha1)
}

/// Whether the first byte is that of channel data.
pub fn is_channel_data(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(0x40..=0x4f))
}

/// The number and the payload of channel data; over UDP it may be padded.
pub fn channel_data(datagram: &[u8]) -> Option<(u16, &[u8])> {
    let (&[a, b, c, d], rest) = datagram.split_first_chunk()?;
    let channel = u16::from_be_bytes([a, b]);
    let payload = rest.get(..usize::from(u16::from_be_bytes([c, d])))?;
    CHANNELS.contains(&channel).then_some((channel, payload))
}

/// A payload as channel data, without padding; `None` if it is too long.
pub fn to_channel(channel: u16, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(payload.len()).ok()?;
    let head = [channel.to_be_bytes(), length.to_be_bytes()];
    Some([head.as_flattened(), payload].concat())
}

impl<'a> Message<'a> {
    /// USERNAME.
    pub fn username(&self) -> Option<&'a str> {
        std::str::from_utf8(self.get(Attribute::Username)?).ok()
    }

    /// REALM.
    pub fn realm(&self) -> Option<&'a str> {
        std::str::from_utf8(self.get(Attribute::Realm)?).ok()
    }

    /// XOR-PEER-ADDRESS, each of them; one that is malformed is `None`.
    pub fn peers(&self) -> Vec<Option<SocketAddr>> {
        let transaction = self.stun.transaction_id();
        self.stun
            .iter_attributes()
            .filter(|(_, raw)| raw.get_type().value() == Attribute::XorPeerAddress.code())
            .map(|(_, raw)| Some(XorSocketAddr::from_raw(&raw).ok()?.addr(transaction)))
            .collect()
    }

    /// XOR-RELAYED-ADDRESS.
    pub fn relayed(&self) -> Option<SocketAddr> {
        let raw = self
            .stun
            .raw_attribute(Attribute::XorRelayedAddress.code().into())?;
        let address = XorSocketAddr::from_raw(&raw).ok()?;
        Some(address.addr(self.stun.transaction_id()))
    }

    /// CHANNEL-NUMBER, if it is in [`CHANNELS`].
    pub fn channel(&self) -> Option<u16> {
        match *self.get(Attribute::ChannelNumber)? {
            [a, b, _, _] => Some(u16::from_be_bytes([a, b])).filter(|c| CHANNELS.contains(c)),
            _ => None,
        }
    }

    /// Whether REQUESTED-TRANSPORT is UDP; `None` if it is missing.
    pub fn wants_udp(&self) -> Option<bool> {
        let transport = self.get(Attribute::RequestedTransport)?;
        Some(transport.first() == Some(&UDP))
    }

    /// EVEN-PORT, if it is there: whether the next port is to be reserved as well.
    pub fn even_port(&self) -> Option<bool> {
        let flags = self.get(Attribute::EvenPort)?;
        Some(flags.first().is_some_and(|flags| flags & 0x80 != 0))
    }

    /// REQUESTED-ADDRESS-FAMILY: [`IPV4`], [`IPV6`] or what no RFC has assigned.
    pub fn requested_family(&self) -> Option<u8> {
        let family = self.get(Attribute::RequestedAddressFamily)?;
        family.first().copied()
    }

    /// Whether MESSAGE-INTEGRITY was made with this long-term key.
    pub fn authentic_long_term(&self, key: &IntegrityKey) -> bool {
        matches!(
            self.stun.validate_integrity_with_key(key),
            Ok(IntegrityAlgorithm::Sha1)
        )
    }
}

impl Builder {
    /// USERNAME.
    pub fn username(self, username: &str) -> Self {
        self.raw(Attribute::Username, username.as_bytes())
    }

    /// REALM.
    pub fn realm(self, realm: &str) -> Self {
        self.raw(Attribute::Realm, realm.as_bytes())
    }

    /// XOR-PEER-ADDRESS.
    pub fn peer(self, address: SocketAddr) -> Self {
        self.xor_address(Attribute::XorPeerAddress, address)
    }

    /// XOR-RELAYED-ADDRESS.
    pub fn relayed(self, address: SocketAddr) -> Self {
        self.xor_address(Attribute::XorRelayedAddress, address)
    }

    /// CHANNEL-NUMBER.
    pub fn channel(self, channel: u16) -> Self {
        let [a, b] = channel.to_be_bytes();
        self.raw(Attribute::ChannelNumber, &[a, b, 0, 0])
    }

    /// REQUESTED-TRANSPORT: UDP.
    pub fn udp(self) -> Self {
        self.raw(Attribute::RequestedTransport, &[UDP, 0, 0, 0])
    }

    /// DATA.
    pub fn data(self, payload: &[u8]) -> Self {
        self.raw(Attribute::Data, payload)
    }

    /// The bytes, with MESSAGE-INTEGRITY under a long-term key.
    pub fn finish_long_term(mut self, key: &IntegrityKey) -> Vec<u8> {
        self.stun
            .add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1)
            .expect("the builder adds integrity once, here");
        self.stun.finish()
    }
}
