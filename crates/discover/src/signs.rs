//! What shows whether the server is there at all, where no answer to a request comes.

use stun::{Class, Message, Method, ParseError};

/// How the server's host answered by TCP, at the port that is asked by UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByTcp {
    /// A STUN server answered a Binding request (RFC 8489 §6.2.2): the server runs.
    Stun,
    /// The connection was accepted; no STUN answer came.
    Accepted,
    /// The connection was reset. The host is up, or a firewall resets for it.
    Reset,
}

/// What a datagram from the server is that does not answer a request of ours. It shows that UDP
/// passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strange {
    /// A Binding request comes back as it was sent.
    Echo,
    /// The header of a DNS answer (RFC 1035 §4.1.1): the first two bytes of the request are taken
    /// for its ID.
    NameServer,
    /// A STUN message whose attributes are malformed, or whose FINGERPRINT is wrong.
    Malformed,
    /// A STUN message that answers nothing of ours.
    OtherStun,
    /// Anything else.
    NotStun,
}

impl Strange {
    pub(super) fn of(datagram: &[u8]) -> Self {
        match Message::parse(datagram) {
            Ok(message) if message.is(Class::Request, Method::Binding) => Self::Echo,
            Ok(_) | Err(ParseError::UnknownMethod(_)) => Self::OtherStun,
            Err(ParseError::Malformed) => Self::Malformed,
            Err(ParseError::NotStun) => match *datagram {
                [0, 1, flags, _, _, _, _, _, _, _, _, _, ..] if flags & 0x80 != 0 => {
                    Self::NameServer
                }
                _ => Self::NotStun,
            },
        }
    }

    /// What came, as the object of "answers with".
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Echo => "the request itself, as an echo service does",
            Self::NameServer => "what looks like the answer of a name server (DNS)",
            Self::Malformed => "a malformed STUN message, or one with a wrong FINGERPRINT",
            Self::OtherStun => "a STUN message that is not an answer to the request",
            Self::NotStun => "bytes that are not STUN",
        }
    }
}
