//! ICMP errors and resets belong to the packets that they are about.

use std::collections::HashMap;

use super::track::Draft;
use crate::Direction;
use crate::packet::{ACK, Body, Packet, RST, SYN};

/// What a quotation has of a packet, however short it is: protocol, IP identification, and the length of a UDP
/// payload or a TCP sequence number.
type Quoted = (&'static str, u16, u64);

fn quoted(packet: &Packet) -> Option<Quoted> {
    let tells = match &packet.body {
        Body::Udp(len, _) => *len as u64,
        Body::Tcp(tcp) => tcp.seq.into(),
        _ => return None,
    };
    Some((packet.protocol(), packet.id, tells))
}

/// Sets `about` and `answers`. The drafts are in the order of time.
pub(super) fn attach(drafts: &mut [Draft]) {
    let mut sent: HashMap<Quoted, Vec<usize>> = HashMap::new();
    let mut opening: HashMap<u32, Vec<usize>> = HashMap::new(); // SYNs by their sequence number
    for id in 0..drafts.len() {
        let bytes = drafts[id].bytes.clone();
        let Some(packet) = Packet::read(&bytes, drafts[id].len) else {
            continue;
        };
        let first = &drafts[id].passes[0];
        match &packet.body {
            Body::Icmp(message) => {
                let quotation = message.quoted.as_deref();
                let Some(about) = quotation.and_then(|quotation| {
                    let candidates = sent.get(&quoted(quotation)?)?;
                    // newest first; the sender of the error had the packet as the error quotes it, or, behind its
                    // NAT, as it came in
                    candidates.iter().rev().copied().find(|other| {
                        let passes = drafts[*other].passes.iter();
                        let mut here = passes.filter(|pass| {
                            pass.node == first.node && pass.direction == Direction::In
                        });
                        here.next().is_some() && begins_alike(&drafts[*other].bytes, quotation)
                    })
                }) else {
                    continue;
                };
                drafts[id].about = Some(about);
                drafts[about].answers.push(id);
            }
            Body::Tcp(tcp) if tcp.flags & RST != 0 && tcp.flags & ACK != 0 => {
                let (node, src, dst) = (first.node, first.src, first.dst);
                let refused = opening.get(&tcp.ack.wrapping_sub(1)).and_then(|ids| {
                    ids.iter().rev().copied().find(|id| {
                        let mut passes = drafts[*id].passes.iter();
                        passes.any(|pass| (pass.node, pass.src, pass.dst) == (node, dst, src))
                    })
                });
                if let Some(about) = refused {
                    drafts[about].answers.push(id);
                }
            }
            Body::Tcp(tcp) if tcp.flags & SYN != 0 => {
                opening.entry(tcp.seq).or_default().push(id);
            }
            _ => {}
        }
        if let Some(quoted) = quoted(&packet) {
            sent.entry(quoted).or_default().push(id);
        }
    }
}

/// Whether a packet's payload begins as the quoted one does.
fn begins_alike(bytes: &[u8], quotation: &Packet) -> bool {
    let Some(packet) = Packet::read(bytes, bytes.len()) else {
        return false;
    };
    let (_, ours) = packet.payload();
    let (_, theirs) = quotation.payload();
    ours.iter().zip(theirs).all(|(a, b)| a == b)
}
