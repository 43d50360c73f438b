//! Method, class and error code of a message.

pub use stun_types::message::MessageClass as Class;

/// The methods that Pinhole uses. Our own are at the end of the range that RFC 8489 §18.2 leaves to
/// designated experts, where none is assigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 8489 §3.
    Binding,
    /// RFC 8656 §7: creates an allocation.
    Allocate,
    /// RFC 8656 §8: refreshes or ends an allocation.
    Refresh,
    /// RFC 8656 §11: data from the client to a peer.
    Send,
    /// RFC 8656 §11: data from a peer to the client.
    Data,
    /// RFC 8656 §10: permits a peer's address.
    CreatePermission,
    /// RFC 8656 §12: binds a channel to a peer.
    ChannelBind,
    /// Registers a name with a key at an address, refreshes the registration, or ends it.
    Register,
    /// Asks for the key of a name.
    Lookup,
    /// Asks for an introduction to a name.
    Connect,
    /// Invites a registered client to an introduction.
    Notify,
    /// Between two peers: a probe.
    Probe,
}

impl Method {
    /// All methods.
    pub const ALL: [Method; 12] = [
        Method::Binding,
        Method::Allocate,
        Method::Refresh,
        Method::Send,
        Method::Data,
        Method::CreatePermission,
        Method::ChannelBind,
        Method::Register,
        Method::Lookup,
        Method::Connect,
        Method::Notify,
        Method::Probe,
    ];

    /// The code point, 12 bits.
    pub const fn code(self) -> u16 {
        match self {
            Method::Binding => 0x001,
            Method::Allocate => 0x003,
            Method::Refresh => 0x004,
            Method::Send => 0x006,
            Method::Data => 0x007,
            Method::CreatePermission => 0x008,
            Method::ChannelBind => 0x009,
            Method::Register => 0x0f0,
            Method::Lookup => 0x0f1,
            Method::Connect => 0x0f2,
            Method::Notify => 0x0f3,
            Method::Probe => 0x0f4,
        }
    }

    /// Whether it is a method of TURN (RFC 8656).
    pub const fn is_turn(self) -> bool {
        matches!(
            self,
            Method::Allocate
                | Method::Refresh
                | Method::Send
                | Method::Data
                | Method::CreatePermission
                | Method::ChannelBind
        )
    }

    /// The method of a code point, if Pinhole uses it.
    pub fn from_code(code: u16) -> Option<Method> {
        Method::ALL.into_iter().find(|m| m.code() == code)
    }

    /// The name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Method::Binding => "binding",
            Method::Allocate => "allocate",
            Method::Refresh => "refresh",
            Method::Send => "send",
            Method::Data => "data",
            Method::CreatePermission => "permission",
            Method::ChannelBind => "channel",
            Method::Register => "register",
            Method::Lookup => "lookup",
            Method::Connect => "connect",
            Method::Notify => "notify",
            Method::Probe => "probe",
        }
    }
}

/// Error codes of the rendezvous' answers (RFC 8489 §14.8).
pub mod code {
    /// The request is not understood (RFC 8489).
    pub const BAD_REQUEST: u16 = 400;
    /// The request must be repeated with this NONCE (RFC 8489).
    pub const UNAUTHENTICATED: u16 = 401;
    /// The signature is wrong (Forbidden of RFC 8656).
    pub const FORBIDDEN: u16 = 403;
    /// The name is not registered.
    pub const NOT_REGISTERED: u16 = 404;
    /// The name is registered, but its client did not acknowledge the invitation in time.
    pub const PEER_SILENT: u16 = 408;
    /// The name is registered with another key.
    pub const NAME_TAKEN: u16 = 409;
    /// The offer is bound to a FRESH that is not the callee's: it has to be looked up again.
    pub const STALE_OFFER: u16 = 412;
    /// A comprehension-required attribute is unknown (RFC 8489).
    pub const UNKNOWN_ATTRIBUTE: u16 = 420;
    /// A new name is registered for a proof of work only: WORK has the difficulty.
    pub const WORK_REQUIRED: u16 = 429;
    /// There is no allocation for this 5-tuple, or there is one already (RFC 8656).
    pub const ALLOCATION_MISMATCH: u16 = 437;
    /// The NONCE is too old, or was given to another address (RFC 8489).
    pub const STALE_NONCE: u16 = 438;
    /// The relay has no address of that family (RFC 8656).
    pub const FAMILY_NOT_SUPPORTED: u16 = 440;
    /// The allocation belongs to another user (RFC 8656).
    pub const WRONG_CREDENTIALS: u16 = 441;
    /// Only UDP is relayed (RFC 8656).
    pub const TRANSPORT_NOT_SUPPORTED: u16 = 442;
    /// The peer's address is not of the allocation's family (RFC 8656).
    pub const PEER_FAMILY_MISMATCH: u16 = 443;
    /// The user has the greatest number of allocations allowed (RFC 8656).
    pub const QUOTA_REACHED: u16 = 486;
    /// A table of the server is full (RFC 8656).
    pub const INSUFFICIENT_CAPACITY: u16 = 508;
    /// The callee has no room for another attempt with this caller now.
    pub const BUSY: u16 = 600;
    /// The callee's user is asked whether to talk to this caller.
    pub const USER_ASKED: u16 = 601;

    /// The reason phrase.
    pub fn reason(code: u16) -> &'static str {
        match code {
            BAD_REQUEST => "Bad Request",
            UNAUTHENTICATED => "Unauthenticated",
            FORBIDDEN => "Forbidden",
            NOT_REGISTERED => "Not Registered",
            PEER_SILENT => "Peer Silent",
            NAME_TAKEN => "Name Taken",
            STALE_OFFER => "Stale Offer",
            UNKNOWN_ATTRIBUTE => "Unknown Attribute",
            WORK_REQUIRED => "Proof of Work Required",
            ALLOCATION_MISMATCH => "Allocation Mismatch",
            STALE_NONCE => "Stale Nonce",
            FAMILY_NOT_SUPPORTED => "Family Not Supported",
            WRONG_CREDENTIALS => "Wrong Credentials",
            TRANSPORT_NOT_SUPPORTED => "Transport Not Supported",
            PEER_FAMILY_MISMATCH => "Peer Family Mismatch",
            QUOTA_REACHED => "Quota Reached",
            INSUFFICIENT_CAPACITY => "Insufficient Capacity",
            BUSY => "Busy",
            USER_ASKED => "User Asked",
            _ => "Error",
        }
    }
}
