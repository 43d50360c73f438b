//! The causes of failure, in sentences for people.

use std::fmt;

use peer_proto::cause::{Cause, Who};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A cause as a sentence that says what happened and what to do, without a full
/// stop. As JSON it is `{"code": …, "text": …}` (docs/reference/json.md).
#[derive(Clone, Copy, Debug)]
pub struct Explained<'a>(pub &'a Cause);

impl fmt::Display for Explained<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Cause::UdpBlocked => write!(
                f,
                "UDP is blocked: the server's host answers TCP, but no UDP packet comes back; \
                 ask the administrator of this network, or use another network"
            ),
            Cause::NobodyAsked { name } => write!(
                f,
                "nobody asked for {name} in time; the other side does so with: \
                 punch --name THEM --peer {name}"
            ),
            Cause::PeerOffline { peer } => write!(
                f,
                "{peer} is not registered at this server; start the other side with --name {peer}"
            ),
            Cause::PeerSilent { peer } => write!(
                f,
                "{peer} is registered but did not acknowledge; it has ended or lost its network \
                 in the last 90 s"
            ),
            Cause::PeerBusy { peer, asked: true } => write!(
                f,
                "{peer} is asked whether to talk to you, and has not accepted yet"
            ),
            Cause::PeerBusy { peer, asked: false } => write!(
                f,
                "{peer} has no room for another caller now, or answers another peer only; try \
                 again in a minute"
            ),
            Cause::AuthMismatch { peer } => write!(
                f,
                "{peer} refused the introduction: its key is not the one that is registered, \
                 or it knows another key for your name"
            ),
            Cause::SymmetricRemap {
                peer,
                who,
                expected,
                used,
            } => {
                match who {
                    Who::We => write!(f, "your NAT")?,
                    Who::Peer => write!(f, "{peer}'s NAT")?,
                }
                write!(
                    f,
                    " gives every destination another port (expected {expected}, used {used} \
                     towards the server's other address), and the other NAT lets in only packets \
                     from the port that it has sent to"
                )
            }
            Cause::SymSym { ours, theirs } => write!(
                f,
                "both NATs give every destination another port (yours {} and {}, the peer's {} \
                 and {}), so neither side has the port that the other one sends to",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            Cause::BudgetExhausted {
                strategy,
                per_ten_thousand,
            } => write!(
                f,
                "the ports were guessed ({}, with a chance of {}), and no guess hit; \
                 try again in 20 s, or with a larger --budget",
                strategy.name(),
                nat::plan::percent(f64::from(*per_ten_thousand) / 10_000.0)
            ),
            Cause::PeerLeft { peer } => write!(
                f,
                "{peer} has left, or lost its network, while ports were being guessed; start it again, \
                 and then call it"
            ),
            Cause::OneWay => write!(
                f,
                "the peer's packets arrive here, but ours do not arrive there; \
                 look for a firewall on the way that lets packets through in one direction only"
            ),
            Cause::IcmpRefused { address } => write!(
                f,
                "{address} answered with ICMP port unreachable: the peer's router rejects packets \
                 instead of dropping them, or the peer has closed its socket"
            ),
            Cause::NothingHeard => write!(
                f,
                "both NATs keep their mappings, but no packet of the peer arrived; \
                 look for a firewall on the peer's host or network"
            ),
            Cause::RelayRefused { relay, code } => write!(
                f,
                "only a relay joins you and the peer, and the relay at {relay} refused: {code} {}; \
                 use another one with punch --turn, or look at its user, password and quota",
                stun::code::reason(*code)
            ),
            Cause::RelaySilent { relay } => write!(
                f,
                "only a relay joins you and the peer, and the relay at {relay} does not answer; \
                 is it running, and does a firewall let UDP through to its port?"
            ),
            Cause::TcpRefused { address, tries } => write!(
                f,
                "{address} answered with a reset, and none of {tries} connections was \
                 established: the peer's router resets a SYN that arrives before the peer's own \
                 SYN has left, and a reset may remove the mapping in the other NAT; try again, or \
                 punch by UDP (without --tcp)"
            ),
            Cause::TransportMismatch { peer, tcp: Who::We } => write!(
                f,
                "you punch by TCP and {peer} by UDP; give --tcp on both sides or on neither"
            ),
            Cause::TransportMismatch {
                peer,
                tcp: Who::Peer,
            } => write!(
                f,
                "{peer} punches by TCP and you by UDP; give --tcp on both sides or on neither"
            ),
        }
    }
}

impl Serialize for Explained<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut cause = serializer.serialize_struct("Cause", 2)?;
        cause.serialize_field("code", self.0.code())?;
        cause.serialize_field("text", &self.to_string())?;
        cause.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_about_remapping_names_whose_nat_it_is() {
        let remap = |who| Cause::SymmetricRemap {
            peer: "bob".into(),
            who,
            expected: "203.0.113.33:1".parse().unwrap(),
            used: "203.0.113.33:2".parse().unwrap(),
        };
        let said = |who| Explained(&remap(who)).to_string();
        assert!(said(Who::We).starts_with("your NAT gives"));
        assert!(said(Who::Peer).starts_with("bob's NAT gives"));
    }

    #[test]
    fn json_has_the_code_and_the_sentence() {
        let cause = Cause::PeerOffline { peer: "bob".into() };
        let json = serde_json::to_value(Explained(&cause)).unwrap();
        let text = "bob is not registered at this server; start the other side with --name bob";
        assert_eq!(
            json,
            serde_json::json!({"code": "PEER_OFFLINE", "text": text})
        );
    }
}
