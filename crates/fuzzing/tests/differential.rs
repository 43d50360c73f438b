//! Our reader of STUN messages agrees with another's, but for the differences that have a name.

use std::net::{IpAddr, SocketAddr};

use fuzzing::Difference::{self, *};
use fuzzing::{SECRET, compare, reflexive};
use proptest::prelude::*;
use stun::{Attribute, Builder, Class, Method, integrity_key, turn};

const METHODS: [Method; 7] = [
    Method::Binding,
    Method::Allocate,
    Method::Refresh,
    Method::Send,
    Method::Data,
    Method::CreatePermission,
    Method::ChannelBind,
];

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

/// A message that both know, with all attributes that both know.
fn message() -> impl Strategy<Value = Builder> {
    let class = prop::sample::select(vec![
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ]);
    let method = prop::sample::select(METHODS.to_vec());
    let addresses = [address(), address(), address(), address()];
    let numbers = (any::<u32>(), 0x4000_u16..=0x4fff, 300_u16..700);
    let texts = ("\\PC{0,20}", "\\PC{0,20}", any::<[u8; 16]>());
    let head = (class, method, any::<[u8; 12]>());
    (head, addresses, numbers, texts).prop_map(|(head, addresses, numbers, texts)| {
        let (class, method, transaction) = head;
        let [mapped, plain, peer, relayed] = addresses;
        let (lifetime, channel, error) = numbers;
        Builder::new(class, method, transaction)
            .xor_mapped(mapped)
            .mapped(plain)
            .peer(peer)
            .relayed(relayed)
            .lifetime(lifetime)
            .channel(channel)
            .error_code(error)
            .username(&texts.0)
            .realm(&texts.1)
            .nonce(&texts.2)
    })
}

#[derive(Clone, Copy, Debug)]
enum Key {
    None,
    LongTerm,
    ShortTerm,
}

fn finish(message: Builder, key: Key) -> Vec<u8> {
    match key {
        Key::None => message.finish(),
        Key::LongTerm => {
            message.finish_long_term(&turn::long_term_key("1:alice", "pinhole", "secret"))
        }
        Key::ShortTerm => message.finish_authentic(&integrity_key(&SECRET)),
    }
}

fn key() -> impl Strategy<Value = Key> {
    prop::sample::select(vec![Key::None, Key::LongTerm, Key::ShortTerm])
}

proptest! {
    /// [`compare`] panics where the two have read different values, or judge the integrity differently.
    #[test]
    fn a_valid_message_is_the_same_to_both(message in message(), key in key()) {
        prop_assert_eq!(compare(&finish(message, key)), Some(vec![]));
    }

    #[test]
    fn a_changed_message_is_the_same_to_both_but_for_what_has_a_name(
        message in message(),
        key in key(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        end in any::<prop::sample::Index>(),
        cut: bool,
    ) {
        let mut bytes = finish(message, key);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut {
            bytes.truncate(end.index(bytes.len()));
        }
        compare(&bytes);
    }
}

/// A Binding request with these attributes: type and value.
fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = stun::binding_request([7; 12], None);
    for (kind, value) in attributes {
        bytes.extend(kind.to_be_bytes());
        bytes.extend((value.len() as u16).to_be_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let length = (bytes.len() - 20) as u16;
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    bytes
}

fn only(difference: Difference) -> Option<Vec<Difference>> {
    Some(vec![difference])
}

#[test]
fn bytes_that_are_no_message_are_none_to_both() {
    let mut other_cookie = request(&[]);
    other_cookie[4] = 0;
    let mut not_zero = request(&[]);
    not_zero[0] = 0x80;
    for bytes in [&b"hello"[..], &[], &other_cookie, &not_zero] {
        assert_eq!(compare(bytes), None, "{bytes:?}");
    }
}

#[test]
fn we_refuse_another_length_than_that_of_the_datagram() {
    // The header ends before the attribute: whoever believes it sees a message without it.
    let mut bytes = request(&[(Attribute::Lifetime as u16, &[0, 0, 0, 1])]);
    bytes[2..4].copy_from_slice(&[0, 0]);
    assert_eq!(compare(&bytes), only(Length));
}

#[test]
fn we_refuse_a_wrong_fingerprint() {
    let bytes = request(&[(Attribute::Fingerprint as u16, &[1, 2, 3, 4])]);
    assert_eq!(compare(&bytes), only(Fingerprint));
}

#[test]
fn we_read_methods_of_our_own() {
    let probe = Builder::request(Method::Probe, [7; 12]).finish();
    assert_eq!(compare(&probe), only(OurMethod));
}

#[test]
fn we_ignore_what_follows_the_integrity_even_if_it_is_malformed() {
    let hash = [0; 20];
    let mut bytes = request(&[
        (Attribute::MessageIntegrity as u16, &hash),
        (Attribute::Nonce as u16, b"late"),
        (Attribute::Realm as u16, b"late"),
    ]);
    assert_eq!(compare(&bytes), Some(vec![]), "both ignore them");
    // The last one announces more bytes than there are.
    let at = bytes.len() - 6;
    bytes[at..at + 2].copy_from_slice(&[0, 9]);
    assert_eq!(compare(&bytes), only(Trailing));
}

#[test]
fn we_ignore_the_reserved_byte_of_an_address() {
    let address = [
        9,
        1,
        0x21 ^ 0x9c,
        0x12 ^ 0x40,
        0x21 ^ 203,
        0x12,
        0xa4 ^ 113,
        0x42 ^ 17,
    ];
    let bytes = request(&[(Attribute::XorMappedAddress as u16, &address)]);
    assert_eq!(compare(&bytes), only(ReservedByte));
    let (ours, theirs) = reflexive(&bytes);
    assert_eq!(
        (ours, theirs),
        (Some("203.0.113.17:40000".parse().unwrap()), None)
    );
}

#[test]
fn we_refuse_values_of_another_length() {
    let address = [0, 1, 1, 1, 2, 2, 2, 2, 3];
    for (kind, value) in [
        (Attribute::XorMappedAddress, &address[..]),
        (Attribute::Lifetime, &[0, 0, 0, 1, 0]),
        (Attribute::ChannelNumber, &[0x40, 0, 0, 0, 0]),
        (Attribute::ChannelNumber, &[0x40, 0]),
    ] {
        assert_eq!(
            compare(&request(&[(kind as u16, value)])),
            only(ValueLength),
            "{kind:?}"
        );
    }
}

#[test]
fn we_refuse_error_codes_that_are_none() {
    for value in [[0, 0, 2, 99], [0, 0, 7, 0], [0, 0, 4, 100]] {
        let bytes = request(&[(Attribute::ErrorCode as u16, &value)]);
        assert_eq!(compare(&bytes), only(ErrorCode), "{value:?}");
    }
}

#[test]
fn we_refuse_channel_numbers_that_are_none() {
    for number in [[0x3f, 0xff, 0, 0], [0x50, 0, 0, 0]] {
        let bytes = request(&[(Attribute::ChannelNumber as u16, &number)]);
        assert_eq!(compare(&bytes), only(ChannelNumber));
    }
}

#[test]
fn we_refuse_both_kinds_of_integrity_at_once() {
    use ezk_stun_types::attributes::{
        MessageIntegrity, MessageIntegrityKey, MessageIntegritySha256, MessageIntegritySha256Key,
    };
    let transaction = ezk_stun_types::TransactionId::new([7; 12]);
    let (class, method) = (
        ezk_stun_types::Class::Request,
        ezk_stun_types::Method::Binding,
    );
    let mut builder = ezk_stun_types::MessageBuilder::new(class, method, transaction);
    let hex: String = SECRET.iter().map(|byte| format!("{byte:02x}")).collect();
    builder.add_attr_with(MessageIntegrity, MessageIntegrityKey::new("other"));
    builder.add_attr_with(MessageIntegritySha256, MessageIntegritySha256Key::new(hex));
    assert_eq!(compare(&builder.finish()), only(BothIntegrities));
}
