//! What a message is: its method, its class, its error code.

pub use stun_types::message::MessageClass as Class;

/// The methods that Pinhole speaks. Ours lie in the range that RFC 8489 §18.2
/// leaves to designated experts, at its end, where nothing is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 8489 §3.
    Binding,
    /// Bind a name to a key at an address; refresh or drop that binding.
    Register,
    /// Ask for the key of a name.
    Lookup,
    /// Ask to be introduced to a name.
    Connect,
    /// Tell a registered client that somebody asks for it.
    Notify,
    /// Between two peers: the packet that makes the hole.
    Probe,
}

impl Method {
    /// All of them.
    pub const ALL: [Method; 6] = [
        Method::Binding,
        Method::Register,
        Method::Lookup,
        Method::Connect,
        Method::Notify,
        Method::Probe,
    ];

    /// The 12 bit code point.
    pub const fn code(self) -> u16 {
        match self {
            Method::Binding => 0x001,
            Method::Register => 0x0f0,
            Method::Lookup => 0x0f1,
            Method::Connect => 0x0f2,
            Method::Notify => 0x0f3,
            Method::Probe => 0x0f4,
        }
    }

    /// The method of a code point, if it is one of ours.
    pub fn from_code(code: u16) -> Option<Method> {
        Method::ALL.into_iter().find(|m| m.code() == code)
    }

    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Method::Binding => "binding",
            Method::Register => "register",
            Method::Lookup => "lookup",
            Method::Connect => "connect",
            Method::Notify => "notify",
            Method::Probe => "probe",
        }
    }
}

/// Error codes that the rendezvous answers with (RFC 8489 §14.8).
pub mod code {
    /// The request is not understood (RFC 8489).
    pub const BAD_REQUEST: u16 = 400;
    /// Come again with this NONCE (RFC 8489).
    pub const UNAUTHENTICATED: u16 = 401;
    /// The signature does not fit (RFC 8656's Forbidden).
    pub const FORBIDDEN: u16 = 403;
    /// Nobody is registered under that name.
    pub const NOT_REGISTERED: u16 = 404;
    /// The name is registered, but its owner did not acknowledge in time.
    pub const PEER_SILENT: u16 = 408;
    /// The name is bound to another key.
    pub const NAME_TAKEN: u16 = 409;
    /// A comprehension-required attribute is unknown (RFC 8489).
    pub const UNKNOWN_ATTRIBUTE: u16 = 420;
    /// The NONCE is too old or of another address (RFC 8489).
    pub const STALE_NONCE: u16 = 438;
    /// A table of the server is full (RFC 8656's Insufficient Capacity).
    pub const INSUFFICIENT_CAPACITY: u16 = 508;

    /// What to call it.
    pub fn reason(code: u16) -> &'static str {
        match code {
            BAD_REQUEST => "Bad Request",
            UNAUTHENTICATED => "Unauthenticated",
            FORBIDDEN => "Forbidden",
            NOT_REGISTERED => "Not Registered",
            PEER_SILENT => "Peer Silent",
            NAME_TAKEN => "Name Taken",
            UNKNOWN_ATTRIBUTE => "Unknown Attribute",
            STALE_NONCE => "Stale Nonce",
            INSUFFICIENT_CAPACITY => "Insufficient Capacity",
            _ => "Error",
        }
    }
}
