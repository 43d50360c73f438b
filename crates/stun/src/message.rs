//! Reading a message from a datagram.

use std::net::SocketAddr;

use stun_types::attribute::{Attribute as _, ErrorCode, MappedSocketAddr, XorSocketAddr};
use stun_types::message::{IntegrityAlgorithm, Message as Stun};
use stun_types::prelude::*;

use crate::{Attribute, Change, Class, Icmp, IntegrityKey, Method, Transaction};

/// Why a datagram cannot be read as a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No STUN header, or a length that is not the datagram's.
    #[error("not a STUN message")]
    NotStun,
    /// A STUN header, and attributes that do not fit into the message.
    #[error("a malformed STUN message")]
    Malformed,
    /// STUN, but a method that Pinhole does not use.
    #[error("unknown STUN method {0:#05x}")]
    UnknownMethod(u16),
}

/// A STUN message, borrowed from the datagram that held it.
///
/// Attributes are read when they are asked for. An attribute that is missing or malformed is `None`.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    pub(crate) stun: Stun<'a>,
    bytes: &'a [u8],
    method: Method,
}

const HEADER: usize = 20;

impl<'a> Message<'a> {
    /// Reads a datagram.
    ///
    /// # Errors
    /// When it is not STUN (RFC 8489 §5: the two zero bits, the magic cookie,
    /// the length), not well formed, or of a method that is not in [`Method`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        // The length must be equal: with trailing bytes allowed, two readers could read two messages.
        let [_, _, high, low, 0x21, 0x12, 0xa4, 0x42, ..] = *bytes else {
            return Err(ParseError::NotStun);
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if bytes[0] & 0xc0 != 0 || length % 4 != 0 || HEADER + length != bytes.len() {
            return Err(ParseError::NotStun);
        }
        let stun = Stun::from_bytes(bytes).map_err(|_| ParseError::Malformed)?;
        let code = stun.method().value();
        let method = Method::from_code(code).ok_or(ParseError::UnknownMethod(code))?;
        Ok(Message {
            stun,
            bytes,
            method,
        })
    }

    /// The method.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The class: request, indication, success or error.
    pub fn class(&self) -> Class {
        self.stun.class()
    }

    /// Whether the message has this class and method.
    pub fn is(&self, class: Class, method: Method) -> bool {
        self.class() == class && self.method == method
    }

    /// The transaction id.
    pub fn transaction(&self) -> Transaction {
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&self.bytes[8..HEADER]);
        transaction
    }

    /// The whole datagram.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The value of the first attribute of this type, as on the wire.
    pub fn get(&self, attribute: Attribute) -> Option<&'a [u8]> {
        self.position(attribute).map(|(_, value)| value)
    }

    fn position(&self, attribute: Attribute) -> Option<(usize, &'a [u8])> {
        let (offset, raw) = self
            .stun
            .raw_attribute_and_offset(attribute.code().into())?;
        let value = self
            .bytes
            .get(offset + 4..offset + 4 + usize::from(raw.length()))?;
        Some((offset, value))
    }

    fn array<const N: usize>(&self, attribute: Attribute) -> Option<[u8; N]> {
        self.get(attribute)?.try_into().ok()
    }

    fn text(&self, attribute: Attribute) -> Option<&'a str> {
        std::str::from_utf8(self.get(attribute)?).ok()
    }

    fn plain_address(&self, attribute: Attribute) -> Option<SocketAddr> {
        let raw = self.stun.raw_attribute(attribute.code().into())?;
        Some(MappedSocketAddr::from_raw(&raw).ok()?.addr())
    }

    fn xor_address(&self, attribute: Attribute) -> Option<SocketAddr> {
        let raw = self.stun.raw_attribute(attribute.code().into())?;
        let address = XorSocketAddr::from_raw(&raw).ok()?;
        Some(address.addr(self.stun.transaction_id()))
    }

    /// The reflexive address: XOR-MAPPED-ADDRESS, or else MAPPED-ADDRESS.
    pub fn mapped(&self) -> Option<SocketAddr> {
        self.xor_address(Attribute::XorMappedAddress)
            .or_else(|| self.plain_address(Attribute::MappedAddress))
    }

    /// The address that the server sent this from: RESPONSE-ORIGIN, or SOURCE-ADDRESS of RFC 3489.
    pub fn response_origin(&self) -> Option<SocketAddr> {
        self.plain_address(Attribute::ResponseOrigin)
            .or_else(|| self.plain_address(Attribute::SourceAddress))
    }

    /// The server's other address, which depends on the address that was asked: OTHER-ADDRESS, or
    /// CHANGED-ADDRESS of RFC 3489.
    pub fn other_address(&self) -> Option<SocketAddr> {
        self.plain_address(Attribute::OtherAddress)
            .or_else(|| self.plain_address(Attribute::ChangedAddress))
    }

    /// Where the answer is to come from (RFC 5780 §7.2).
    pub fn change_request(&self) -> Option<Change> {
        self.array(Attribute::ChangeRequest)
            .map(|bits| Change::from_bits(u32::from_be_bytes(bits)))
    }

    /// The port that the answer is to go to (RFC 5780 §7.5). The RFC has 2 bytes, coturn writes 4; both
    /// are read.
    pub fn response_port(&self) -> Option<u16> {
        match *self.get(Attribute::ResponsePort)? {
            [high, low] | [high, low, _, _] => Some(u16::from_be_bytes([high, low])),
            _ => None,
        }
    }

    /// The error code of an error answer.
    pub fn error(&self) -> Option<u16> {
        let raw = self
            .stun
            .raw_attribute(Attribute::ErrorCode.code().into())?;
        ErrorCode::from_raw_ref(&raw).ok().map(|error| error.code())
    }

    /// NONCE: the cookie of the rendezvous.
    pub fn nonce(&self) -> Option<&'a [u8]> {
        self.get(Attribute::Nonce)
    }

    /// LIFETIME, in seconds.
    pub fn lifetime(&self) -> Option<u32> {
        self.array(Attribute::Lifetime).map(u32::from_be_bytes)
    }

    /// The sender's name.
    pub fn name(&self) -> Option<&'a str> {
        self.text(Attribute::Name)
    }

    /// The name of the peer that the message is about.
    pub fn peer_name(&self) -> Option<&'a str> {
        self.text(Attribute::PeerName)
    }

    /// An Ed25519 public key. It may not be a valid point.
    pub fn public_key(&self) -> Option<[u8; 32]> {
        self.array(Attribute::PublicKey)
    }

    /// The number of a signed request.
    pub fn sequence(&self) -> Option<u64> {
        self.array(Attribute::Sequence).map(u64::from_be_bytes)
    }

    /// The nonce of the callee's that an offer to it is bound to.
    pub fn fresh(&self) -> Option<[u8; 8]> {
        self.array(Attribute::Fresh)
    }

    /// The server's key. It may not be a valid point.
    pub fn server_key(&self) -> Option<[u8; 32]> {
        self.array(Attribute::ServerKey)
    }

    /// Whether the request asks the server to prove its answer: with an empty SERVER-KEY.
    pub fn asks_proof(&self) -> bool {
        self.get(Attribute::ServerKey).is_some_and(<[u8]>::is_empty)
    }

    /// Which transmission of a request this is, or answers: 0 is the first one.
    pub fn transmission(&self) -> Option<u8> {
        self.array(Attribute::Transmission).map(u8::from_be_bytes)
    }

    /// The peer's reflexive address at the rendezvous.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.xor_address(Attribute::PeerAddress)
    }

    /// The Noise message.
    pub fn seal(&self) -> Option<&'a [u8]> {
        self.get(Attribute::Seal)
    }

    /// Credentials for the relay, sealed; empty in a request that asks for them.
    pub fn relay(&self) -> Option<&'a [u8]> {
        self.get(Attribute::Relay)
    }

    /// WORK in an error answer: the leading zero bits that are wanted.
    pub fn work_wanted(&self) -> Option<u8> {
        self.array(Attribute::Work).map(u8::from_be_bytes)
    }

    /// WORK in a request: what was found.
    pub fn work(&self) -> Option<[u8; 8]> {
        self.array(Attribute::Work)
    }

    /// The sender's old key, and that key's signature of the new one. Neither is checked.
    pub fn rotation(&self) -> Option<[u8; 96]> {
        self.array(Attribute::Rotation)
    }

    /// The attempt that a probe belongs to.
    pub fn attempt(&self) -> Option<[u8; 8]> {
        self.array(Attribute::Attempt)
    }

    /// The part of a path measurement that a probe is, and its figures.
    pub fn measure(&self) -> Option<&'a [u8]> {
        self.get(Attribute::Measure)
    }

    /// BOUNCED: the transactions whose answers the request asks about. Empty in an answer.
    pub fn bounced(&self) -> Option<&'a [Transaction]> {
        let (transactions, rest) = self.get(Attribute::Bounced)?.as_chunks();
        rest.is_empty().then_some(transactions)
    }

    /// The ICMP error that the message reports.
    pub fn icmp(&self) -> Option<Icmp> {
        Icmp::from_bytes(self.array(Attribute::Icmp)?)
    }

    /// Whether the probe nominates its pair (RFC 8445 §8.1.1).
    pub fn use_candidate(&self) -> bool {
        self.get(Attribute::UseCandidate).is_some()
    }

    /// The bytes that are signed, and the signature: see [`crate::Builder::sign`]. `None` where anything
    /// but TRANSMISSION and PADDING follows the signature: somebody on the way could have added it.
    pub fn signed(&self) -> Option<(Vec<u8>, [u8; 64])> {
        let (offset, value) = self.position(Attribute::Signature)?;
        let signature = value.try_into().ok()?;
        let after = [Attribute::Transmission, Attribute::Padding].map(Attribute::code);
        let mut attributes = self.stun.iter_attributes();
        let covered =
            attributes.all(|(at, raw)| at <= offset || after.contains(&raw.get_type().value()));
        covered.then(|| (signed_part(self.bytes, offset), signature))
    }

    /// Whether MESSAGE-INTEGRITY-SHA256 is there, not truncated, and of this key. A message with
    /// MESSAGE-INTEGRITY (HMAC-SHA1) is refused.
    pub fn authentic(&self, key: &IntegrityKey) -> bool {
        let whole = self
            .get(Attribute::MessageIntegritySha256)
            .is_some_and(|hash| hash.len() == 32);
        whole
            && self.get(Attribute::MessageIntegrity).is_none()
            && matches!(
                self.stun.validate_integrity_with_key(key),
                Ok(IntegrityAlgorithm::Sha256)
            )
    }

    /// Whether each attribute of a fixed length that a request asks for something by has that length. A
    /// request with another is answered with 400: without this check it would count as one without the
    /// attribute.
    pub fn has_right_lengths(&self) -> bool {
        let mut fixed = Attribute::FIXED.iter();
        fixed.all(|(attribute, lengths)| {
            let value = self.get(*attribute);
            value.is_none_or(|value| lengths.contains(&value.len()))
        })
    }

    /// The comprehension-required attributes that are not supported (RFC 8489 §6.3.1: they are
    /// answered with 420).
    pub fn unknown_required(&self) -> Vec<u16> {
        self.unknown_but(&Attribute::REQUIRED)
    }

    /// The comprehension-required attributes that are not among these.
    pub fn unknown_but(&self, known: &[Attribute]) -> Vec<u16> {
        let known = |code| known.iter().any(|a| a.code() == code);
        self.stun
            .iter_attributes()
            .map(|(_, raw)| raw.get_type().value())
            .filter(|&code| code < 0x8000 && !known(code))
            .take(8)
            .collect()
    }
}

/// What a signature covers: the message type, and all from the magic cookie to the SIGNATURE
/// attribute. The length is not covered, since padding may follow.
pub(crate) fn signed_part(bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut part = Vec::with_capacity(offset);
    part.extend_from_slice(&bytes[..2]);
    part.extend_from_slice(&bytes[4..offset]);
    part
}
