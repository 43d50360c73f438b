//! Writing a message, attribute by attribute.

use std::net::SocketAddr;

use stun_types::attribute::{
    AttributeType, ErrorCode, MappedSocketAddr, RawAttribute, XorSocketAddr,
};
use stun_types::message::{
    IntegrityAlgorithm, Message as Stun, MessageType, MessageWriteVec, TransactionId,
};
use stun_types::prelude::*;

use crate::message::signed_part;
use crate::{Attribute, Change, Class, Icmp, IntegrityKey, Message, Method, Transaction, code};

/// Writes a message. Attributes are written in the order of the calls.
#[derive(Debug)]
pub struct Builder {
    pub(crate) stun: MessageWriteVec,
    transaction: TransactionId,
}

impl Builder {
    /// A message of any class.
    pub fn new(class: Class, method: Method, transaction: Transaction) -> Self {
        let mut number = [0; 16];
        number[4..].copy_from_slice(&transaction);
        let transaction = TransactionId::from(u128::from_be_bytes(number));
        let kind =
            MessageType::from_class_method(class, stun_types::message::Method::new(method.code()));
        Builder {
            stun: Stun::builder(kind, transaction, MessageWriteVec::with_capacity(128)),
            transaction,
        }
    }

    /// A request.
    pub fn request(method: Method, transaction: Transaction) -> Self {
        Self::new(Class::Request, method, transaction)
    }

    /// An indication.
    pub fn indication(method: Method, transaction: Transaction) -> Self {
        Self::new(Class::Indication, method, transaction)
    }

    /// The success answer to a request. It tells which transmission it answers, if they are numbered.
    pub fn success(request: &Message<'_>) -> Self {
        Self::answer(Class::Success, request)
    }

    fn answer(class: Class, request: &Message<'_>) -> Self {
        let answer = Self::new(class, request.method(), request.transaction());
        match request.transmission() {
            Some(number) => answer.transmission(number),
            None => answer,
        }
    }

    /// The error answer to a request, with the usual reason phrase.
    pub fn error(request: &Message<'_>, error: u16) -> Self {
        Self::answer(Class::Error, request).error_code(error)
    }

    /// The same without a reason phrase, for requests that are short themselves.
    pub fn short_error(request: &Message<'_>, error: u16) -> Self {
        let error = [0, 0, (error / 100) as u8, (error % 100) as u8];
        Self::answer(Class::Error, request).raw(Attribute::ErrorCode, &error)
    }

    /// ERROR-CODE, with the usual reason phrase.
    pub fn error_code(mut self, error: u16) -> Self {
        let attribute =
            ErrorCode::new(error, code::reason(error)).expect("a code of ours, 300 to 699");
        self.push(&attribute);
        self
    }

    fn push(&mut self, attribute: &dyn AttributeWrite) {
        // It fails only for a second integrity attribute, which the types here exclude.
        let _ = self.stun.add_attribute(attribute);
    }

    /// Any attribute, as bytes.
    pub fn raw(mut self, attribute: Attribute, value: &[u8]) -> Self {
        self.push(&RawAttribute::new(
            AttributeType::new(attribute.code()),
            value,
        ));
        self
    }

    fn plain_address(mut self, attribute: Attribute, address: SocketAddr) -> Self {
        let address = MappedSocketAddr::new(address);
        self.push(&address.to_raw(AttributeType::new(attribute.code())));
        self
    }

    pub(crate) fn xor_address(mut self, attribute: Attribute, address: SocketAddr) -> Self {
        let address = XorSocketAddr::new(address, self.transaction);
        self.push(&address.to_raw(AttributeType::new(attribute.code())));
        self
    }

    /// XOR-MAPPED-ADDRESS.
    pub fn xor_mapped(self, address: SocketAddr) -> Self {
        self.xor_address(Attribute::XorMappedAddress, address)
    }

    /// MAPPED-ADDRESS, for clients of RFC 3489.
    pub fn mapped(self, address: SocketAddr) -> Self {
        self.plain_address(Attribute::MappedAddress, address)
    }

    /// RESPONSE-ORIGIN.
    pub fn response_origin(self, address: SocketAddr) -> Self {
        self.plain_address(Attribute::ResponseOrigin, address)
    }

    /// OTHER-ADDRESS.
    pub fn other_address(self, address: SocketAddr) -> Self {
        self.plain_address(Attribute::OtherAddress, address)
    }

    /// CHANGE-REQUEST.
    pub fn change_request(self, change: Change) -> Self {
        self.raw(Attribute::ChangeRequest, &change.to_bits().to_be_bytes())
    }

    /// UNKNOWN-ATTRIBUTES.
    pub fn unknown_attributes(self, codes: &[u16]) -> Self {
        let value: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
        self.raw(Attribute::UnknownAttributes, &value)
    }

    /// NONCE.
    pub fn nonce(self, nonce: &[u8]) -> Self {
        self.raw(Attribute::Nonce, nonce)
    }

    /// LIFETIME, in seconds.
    pub fn lifetime(self, seconds: u32) -> Self {
        self.raw(Attribute::Lifetime, &seconds.to_be_bytes())
    }

    /// NAME.
    pub fn name(self, name: &str) -> Self {
        self.raw(Attribute::Name, name.as_bytes())
    }

    /// PEER-NAME.
    pub fn peer_name(self, name: &str) -> Self {
        self.raw(Attribute::PeerName, name.as_bytes())
    }

    /// PUBLIC-KEY.
    pub fn public_key(self, key: &[u8; 32]) -> Self {
        self.raw(Attribute::PublicKey, key)
    }

    /// SEQUENCE.
    pub fn sequence(self, sequence: u64) -> Self {
        self.raw(Attribute::Sequence, &sequence.to_be_bytes())
    }

    /// FRESH.
    pub fn fresh(self, fresh: &[u8; 8]) -> Self {
        self.raw(Attribute::Fresh, fresh)
    }

    /// SERVER-KEY, with the server's key.
    pub fn server_key(self, key: &[u8; 32]) -> Self {
        self.raw(Attribute::ServerKey, key)
    }

    /// SERVER-KEY, empty: asks the server to prove its answer.
    pub fn ask_proof(self) -> Self {
        self.raw(Attribute::ServerKey, &[])
    }

    /// TRANSMISSION: how often the request was sent before.
    pub fn transmission(self, number: u8) -> Self {
        self.raw(Attribute::Transmission, &[number])
    }

    /// PEER-ADDRESS.
    pub fn peer_address(self, address: SocketAddr) -> Self {
        self.xor_address(Attribute::PeerAddress, address)
    }

    /// SEAL.
    pub fn seal(self, noise: &[u8]) -> Self {
        self.raw(Attribute::Seal, noise)
    }

    /// RELAY.
    pub fn relay(self, sealed: &[u8]) -> Self {
        self.raw(Attribute::Relay, sealed)
    }

    /// WORK: one byte in an error answer, eight in a request.
    pub fn work(self, work: &[u8]) -> Self {
        self.raw(Attribute::Work, work)
    }

    /// ROTATION.
    pub fn rotation(self, rotation: &[u8; 96]) -> Self {
        self.raw(Attribute::Rotation, rotation)
    }

    /// ATTEMPT.
    pub fn attempt(self, attempt: [u8; 8]) -> Self {
        self.raw(Attribute::Attempt, &attempt)
    }

    /// MEASURE.
    pub fn measure(self, measure: &[u8]) -> Self {
        self.raw(Attribute::Measure, measure)
    }

    /// BOUNCED: about the answers of these transactions; in an answer about none.
    pub fn bounced(self, about: &[Transaction]) -> Self {
        self.raw(Attribute::Bounced, about.as_flattened())
    }

    /// ICMP.
    pub fn icmp(self, icmp: Icmp) -> Self {
        self.raw(Attribute::Icmp, &icmp.to_bytes())
    }

    /// USE-CANDIDATE.
    pub fn use_candidate(self) -> Self {
        self.raw(Attribute::UseCandidate, &[])
    }

    /// SIGNATURE of the message type and all from the magic cookie up to here.
    pub fn sign(self, sign: impl FnOnce(&[u8]) -> [u8; 64]) -> Self {
        let so_far = self.stun.data();
        let signature = sign(&signed_part(so_far, so_far.len()));
        self.raw(Attribute::Signature, &signature)
    }

    /// PADDING up to a message of at least `length` bytes, so that the answer to it may be as long.
    pub fn pad_to(self, length: usize) -> Self {
        let missing = length.saturating_sub(self.stun.len());
        if missing == 0 {
            return self;
        }
        let value = missing.saturating_sub(4).next_multiple_of(4);
        self.raw(Attribute::Padding, &vec![0; value])
    }

    /// The length of the message so far, in bytes.
    pub fn length(&self) -> usize {
        self.stun.len()
    }

    /// The bytes, without integrity.
    pub fn finish(self) -> Vec<u8> {
        self.stun.finish()
    }

    /// The bytes, with MESSAGE-INTEGRITY-SHA256 under `key`.
    pub fn finish_authentic(mut self, key: &IntegrityKey) -> Vec<u8> {
        self.stun
            .add_message_integrity_with_key(key, IntegrityAlgorithm::Sha256)
            .expect("the builder adds integrity once, here");
        self.stun.finish()
    }
}
