//! The RFC 3489 dialect: read, answered, and damaged.

use std::net::SocketAddr;

use proptest::prelude::*;
use stun::{Change, ClassicRequest, Message, ParseError};

const TRANSACTION: [u8; 16] = *b"no cookie inside";

fn request(attributes: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0, attributes.len() as u8];
    bytes.extend(TRANSACTION);
    bytes.extend(attributes);
    bytes
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_request_of_stun_client_is_read() {
    // What Debian's stun-client sends for its test II.
    let bytes = request(&[0, 3, 0, 4, 0, 0, 0, 6]);
    assert_eq!(Message::parse(&bytes).unwrap_err(), ParseError::NotStun);
    let both = Change {
        ip: true,
        port: true,
    };
    let parsed = ClassicRequest::parse(&bytes).unwrap();
    assert_eq!((parsed.change(), parsed.unknown()), (both, &[][..]));
    let plain = ClassicRequest::parse(&request(&[])).unwrap();
    assert_eq!(plain.change(), Change::default());
}

#[test]
fn an_answer_has_the_bytes_of_the_rfc() {
    let parsed = ClassicRequest::parse(&request(&[])).unwrap();
    let [mapped, source, changed] =
        ["198.51.100.1:40000", "203.0.113.1:3478", "203.0.113.2:3479"].map(at);
    let mut expected = vec![1, 1, 0, 36];
    expected.extend(TRANSACTION);
    expected.extend([0, 1, 0, 8, 0, 1, 0x9c, 0x40, 198, 51, 100, 1]);
    expected.extend([0, 4, 0, 8, 0, 1, 0x0d, 0x96, 203, 0, 113, 1]);
    expected.extend([0, 5, 0, 8, 0, 1, 0x0d, 0x97, 203, 0, 113, 2]);
    let answer = parsed.answer(mapped, Some(source), Some(changed));
    assert_eq!(answer, expected);
}

#[test]
fn a_request_with_response_address_is_refused() {
    let response_address = [0, 2, 0, 8, 0, 1, 0, 9, 192, 0, 2, 9];
    let parsed = ClassicRequest::parse(&request(&response_address)).unwrap();
    assert_eq!(parsed.unknown(), [2]);
    let refusal = parsed.refusal(parsed.unknown());
    assert_eq!(refusal[..2], [1, 0x11]);
    assert_eq!(refusal.len() % 4, 0);
    assert_eq!(usize::from(refusal[3]) + 20, refusal.len());
    // An even number of codes, one of them twice.
    assert_eq!(refusal[refusal.len() - 8..], [0, 10, 0, 4, 0, 2, 0, 2]);
}

#[test]
fn damaged_requests_are_refused() {
    let change = request(&[0, 3, 0, 4, 0, 0, 0, 6]);
    for length in 0..change.len() {
        assert!(ClassicRequest::parse(&change[..length]).is_err());
    }
    for attributes in [
        &[0, 3, 0, 2, 0, 6][..],
        &[0, 3, 0, 8, 0, 0, 0, 6],
        &[0x80, 1],
    ] {
        let parsed = ClassicRequest::parse(&request(attributes));
        assert_eq!(parsed, Err(ParseError::Malformed), "{attributes:?}");
    }
    let mut answer = request(&[]);
    answer[0] = 1;
    assert_eq!(ClassicRequest::parse(&answer), Err(ParseError::NotStun));
}

proptest! {
    #[test]
    fn random_attributes_do_not_panic(attributes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(parsed) = ClassicRequest::parse(&request(&attributes)) {
            prop_assert!(parsed.refusal(parsed.unknown()).len() < 100);
        }
        let _ = ClassicRequest::parse(&attributes);
    }
}
