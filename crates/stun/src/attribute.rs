//! The attributes that Pinhole reads and writes, and their code points.

/// An attribute type. Those above 0xCF00 are our own; they are comprehension-optional.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Attribute {
    /// RFC 8489 §14.1.
    MappedAddress = 0x0001,
    /// RFC 5780 §7.2.
    ChangeRequest = 0x0003,
    /// RFC 3489 §11.2.5: where an answer was sent from; now RESPONSE-ORIGIN.
    SourceAddress = 0x0004,
    /// RFC 3489 §11.2.3: the server's other address; now OTHER-ADDRESS.
    ChangedAddress = 0x0005,
    /// RFC 8489 §14.3.
    Username = 0x0006,
    /// RFC 8489 §14.5: HMAC-SHA1, for clients of TURN only.
    MessageIntegrity = 0x0008,
    /// RFC 8489 §14.8.
    ErrorCode = 0x0009,
    /// RFC 8489 §14.9.
    UnknownAttributes = 0x000a,
    /// RFC 8656 §18.1.
    ChannelNumber = 0x000c,
    /// RFC 8656 §18.2: seconds.
    Lifetime = 0x000d,
    /// RFC 8656 §18.3; it may come more than once.
    XorPeerAddress = 0x0012,
    /// RFC 8656 §18.4.
    Data = 0x0013,
    /// RFC 8489 §14.9.
    Realm = 0x0014,
    /// RFC 8489 §14.10; here the stateless cookie.
    Nonce = 0x0015,
    /// RFC 8656 §18.5.
    XorRelayedAddress = 0x0016,
    /// RFC 8656 §18.6.
    RequestedAddressFamily = 0x0017,
    /// RFC 8656 §18.7.
    EvenPort = 0x0018,
    /// RFC 8656 §18.8.
    RequestedTransport = 0x0019,
    /// RFC 8489 §14.6.
    MessageIntegritySha256 = 0x001c,
    /// RFC 8489 §14.12.
    PasswordAlgorithm = 0x001d,
    /// RFC 8489 §14.4.
    Userhash = 0x001e,
    /// RFC 8489 §14.2.
    XorMappedAddress = 0x0020,
    /// RFC 8445 §7.1.2.
    UseCandidate = 0x0025,
    /// RFC 5780 §7.6.
    Padding = 0x0026,
    /// RFC 5780 §7.5.
    ResponsePort = 0x0027,
    /// RFC 8656 §18.13: an ICMP error that the sender of this message received.
    Icmp = 0x8004,
    /// RFC 8489 §14.14.
    Software = 0x8022,
    /// RFC 8489 §14.7.
    Fingerprint = 0x8028,
    /// RFC 5780 §7.3.
    ResponseOrigin = 0x802b,
    /// RFC 5780 §7.4.
    OtherAddress = 0x802c,
    /// The sender's registered name, UTF-8.
    Name = 0xcf01,
    /// The registered name of the peer that the message is about, UTF-8.
    PeerName = 0xcf02,
    /// An Ed25519 public key, 32 bytes.
    PublicKey = 0xcf03,
    /// A number that grows with every signed request of a key: u64, big endian.
    Sequence = 0xcf04,
    /// An Ed25519 signature, 64 bytes: see [`crate::Builder::sign`].
    Signature = 0xcf05,
    /// The peer's reflexive address at the rendezvous; coded as XOR-MAPPED-ADDRESS.
    PeerAddress = 0xcf06,
    /// A Noise handshake message that only the two peers can read.
    Seal = 0xcf07,
    /// The attempt that a probe belongs to, 8 bytes.
    Attempt = 0xcf08,
    /// Asks for ICMP errors about answers: in a request, the transactions of those answers, 12 bytes
    /// each. Empty in an answer of a server that can report them.
    Bounced = 0xcf09,
    /// Part of the measurement of a path: which part, and its figures.
    Measure = 0xcf0a,
    /// A nonce of the callee's, 8 bytes, that an offer to it is bound to.
    Fresh = 0xcf0b,
    /// A proof of work: in a 429, how many bits are wanted (1 byte); in a request, what was found (8
    /// bytes).
    Work = 0xcf0c,
    /// The sender's new key, signed by its old one: the old key and the signature, 96 bytes.
    Rotation = 0xcf0d,
    /// The server's Ed25519 public key, 32 bytes. Empty in a request that asks the server to prove its
    /// answer.
    ServerKey = 0xcf0e,
    /// In a request: how often it was sent before, 1 byte. In an answer: the same of the transmission
    /// that it answers.
    Transmission = 0xcf0f,
    /// Credentials for the relay. Empty in the request that asks for them; in the answer, sealed to
    /// the client's key.
    Relay = 0xcf10,
}

impl Attribute {
    pub(crate) const fn code(self) -> u16 {
        self as u16
    }

    /// The comprehension-required attributes that we understand (RFC 8489 §14). Those of
    /// authentication are among them: a server that asks for none ignores them.
    pub(crate) const REQUIRED: [Attribute; 16] = [
        Attribute::MappedAddress,
        Attribute::ChangeRequest,
        Attribute::Username,
        Attribute::MessageIntegrity,
        Attribute::ErrorCode,
        Attribute::UnknownAttributes,
        Attribute::Lifetime,
        Attribute::Realm,
        Attribute::Nonce,
        Attribute::MessageIntegritySha256,
        Attribute::PasswordAlgorithm,
        Attribute::Userhash,
        Attribute::XorMappedAddress,
        Attribute::UseCandidate,
        Attribute::Padding,
        Attribute::ResponsePort,
    ];

    /// The attributes of requests whose values have a fixed length, and the lengths that are read, in
    /// bytes.
    pub(crate) const FIXED: [(Attribute, &'static [usize]); 7] = [
        (Attribute::ChangeRequest, &[4]),
        (Attribute::ChannelNumber, &[4]),
        (Attribute::Lifetime, &[4]),
        (Attribute::RequestedAddressFamily, &[4]),
        (Attribute::EvenPort, &[1]),
        (Attribute::RequestedTransport, &[4]),
        // The RFC has 2 bytes, coturn writes 4.
        (Attribute::ResponsePort, &[2, 4]),
    ];
}

/// What a CHANGE-REQUEST asks for (RFC 5780 §7.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Answer from the other address.
    pub ip: bool,
    /// Answer from the other port.
    pub port: bool,
}

impl Change {
    pub(crate) fn to_bits(self) -> u32 {
        (u32::from(self.ip) << 2) | (u32::from(self.port) << 1)
    }

    pub(crate) fn from_bits(bits: u32) -> Self {
        Change {
            ip: bits & 4 != 0,
            port: bits & 2 != 0,
        }
    }
}
