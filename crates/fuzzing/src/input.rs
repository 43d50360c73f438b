//! The fuzzer's bytes, as choices.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use arbitrary::Unstructured;
use stun::Attribute;

/// Choices, until the bytes are used up. Then each choice is the first one.
pub(crate) struct Choices<'a>(Unstructured<'a>);

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Choices(Unstructured::new(bytes))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn short(&mut self) -> u16 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn word(&mut self) -> u32 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn long(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or_default()
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// Up to 255 bytes, and up to 2048 where the first byte says so.
    pub(crate) fn bytes(&mut self) -> &'a [u8] {
        let length = match self.byte() {
            255 => usize::from(self.short()) % 2048,
            length => usize::from(length),
        };
        self.0.bytes(length.min(self.0.len())).unwrap_or_default()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.0.bytes(self.0.len()).unwrap_or_default()
    }

    /// Some milliseconds, mostly; up to 17 minutes.
    pub(crate) fn time(&mut self) -> Duration {
        let unit = self.of(&[1, 1, 5, 50, 500, 4000]);
        Duration::from_millis(u64::from(self.byte()) * unit)
    }

    pub(crate) fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    pub(crate) fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// Any address, or one of these.
    pub(crate) fn address(&mut self, usual: &[SocketAddr]) -> SocketAddr {
        let at = usize::from(self.byte());
        if at < 240 {
            return usual[at % usual.len()];
        }
        let ip = match at % 2 {
            0 => IpAddr::from(self.word().to_be_bytes()),
            _ => IpAddr::from(self.0.arbitrary::<[u8; 16]>().unwrap_or_default()),
        };
        SocketAddr::new(ip, self.short())
    }
}

/// Appends an attribute of any kind to a finished message, which has room for it.
pub(crate) fn append(message: &mut Vec<u8>, choices: &mut Choices<'_>) {
    let kind = match choices.byte() {
        0..=200 => choices.of(&ATTRIBUTES) as u16,
        201..=230 => choices.of(&[
            Attribute::MessageIntegrity as u16,
            Attribute::MessageIntegritySha256 as u16,
            Attribute::Fingerprint as u16,
        ]),
        _ => choices.short(),
    };
    let value = choices.bytes();
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
    let length = (message.len() - 20) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address of ours")
}

/// The attributes that Pinhole knows, but for those that the builder computes.
pub(crate) const ATTRIBUTES: [Attribute; 40] = [
    Attribute::MappedAddress,
    Attribute::ChangeRequest,
    Attribute::SourceAddress,
    Attribute::ChangedAddress,
    Attribute::Username,
    Attribute::ErrorCode,
    Attribute::UnknownAttributes,
    Attribute::ChannelNumber,
    Attribute::Lifetime,
    Attribute::XorPeerAddress,
    Attribute::Data,
    Attribute::Realm,
    Attribute::Nonce,
    Attribute::XorRelayedAddress,
    Attribute::RequestedAddressFamily,
    Attribute::EvenPort,
    Attribute::RequestedTransport,
    Attribute::XorMappedAddress,
    Attribute::UseCandidate,
    Attribute::Padding,
    Attribute::ResponsePort,
    Attribute::Icmp,
    Attribute::Software,
    Attribute::ResponseOrigin,
    Attribute::OtherAddress,
    Attribute::Name,
    Attribute::PeerName,
    Attribute::PublicKey,
    Attribute::Sequence,
    Attribute::Signature,
    Attribute::PeerAddress,
    Attribute::Seal,
    Attribute::Attempt,
    Attribute::Bounced,
    Attribute::Measure,
    Attribute::Relay,
    Attribute::Fresh,
    Attribute::Work,
    Attribute::Rotation,
    Attribute::ServerKey,
];
