//! TURN's messages (RFC 8656), and what a reader of them must not believe.

use stun::turn::{channel_data, is_channel_data, long_term_key, to_channel};
use stun::{Attribute, Builder, Message, Method};

#[test]
fn a_request_is_read_as_it_was_written() {
    let key = long_term_key("1:alice", "pinhole", "secret");
    let peer = "203.0.113.33:40000".parse().unwrap();
    let bytes = Builder::request(Method::ChannelBind, [7; 12])
        .channel(0x4abc)
        .peer(peer)
        .username("1:alice")
        .realm("pinhole")
        .nonce(b"nonce")
        .finish_long_term(&key);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.channel(), Some(0x4abc));
    assert_eq!(message.peers(), [Some(peer)]);
    assert_eq!(
        (message.username(), message.realm()),
        (Some("1:alice"), Some("pinhole"))
    );
    assert!(message.authentic_long_term(&key));
    let other = long_term_key("1:alice", "pinhole", "Secret");
    assert!(!message.authentic_long_term(&other));
}

/// RFC 8489 §9.2.2 has this key as an example.
#[test]
fn the_long_term_key_is_that_of_the_standard() {
    let key = long_term_key("user", "realm", "pass");
    let bytes = Builder::request(Method::Refresh, [7; 12]).finish_long_term(&key);
    // 8493fbc53ba582fb4c044c456bdc40eb, by an HMAC-SHA1 of another make.
    let hash = &bytes[24..44];
    let hex = hex::encode(hash);
    assert_eq!(hex, "1b73dcb08c76db50b5f23b35fdca3e38ce18aa31");
}

#[test]
fn attributes_after_message_integrity_are_not_read() {
    let key = long_term_key("u", "r", "p");
    let mut bytes = Builder::request(Method::CreatePermission, [7; 12])
        .peer("203.0.113.33:1".parse().unwrap())
        .finish_long_term(&key);
    // An attacker on the path adds a peer and corrects the length.
    let more = Builder::request(Method::CreatePermission, [7; 12])
        .peer("203.0.113.66:1".parse().unwrap())
        .channel(0x4001)
        .finish();
    bytes.extend(&more[20..]);
    let length = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&length.to_be_bytes());
    let message = Message::parse(&bytes).unwrap();
    assert!(message.authentic_long_term(&key));
    assert_eq!((message.peers().len(), message.channel()), (1, None));
}

#[test]
fn channel_data_is_four_bytes_and_a_payload() {
    let bytes = to_channel(0x4001, b"hello").unwrap();
    assert!(is_channel_data(&bytes));
    assert_eq!(channel_data(&bytes), Some((0x4001, &b"hello"[..])));
    // Padded, as over TCP; too short; no channel at all.
    let padded = [&bytes[..], &[0; 3]].concat();
    assert_eq!(channel_data(&padded), Some((0x4001, &b"hello"[..])));
    assert_eq!(channel_data(&bytes[..8]), None);
    for first in [0x3f, 0x50, 0x7f, 0x80] {
        assert!(!is_channel_data(&[first, 0, 0, 0]));
        assert_eq!(channel_data(&[first, 0, 0, 0]), None);
    }
    assert_eq!(to_channel(0x4001, &vec![0; 65536]), None);
    assert_eq!(
        Message::parse(&Builder::request(Method::Send, [1; 12]).data(b"x").finish())
            .unwrap()
            .get(Attribute::Data),
        Some(&b"x"[..])
    );
}
