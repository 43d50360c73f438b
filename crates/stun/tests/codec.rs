//! A message that was written can be read, a damaged one is refused, and nothing panics.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use stun::{Attribute, Builder, Change, Class, Icmp, Message, Method, integrity_key};

fn transaction() -> impl Strategy<Value = [u8; 12]> {
    any::<[u8; 12]>()
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn method() -> impl Strategy<Value = Method> {
    proptest::sample::select(Method::ALL.to_vec())
}

/// A message with one of everything.
fn whole(transaction: [u8; 12], method: Method, address: SocketAddr, name: &str) -> Builder {
    Builder::request(method, transaction)
        .nonce(b"0123456789abcdef")
        .xor_mapped(address)
        .response_origin(address)
        .other_address(address)
        .peer_address(address)
        .change_request(Change {
            ip: true,
            port: false,
        })
        .lifetime(90)
        .name(name)
        .peer_name(name)
        .public_key(&[5; 32])
        .sequence(77)
        .seal(name.as_bytes())
        .attempt([9; 8])
        .work(&[4; 8])
        .rotation(&[6; 96])
        .fresh(&[8; 8])
        .server_key(&[6; 32])
        .bounced(&[[1; 12], [2; 12]])
        .icmp(Icmp { kind: 3, code: 13 })
        .use_candidate()
}

proptest! {
    #[test]
    fn a_message_that_was_written_can_be_read(id in transaction(), method in method(), address in address(), name in "\\PC{0,40}") {
        let key = integrity_key(&[3; 32]);
        let bytes = whole(id, method, address, &name).pad_to(400).finish_authentic(&key);
        prop_assert!(bytes.len() >= 400);
        let message = Message::parse(&bytes).unwrap();
        prop_assert!(message.is(Class::Request, method));
        prop_assert_eq!(message.transaction(), id);
        prop_assert_eq!(message.mapped(), Some(address));
        prop_assert_eq!(message.response_origin(), Some(address));
        prop_assert_eq!(message.other_address(), Some(address));
        prop_assert_eq!(message.peer_address(), Some(address));
        prop_assert_eq!(message.change_request(), Some(Change { ip: true, port: false }));
        prop_assert_eq!(message.lifetime(), Some(90));
        prop_assert_eq!((message.work(), message.work_wanted()), (Some([4; 8]), None));
        prop_assert_eq!(message.rotation(), Some([6; 96]));
        prop_assert_eq!(message.name(), Some(name.as_str()));
        prop_assert_eq!(message.peer_name(), Some(name.as_str()));
        prop_assert_eq!(message.public_key(), Some([5; 32]));
        prop_assert_eq!(message.sequence(), Some(77));
        prop_assert_eq!(message.seal(), Some(name.as_bytes()));
        prop_assert_eq!(message.attempt(), Some([9; 8]));
        prop_assert_eq!(message.fresh(), Some([8; 8]));
        prop_assert_eq!(message.server_key(), Some([6; 32]));
        prop_assert!(!message.asks_proof());
        prop_assert_eq!(message.bounced(), Some(&[[1; 12], [2; 12]][..]));
        prop_assert_eq!(message.icmp(), Some(Icmp { kind: 3, code: 13 }));
        prop_assert!(message.use_candidate());
        prop_assert!(message.authentic(&key));
        prop_assert!(!message.authentic(&integrity_key(&[4; 32])));
        prop_assert!(message.unknown_required().is_empty());
    }

    #[test]
    fn one_flipped_bit_breaks_the_integrity(id in transaction(), address in address(), bit in 0usize..8, at in any::<prop::sample::Index>()) {
        let key = integrity_key(&[3; 32]);
        let mut bytes = whole(id, Method::Probe, address, "alice").finish_authentic(&key);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if let Ok(message) = Message::parse(&bytes) {
            prop_assert!(!message.authentic(&key));
        }
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_all(&bytes);
    }

    #[test]
    fn damaged_messages_do_not_panic(
        id in transaction(),
        address in address(),
        cut in any::<prop::sample::Index>(),
        hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = whole(id, Method::Connect, address, "bob").finish_authentic(&integrity_key(&[1; 32]));
        for (at, value) in hits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        // Make the length fit again, so that the attributes are looked at.
        bytes.truncate(20 + cut.index(bytes.len() - 20) / 4 * 4);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        read_all(&bytes);
    }
}

/// Asks for everything that can be asked for.
fn read_all(bytes: &[u8]) {
    let _ = stun::describe(bytes);
    let Ok(message) = Message::parse(bytes) else {
        return;
    };
    let _ = (
        message.mapped(),
        message.response_origin(),
        message.other_address(),
    );
    let _ = (
        message.peer_address(),
        message.change_request(),
        message.response_port(),
    );
    let _ = (
        message.error(),
        message.nonce(),
        message.lifetime(),
        message.name(),
    );
    let _ = (
        message.public_key(),
        message.sequence(),
        message.signed(),
        message.seal(),
    );
    let _ = (message.attempt(), message.bounced(), message.icmp());
    let _ = message.unknown_required();
    let _ = message.authentic(&integrity_key(&[0; 32]));
}

#[test]
fn trailing_bytes_are_refused() {
    let mut bytes = stun::binding_request([1; 12], None);
    assert!(Message::parse(&bytes).is_ok());
    bytes.extend_from_slice(&[0; 4]);
    assert!(Message::parse(&bytes).is_err());
}

#[test]
fn response_port_is_read_with_2_and_with_4_bytes() {
    for value in [&[0x12, 0x34][..], &[0x12, 0x34, 0, 0][..]] {
        let bytes = Builder::request(Method::Binding, [1; 12])
            .raw(Attribute::ResponsePort, value)
            .finish();
        assert_eq!(
            Message::parse(&bytes).unwrap().response_port(),
            Some(0x1234)
        );
    }
}

#[test]
fn an_icmp_error_is_coded_as_in_rfc_8656() {
    let bytes = Builder::request(Method::Binding, [1; 12])
        .icmp(Icmp { kind: 3, code: 3 })
        .finish();
    // 16 bits reserved, 7 of the type, 9 of the code, 32 of error data.
    let wanted = [0x80, 0x04, 0, 8, 0, 0, 0x06, 0x03, 0, 0, 0, 0];
    assert_eq!(bytes[20..], wanted);
    for bad in [&[0; 7][..], &[0, 0, 1, 0, 0, 0, 0, 0]] {
        let bytes = Builder::request(Method::Binding, [1; 12])
            .raw(Attribute::Icmp, bad)
            .raw(Attribute::Bounced, &[0; 13])
            .finish();
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.icmp(), message.bounced()), (None, None));
    }
}

#[test]
fn a_signature_covers_all_before_it_but_no_padding_after_it() {
    let mut signed = Vec::new();
    let bytes = Builder::request(Method::Register, [1; 12])
        .name("alice")
        .sign(|part| {
            signed = part.to_vec();
            [8; 64]
        })
        .pad_to(300)
        .finish();
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.signed(), Some((signed, [8; 64])));
    // Whoever adds something after it has not signed that.
    let sign = || Builder::request(Method::Register, [1; 12]).sign(|_| [8; 64]);
    let signed = |bytes: Vec<u8>| Message::parse(&bytes).unwrap().signed().is_some();
    assert!(signed(sign().finish()));
    assert!(!signed(sign().lifetime(0).finish()));
    assert!(!signed(sign().pad_to(200).lifetime(0).finish()));
}
