//! Parsers of datagrams and of what is in them.

use std::net::SocketAddr;
use std::time::Duration;

use capture::{Direction, Link, Seen, decode, describe};
use gateway_proto::message::map::{NatPmpMapping, PcpMap};
use gateway_proto::message::{NatPmpAnswer, PcpAnswer};
use journey::account::{Account, MOST_PACKETS};
use journey::clock::Clock;
use nat::is_private;
use peer_proto::candidate::{Candidates, MOST_HOSTS};
use session::credentials::{Granted, parse_username};
use session::identity::{Identity, verify};
use session::name::valid_name;
use session::proof;
use session::rotation::Rotation;
use session::seal::{self, Bound, Offer, Opened};
use session::work;
use stun::{
    Attribute, Builder, Change, ClassicRequest, Frames, Icmp, MAX_DATAGRAM, Message, Method, turn,
};

use crate::input::{ATTRIBUTES, Choices, at};

/// What a peer tells of an attempt: it is within its bounds, is written again, and can be joined.
pub(crate) fn account(data: &[u8]) {
    let Some(account) = Account::decode(data) else {
        return;
    };
    assert!(account.packets.len() <= MOST_PACKETS);
    assert_eq!(Account::decode(&account.encode()).as_ref(), Some(&account));
    let (trace, _) = journey::hosts::join(&account, Some(&account), Clock::default(), 0);
    let ids = trace.journeys.iter().map(|journey| journey.id);
    assert!(ids.eq(0..trace.journeys.len()));
}

/// A message of a share: what can be read is written again and is the same.
pub(crate) fn share(data: &[u8]) {
    if let Some(again) = peer_proto::share::decode(data) {
        assert_eq!(peer_proto::share::decode(&again), Some(again));
    }
}

/// A STUN message: every attribute is read, and what was read is written and read again.
pub(crate) fn stun_message(data: &[u8]) {
    let Ok(message) = Message::parse(data) else {
        assert_eq!(stun::describe(data), None);
        return;
    };
    assert!(stun::describe(data).is_some() && message.as_bytes() == data);
    read_all(&message);
    let mut again = Builder::new(message.class(), message.method(), message.transaction());
    let mut written = Vec::new();
    for attribute in ATTRIBUTES {
        if let Some(value) = message.get(attribute) {
            again = again.raw(attribute, value);
            written.push((attribute, value));
        }
    }
    let key = stun::integrity_key(&[7; 32]);
    let bytes = again.finish_authentic(&key);
    let again = Message::parse(&bytes).expect("what was written can be read");
    assert!(again.authentic(&key) && !again.authentic(&stun::integrity_key(&[8; 32])));
    assert!(again.is(message.class(), message.method()));
    for (attribute, value) in written {
        assert_eq!(again.get(attribute), Some(value), "{attribute:?}");
    }
    assert_eq!(again.mapped(), message.mapped());
    assert_eq!(again.peers().first(), message.peers().first());
}

/// Reads everything that a message may have.
pub(crate) fn read_all(message: &Message<'_>) {
    let addresses = [
        message.mapped(),
        message.response_origin(),
        message.other_address(),
        message.peer_address(),
        message.relayed(),
    ];
    let texts = [
        message.name(),
        message.peer_name(),
        message.username(),
        message.realm(),
    ];
    let _ = (addresses, texts, message.peers());
    let _ = (message.change_request(), message.response_port());
    let _ = (message.error(), message.nonce(), message.lifetime());
    let _ = (message.sequence(), message.seal(), message.relay());
    let _ = (message.attempt(), message.measure(), message.bounced());
    let _ = (message.icmp(), message.use_candidate(), message.channel());
    let _ = (message.fresh(), message.server_key(), message.asks_proof());
    let _ = (message.work(), message.work_wanted(), message.rotation());
    let _ = (
        message.wants_udp(),
        message.even_port(),
        message.requested_family(),
        message.has_right_lengths(),
    );
    assert!(message.unknown_required().len() <= 8);
    if let (Some((part, signature)), Some(key)) = (message.signed(), message.public_key()) {
        let _ = verify(&key, &part, &signature);
    }
    let key = turn::long_term_key("1:alice", "pinhole", "secret");
    let _ = message.authentic_long_term(&key);
}

/// A request of RFC 3489, and the answers to it.
pub(crate) fn stun_classic(data: &[u8]) {
    let Ok(request) = ClassicRequest::parse(data) else {
        return;
    };
    let _: Change = request.change();
    assert!(request.unknown().len() <= 8);
    let (four, six) = (at("203.0.113.1:8848"), at("[2001:db8::1]:8848"));
    for address in [four, six] {
        let answer = request.answer(address, Some(address), Some(address));
        assert!(answer.len() <= 92);
    }
    for unknown in [request.unknown(), &[Attribute::ChangeRequest as u16]] {
        assert!(request.refusal(unknown).len() <= 80);
    }
}

/// Messages in a byte stream: the same ones, however it is cut.
pub(crate) fn stun_stream(data: &[u8]) {
    let mut choices = Choices::new(data);
    let piece = usize::from(choices.byte()).max(1);
    let stream = choices.rest();
    let found = [stream.len().max(1), piece].map(|size| {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        let mut ended = false;
        for bytes in stream.chunks(size) {
            frames.push(bytes);
            while !ended {
                match frames.next_message() {
                    Ok(Some(message)) => found.push(message),
                    Ok(None) => break,
                    Err(_) => ended = true,
                }
            }
        }
        (found, ended)
    });
    assert_eq!(found[0], found[1]);
    assert!(stream.starts_with(&found[0].0.concat()));
    assert!(
        found[0]
            .0
            .iter()
            .all(|message| message.len() <= MAX_DATAGRAM)
    );
}

/// Channel data, and the attributes of TURN.
pub(crate) fn turn(data: &[u8]) {
    if let Some((channel, payload)) = turn::channel_data(data) {
        assert!(turn::is_channel_data(data) && turn::CHANNELS.contains(&channel));
        let again = turn::to_channel(channel, payload).expect("it is no longer than before");
        assert!(data.starts_with(&again));
    }
    let mut choices = Choices::new(data);
    let method = choices.of(&Method::ALL);
    let mut message = Builder::request(method, [4; 12]);
    while !choices.is_empty() {
        let attribute = choices.of(&ATTRIBUTES);
        message = message.raw(attribute, choices.bytes());
    }
    let key = turn::long_term_key("1:alice", "pinhole", "secret");
    let bytes = message.finish_long_term(&key);
    if let Ok(message) = Message::parse(&bytes) {
        read_all(&message);
    }
}

/// Type and code of an ICMP error, and the attribute that reports one.
pub(crate) fn icmp(data: &[u8]) {
    let mut choices = Choices::new(data);
    let icmp = Icmp {
        kind: choices.byte(),
        code: choices.byte(),
    };
    for address in ["203.0.113.1", "2001:db8::1", "::ffff:203.0.113.1"] {
        let address = address.parse().expect("an address of ours");
        if let Some(reason) = icmp.reason(address) {
            assert!(!reason.to_string().is_empty());
        }
    }
    let request = Builder::request(Method::Binding, [4; 12]);
    // The type has 7 bits on the wire.
    let same = Icmp {
        kind: icmp.kind & 0x7f,
        ..icmp
    };
    let message = request.icmp(same).finish();
    let message = Message::parse(&message).expect("what was written can be read");
    assert_eq!(message.icmp(), Some(same));
    let request = Builder::request(Method::Binding, [4; 12]);
    let message = request.raw(Attribute::Icmp, choices.rest()).finish();
    let message = Message::parse(&message).expect("what was written can be read");
    let _ = message.icmp();
}

/// A frame of a network interface.
pub(crate) fn capture_frame(data: &[u8]) {
    let mut choices = Choices::new(data);
    let (link, direction) = choices.of(&[
        (Link::Ethernet, Direction::In),
        (Link::Ip, Direction::In),
        (Link::Ip, Direction::Out),
    ]);
    let frame = choices.rest();
    let Some(packet) = decode(link, frame) else {
        return;
    };
    assert_eq!(packet.src.is_ipv4(), packet.dst.is_ipv4());
    let seen = Seen {
        at: Duration::from_millis(7),
        direction,
        interface: Some("eth0".into()),
        packet,
    };
    let line = describe(&seen);
    assert!(!line.contains(['\n', '\u{1b}']), "{line:?}");
    serde_json::to_string(&seen).expect("a packet is JSON");
}

/// What a peer seals: its candidates.
pub(crate) fn candidates(data: &[u8]) {
    let Some(candidates) = Candidates::decode(data) else {
        return;
    };
    let again = Candidates::decode(&candidates.encode());
    assert_eq!(again.as_ref(), Some(&candidates));
    let hosts = candidates.probeable_hosts();
    assert!(hosts.len() <= MOST_HOSTS);
    assert!(
        hosts
            .iter()
            .all(|host| is_private(host.ip()) && host.port() != 0)
    );
    let seen_at = at("198.51.100.7:9").ip();
    let fine = |target: &SocketAddr| is_private(target.ip()) || target.ip() == seen_at;
    assert!(candidates.tcp_targets(seen_at).iter().all(fine));
    let _ = (candidates.remap(), candidates.bears_early_packets());
}

const BOUND: Bound<'_> = Bound {
    caller: "alice",
    callee: "bob",
    fresh: [5; 8],
};

/// Messages that only one peer can open: forged ones do not open, and what is in them is read.
pub(crate) fn sealed(data: &[u8]) {
    let (alice, bob) = (
        Identity::from_secret(&[1; 32]),
        Identity::from_secret(&[2; 32]),
    );
    let (mut offer, sealed) =
        Offer::new(&alice, &bob.public(), BOUND, data, [3; 32]).expect("bob's key is one");
    let opened = Opened::new(&bob, &alice.public(), BOUND, &sealed, [4; 32]);
    assert_eq!(opened.expect("bob's offer opens").payload, data);
    assert!(Opened::new(&bob, &alice.public(), BOUND, data, [4; 32]).is_err());
    assert!(offer.accept(data).is_err());
    assert!(seal::open(&bob, b"", data).is_err());
    let signature = alice.sign(data);
    for subject in [proof::Subject::Answer(data), proof::Subject::Notification] {
        assert!(!subject.is_signed(&alice.public(), data, &signature));
        let signature = subject.sign(&alice, data);
        assert!(subject.is_signed(&alice.public(), data, &signature));
        assert!(!verify(&alice.public(), data, &signature));
    }
    if let Some(rotation) = data.first_chunk() {
        let rotation = Rotation::from_bytes(*rotation);
        assert!(!rotation.leads_to("alice", &bob.public()));
    }
    if let (Some(work), Ok(name)) = (data.first_chunk(), std::str::from_utf8(data)) {
        let key = &alice.public();
        let subject = work::Subject {
            nonce: data,
            name,
            key,
        };
        let _ = subject.shown_by(*work);
    }
    if let Some(key) = data.first_chunk() {
        let _ = Offer::new(&alice, key, BOUND, data, [3; 32]);
        let _ = Opened::new(&bob, key, BOUND, &sealed, [4; 32]);
    }
    // What the rendezvous seals for a name: here, with any content.
    let prologue = b"pinhole/2\0relay\0bob";
    let sealed = seal::seal_to(&bob.public(), prologue, data, [5; 32]).expect("bob's key is one");
    if let Ok(granted) = Granted::open("bob", &bob, &sealed) {
        let _ = parse_username(&granted.credentials.username);
    }
    if let Ok(name) = std::str::from_utf8(data) {
        let _ = (valid_name(name), parse_username(name));
    }
}

/// What a gateway answers by PCP and NAT-PMP: the bytes as they are, and with the nonce and the
/// port that were asked for.
pub(crate) fn gateway_answers(data: &[u8]) {
    let map = PcpMap {
        internal: at("192.168.1.2:5000"),
        nonce: *b"twelve bytes",
    };
    let mut ours = data.to_vec();
    for (at, bytes) in [
        (0, &[2, 0x81][..]),
        (24, &map.nonce),
        (36, &[17]),
        (40, &5000_u16.to_be_bytes()),
    ] {
        if let Some(place) = ours.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }
    for datagram in [data, &ours] {
        let _ = NatPmpAnswer::parse(datagram);
        let _ = PcpAnswer::parse(datagram);
        let _ = NatPmpMapping::parse(datagram);
        let _ = map.parse(datagram);
    }
    // Result 1 says that the gateway does not speak this version.
    let expected = ours.len() >= 60 && ours[3] != 1;
    assert_eq!(map.parse(&ours).is_some(), expected);
}
