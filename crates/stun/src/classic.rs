//! STUN before the magic cookie (RFC 3489): what a server needs to answer such clients.

use std::net::{IpAddr, SocketAddr};

use crate::{Attribute, Change, ParseError, code};

/// A Binding request of RFC 3489 §8.1. Its transaction id has 16 bytes, of which 4 are the magic
/// cookie since RFC 5389.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicRequest {
    transaction: [u8; 16],
    change: Change,
    unknown: Vec<u16>,
}

const BINDING_REQUEST: u16 = 0x0001;
const BINDING_ANSWER: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;
const HEADER: usize = 20;

impl ClassicRequest {
    /// Reads a datagram that [`Message::parse`](crate::Message::parse) refuses.
    ///
    /// # Errors
    /// When it is not a Binding request without a magic cookie, or when its
    /// attributes do not fill the datagram.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let (header, mut rest) = bytes.split_at_checked(HEADER).ok_or(ParseError::NotStun)?;
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        if number(0) != BINDING_REQUEST || usize::from(number(2)) != rest.len() {
            return Err(ParseError::NotStun);
        }
        let mut request = Self {
            transaction: [0; 16],
            change: Change::default(),
            unknown: Vec::new(),
        };
        request.transaction.copy_from_slice(&header[4..]);
        while !rest.is_empty() {
            let &[a, b, c, d, ref tail @ ..] = rest else {
                return Err(ParseError::Malformed);
            };
            let (kind, length) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let split = tail.split_at_checked(usize::from(length));
            let (value, tail) = split.ok_or(ParseError::Malformed)?;
            request.attribute(kind, value)?;
            rest = tail;
        }
        Ok(request)
    }

    /// Where the answer is to come from (RFC 3489 §11.2.4).
    pub fn change(&self) -> Change {
        self.change
    }

    /// The mandatory attributes that are not supported, to be answered with
    /// [`refusal`](Self::refusal). RESPONSE-ADDRESS is one of them: with it, a client could make the
    /// server send to any address.
    pub fn unknown(&self) -> &[u16] {
        &self.unknown
    }

    /// The answer to `mapped`, sent from `source`, by a server whose other
    /// address and port are `changed` (RFC 3489 §8.1).
    pub fn answer(
        &self,
        mapped: SocketAddr,
        source: Option<SocketAddr>,
        changed: Option<SocketAddr>,
    ) -> Vec<u8> {
        let mut body = address(Attribute::MappedAddress, mapped);
        body.extend(
            source
                .into_iter()
                .flat_map(|a| address(Attribute::SourceAddress, a)),
        );
        body.extend(
            changed
                .into_iter()
                .flat_map(|a| address(Attribute::ChangedAddress, a)),
        );
        self.message(BINDING_ANSWER, &body)
    }

    /// The error answer 420, for these attributes (RFC 3489 §11.2.9, §11.2.10).
    pub fn refusal(&self, unknown: &[u16]) -> Vec<u8> {
        let reason = code::reason(code::UNKNOWN_ATTRIBUTE);
        let mut error = vec![0, 0, 4, 20];
        error.extend(reason.bytes());
        // RFC 3489 has no padding between attributes, so the phrase itself is padded.
        error.resize(error.len().next_multiple_of(4), b' ');
        let mut codes: Vec<u8> = unknown.iter().flat_map(|code| code.to_be_bytes()).collect();
        if unknown.len() % 2 == 1 {
            codes.extend_from_within(codes.len() - 2..);
        }
        let mut body = attribute(Attribute::ErrorCode, &error);
        body.extend(attribute(Attribute::UnknownAttributes, &codes));
        self.message(BINDING_ERROR, &body)
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) -> Result<(), ParseError> {
        if kind == Attribute::ChangeRequest.code() {
            let bits = value.try_into().map_err(|_| ParseError::Malformed)?;
            self.change = Change::from_bits(u32::from_be_bytes(bits));
        } else if kind < 0x8000 && self.unknown.len() < 8 {
            self.unknown.push(kind);
        }
        Ok(())
    }

    fn message(&self, kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(HEADER + body.len());
        message.extend(kind.to_be_bytes());
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(self.transaction);
        message.extend(body);
        message
    }
}

fn attribute(kind: Attribute, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + value.len());
    bytes.extend(kind.code().to_be_bytes());
    bytes.extend((value.len() as u16).to_be_bytes());
    bytes.extend(value);
    bytes
}

/// IPv4 as in RFC 3489 §11.2.1, IPv6 as in RFC 8489 §14.1.
fn address(kind: Attribute, address: SocketAddr) -> Vec<u8> {
    let mut value = vec![0, if address.is_ipv4() { 1 } else { 2 }];
    value.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets()),
        IpAddr::V6(ip) => value.extend(ip.octets()),
    }
    attribute(kind, &value)
}
