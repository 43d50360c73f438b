//! docs/schemas knows every cause.

use peer_proto::cause::{Cause, Who};
use serde_json::Value;

/// One of each kind.
fn causes() -> Vec<Cause> {
    let address = "203.0.113.33:40000".parse().unwrap();
    let peer = || "bob".to_owned();
    vec![
        Cause::UdpBlocked,
        Cause::NobodyAsked { name: peer() },
        Cause::PeerOffline { peer: peer() },
        Cause::PeerSilent { peer: peer() },
        Cause::PeerLeft { peer: peer() },
        Cause::PeerBusy {
            peer: peer(),
            asked: true,
        },
        Cause::AuthMismatch { peer: peer() },
        Cause::SymmetricRemap {
            peer: peer(),
            who: Who::Peer,
            expected: address,
            used: address,
        },
        Cause::SymSym {
            ours: (address, address),
            theirs: (address, address),
        },
        Cause::BudgetExhausted {
            strategy: nat::plan::Strategy::Spray,
            per_ten_thousand: 1,
        },
        Cause::OneWay,
        Cause::IcmpRefused { address },
        Cause::NothingHeard,
        Cause::RelayRefused {
            relay: address,
            code: 486,
        },
        Cause::RelaySilent { relay: address },
        Cause::TcpRefused { address, tries: 3 },
        Cause::TransportMismatch {
            peer: peer(),
            tcp: Who::We,
        },
    ]
}

/// A new cause does not compile here before it is in this list, and in [`causes`].
fn position(cause: &Cause) -> usize {
    match cause {
        Cause::UdpBlocked => 0,
        Cause::NobodyAsked { .. } => 1,
        Cause::PeerOffline { .. } => 2,
        Cause::PeerSilent { .. } => 3,
        Cause::PeerLeft { .. } => 4,
        Cause::PeerBusy { .. } => 5,
        Cause::AuthMismatch { .. } => 6,
        Cause::SymmetricRemap { .. } => 7,
        Cause::SymSym { .. } => 8,
        Cause::BudgetExhausted { .. } => 9,
        Cause::OneWay => 10,
        Cause::IcmpRefused { .. } => 11,
        Cause::NothingHeard => 12,
        Cause::RelayRefused { .. } => 13,
        Cause::RelaySilent { .. } => 14,
        Cause::TcpRefused { .. } => 15,
        Cause::TransportMismatch { .. } => 16,
    }
}

#[test]
fn the_schema_has_the_code_of_every_cause_and_no_other() {
    let causes = causes();
    let positions: Vec<usize> = causes.iter().map(position).collect();
    assert_eq!(positions, (0..=16).collect::<Vec<_>>());
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/schemas/common.json"
    );
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let known = &schema["$defs"]["cause"]["properties"]["code"]["enum"];
    let codes: Vec<&str> = causes.iter().map(Cause::code).collect();
    assert_eq!(*known, serde_json::json!(codes));
}
