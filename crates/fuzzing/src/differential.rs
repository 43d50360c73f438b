//! Our reader of STUN messages beside another's, `ezk-stun-types`, which shares no code with ours
//! (ours is built on `stun-types`). Both get the same bytes, and agree; what they disagree on has a
//! name.

use std::net::SocketAddr;

use ezk_stun_types::attributes::turn::{
    ChannelNumber, Lifetime, XorPeerAddress, XorRelayedAddress,
};
use ezk_stun_types::attributes::{
    ErrorCode, MappedAddress, MessageIntegrity, MessageIntegrityKey, MessageIntegritySha256,
    MessageIntegritySha256Key, Nonce, Realm, Username, XorMappedAddress, long_term_password_md5,
};
use ezk_stun_types::{Class as TheirClass, Error, Message as Theirs, Method as TheirMethod};
use stun::{Attribute, Class, Message, Method, ParseError, turn};

/// A difference that is on purpose. docs/how-to/fuzz.md has the list for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// We refuse a message whose header has another length than the datagram (RFC 8489 §5); the other
    /// reads on to the end of the bytes, so that two readers could see two messages.
    Length,
    /// We check FINGERPRINT when a message is read (RFC 8489 §7.3); the other leaves it to its user.
    Fingerprint,
    /// We read the methods of Pinhole; the other does not know them.
    OurMethod,
    /// We ignore what follows MESSAGE-INTEGRITY or FINGERPRINT, be it malformed (RFC 8489 §14.5: it is
    /// ignored); the other refuses a message in which it is malformed, and reads what follows
    /// FINGERPRINT.
    Trailing,
    /// We ignore the first byte of an address (RFC 8489 §14.1: a receiver ignores it); the other
    /// refuses one that is not 0.
    ReservedByte,
    /// We refuse an address, a LIFETIME or a CHANNEL-NUMBER that has not the length that it has to
    /// have; the other reads what it needs and ignores the rest.
    ValueLength,
    /// We refuse an error code under 300 or over 699, or with a number over 99 (RFC 8489 §14.8), and
    /// ignore the reserved bit before the class; the other takes all.
    ErrorCode,
    /// We refuse a CHANNEL-NUMBER under 0x4000 or over 0x4fff; the other takes all.
    ChannelNumber,
    /// We refuse MESSAGE-INTEGRITY-SHA256 beside MESSAGE-INTEGRITY, which no request of ours has.
    BothIntegrities,
}

/// The secret of [`compare`]'s keys.
pub const SECRET: [u8; 32] = [3; 32];

pub(crate) fn both_readers(data: &[u8]) {
    compare(data);
}

/// Reads `bytes` by both. The differences that were found are sorted; `None`: neither reads a message.
///
/// # Panics
/// When there is a difference without a name.
pub fn compare(bytes: &[u8]) -> Option<Vec<Difference>> {
    let (ours, theirs) = (Message::parse(bytes), Theirs::parse(bytes));
    let (ours, mut theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return None,
        (Err(error), Ok(_)) => return Some(vec![refused(bytes, error)]),
        (Ok(message), Err(error)) => return Some(vec![only_ours(bytes, &message, &error)]),
        (Ok(ours), Ok(theirs)) => (ours, theirs),
    };
    let class = match ours.class() {
        Class::Request => TheirClass::Request,
        Class::Indication => TheirClass::Indication,
        Class::Success => TheirClass::Success,
        Class::Error => TheirClass::Error,
    };
    assert_eq!(theirs.class(), class);
    assert_eq!(Some(theirs.method()), their_method(ours.method()));
    let transaction = ezk_stun_types::TransactionId::new(ours.transaction());
    assert_eq!(theirs.transaction_id(), transaction);
    let mut differences = attributes(&ours, &mut theirs);
    differences.extend(integrity(&ours, &mut theirs));
    differences.sort();
    differences.dedup();
    Some(differences)
}

/// They read a message, and we do not.
fn refused(bytes: &[u8], error: ParseError) -> Difference {
    let announced = 20 + usize::from(u16::from_be_bytes([bytes[2], bytes[3]]));
    match error {
        ParseError::NotStun if announced != bytes.len() || announced % 4 != 0 => Difference::Length,
        ParseError::Malformed if has(bytes, Attribute::Fingerprint) => Difference::Fingerprint,
        _ => panic!("only the other reads {bytes:02x?}: {error}"),
    }
}

/// We read a message, and they do not.
fn only_ours(bytes: &[u8], message: &Message<'_>, error: &Error) -> Difference {
    let ends = [
        Attribute::MessageIntegrity,
        Attribute::MessageIntegritySha256,
        Attribute::Fingerprint,
    ];
    if their_method(message.method()).is_none() {
        Difference::OurMethod
    } else if ends.iter().any(|&end| has(bytes, end)) {
        Difference::Trailing
    } else {
        panic!("only we read {bytes:02x?}: {error}")
    }
}

fn their_method(method: Method) -> Option<TheirMethod> {
    Some(match method {
        Method::Binding => TheirMethod::Binding,
        Method::Allocate => TheirMethod::Allocate,
        Method::Refresh => TheirMethod::Refresh,
        Method::Send => TheirMethod::Send,
        Method::Data => TheirMethod::Data,
        Method::CreatePermission => TheirMethod::CreatePermission,
        Method::ChannelBind => TheirMethod::ChannelBind,
        Method::Register | Method::Lookup | Method::Connect | Method::Notify | Method::Probe => {
            return None;
        }
    })
}

/// Whether there is an attribute of this type, wherever it is.
fn has(bytes: &[u8], attribute: Attribute) -> bool {
    let mut rest = bytes.get(20..).unwrap_or_default();
    while let [a, b, c, d, ..] = *rest {
        if u16::from_be_bytes([a, b]) == attribute as u16 {
            return true;
        }
        let length = usize::from(u16::from_be_bytes([c, d])).next_multiple_of(4);
        rest = rest.get(4 + length..).unwrap_or_default();
    }
    false
}

type Read<T> = Option<Result<T, Error>>;

fn attributes(ours: &Message<'_>, theirs: &mut Theirs) -> Vec<Difference> {
    use Attribute as A;
    let mut found = Vec::new();
    let after_fingerprint = has(ours.as_bytes(), A::Fingerprint);

    // A getter of ours may fall back on another attribute, so a message without it is compared.
    let reflexive = ours.get(A::XorMappedAddress).or(ours.get(A::MappedAddress));
    let their_reflexive = match theirs.attribute::<XorMappedAddress>() {
        Some(Ok(mapped)) => Some(Ok(mapped.0)),
        _ => mapped(theirs.attribute::<MappedAddress>(), |it| it.0),
    };
    let relayed = mapped(theirs.attribute::<XorRelayedAddress>(), |it| it.0);
    let peer = mapped(theirs.attribute::<XorPeerAddress>(), |it| it.0);
    let our_peer = ours.peers().first().copied().flatten();
    for (ours, theirs, raw) in [
        (ours.mapped(), their_reflexive, reflexive),
        (ours.relayed(), relayed, ours.get(A::XorRelayedAddress)),
        (our_peer, peer, ours.get(A::XorPeerAddress)),
    ] {
        found.extend(same(ours, theirs, || address(raw, after_fingerprint)));
    }

    let lifetime = mapped(theirs.attribute::<Lifetime>(), |it| it.0);
    let raw = ours.get(A::Lifetime);
    found.extend(same(ours.lifetime(), lifetime, || {
        number(raw, after_fingerprint)
    }));
    let channel = mapped(theirs.attribute::<ChannelNumber>(), |it| it.0);
    let raw = ours.get(A::ChannelNumber);
    found.extend(same(ours.channel(), channel, || match raw {
        Some([high, ..]) if !(0x40..=0x4f).contains(high) => Some(Difference::ChannelNumber),
        raw => number(raw, after_fingerprint),
    }));
    let error = mapped(theirs.attribute::<ErrorCode<'_>>(), |it| it.number as u16);
    let raw = ours.get(A::ErrorCode);
    found.extend(same(ours.error(), error, || match raw {
        Some([_, _, class, number, ..])
            if class & 0xf8 != 0 || !(3..7).contains(class) || *number > 99 =>
        {
            Some(Difference::ErrorCode)
        }
        // Longer than the 763 bytes that RFC 8489 §14.8 allows.
        Some(value) if value.len() > 767 => Some(Difference::ErrorCode),
        None if after_fingerprint => Some(Difference::Trailing),
        _ => None,
    }));

    let text = |read: Read<String>, ours: Option<&str>| {
        same(ours.map(str::to_owned), read, || {
            after_fingerprint.then_some(Difference::Trailing)
        })
    };
    let username = mapped(theirs.attribute::<Username<'_>>(), |it| it.0.to_owned());
    found.extend(text(username, ours.username()));
    let realm = mapped(theirs.attribute::<Realm<'_>>(), |it| it.0.to_owned());
    found.extend(text(realm, ours.realm()));
    let nonce = mapped(theirs.attribute::<Nonce<'_>>(), |it| it.0.to_vec());
    found.extend(same(ours.nonce().map(<[u8]>::to_vec), nonce, || {
        after_fingerprint.then_some(Difference::Trailing)
    }));
    found
}

fn mapped<T, U>(read: Read<T>, value: impl FnOnce(T) -> U) -> Read<U> {
    read.map(|read| read.map(value))
}

/// `None` if both have read the same, or neither has read anything; else the name that `why` gives.
fn same<T: PartialEq + std::fmt::Debug>(
    ours: Option<T>,
    theirs: Read<T>,
    why: impl FnOnce() -> Option<Difference>,
) -> Option<Difference> {
    let theirs = theirs.and_then(Result::ok);
    if ours == theirs {
        return None;
    }
    let name = why();
    assert!(name.is_some(), "we read {ours:?}, the other {theirs:?}");
    name
}

fn address(raw: Option<&[u8]>, after_fingerprint: bool) -> Option<Difference> {
    match raw {
        Some([reserved, ..]) if *reserved != 0 => Some(Difference::ReservedByte),
        Some([_, 1, rest @ ..]) if rest.len() > 6 => Some(Difference::ValueLength),
        Some([_, 2, rest @ ..]) if rest.len() > 18 => Some(Difference::ValueLength),
        _ => after_fingerprint.then_some(Difference::Trailing),
    }
}

fn number(raw: Option<&[u8]>, after_fingerprint: bool) -> Option<Difference> {
    match raw {
        Some(value) if value.len() != 4 => Some(Difference::ValueLength),
        _ => after_fingerprint.then_some(Difference::Trailing),
    }
}

/// MESSAGE-INTEGRITY under a long-term key, MESSAGE-INTEGRITY-SHA256 under a short-term one.
fn integrity(ours: &Message<'_>, theirs: &mut Theirs) -> Vec<Difference> {
    let key = turn::long_term_key("1:alice", "pinhole", "secret");
    let long_term = ours.authentic_long_term(&key);
    let their_key =
        MessageIntegrityKey::new(long_term_password_md5("1:alice", "pinhole", "secret"));
    let theirs_long_term = theirs.attribute_with::<MessageIntegrity>(their_key);
    let sha1 = matches!(theirs_long_term, Some(Ok(_)));

    let short_term = ours.authentic(&stun::integrity_key(&SECRET));
    let hex: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
    let their_key = MessageIntegritySha256Key::new(hex);
    let theirs_short_term = theirs.attribute_with::<MessageIntegritySha256>(their_key);
    let sha256 = matches!(theirs_short_term, Some(Ok(_)));

    let both = has(ours.as_bytes(), Attribute::MessageIntegrity)
        && has(ours.as_bytes(), Attribute::MessageIntegritySha256);
    let fingerprint = has(ours.as_bytes(), Attribute::Fingerprint);
    let mut found = Vec::new();
    for (ours, theirs) in [(long_term, sha1), (short_term, sha256)] {
        match (ours, theirs) {
            (true, true) | (false, false) => {}
            (false, true) if both => found.push(Difference::BothIntegrities),
            (false, true) if fingerprint => found.push(Difference::Trailing),
            _ => panic!("integrity: we say {ours}, the other {theirs}"),
        }
    }
    found
}

/// Two endpoints that read the same from one message: for tests.
pub fn reflexive(bytes: &[u8]) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let ours = Message::parse(bytes)
        .ok()
        .and_then(|message| message.mapped());
    let theirs = Theirs::parse(bytes).ok().and_then(|mut message| {
        let mapped = message.attribute::<XorMappedAddress>();
        mapped.and_then(Result::ok).map(|mapped| mapped.0)
    });
    (ours, theirs)
}
