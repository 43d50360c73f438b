//! From what was seen at each node to journeys.
//!
//! Frames are taken in the order of time. A frame that leaves an interface is expected at the other end of its
//! link, which the Ethernet header names; one that has come into a router is expected to leave it. There, what
//! survives translation ([`Key`]) finds the packet again. Nothing is assumed about what a NAT does.

mod about;
mod ends;
mod history;
mod track;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::packet::Packet;
use crate::{Gap, Journey, Sighting, Tables, Trace, Vantage, Watched};
use track::Pass;

/// Joins what all nodes have seen.
pub fn join(watched: &Watched) -> Trace {
    let mut drafts = track::drafts(watched);
    drafts.sort_by_key(|draft| draft.passes[0].at_ns);
    about::attach(&mut drafts);
    let history = history::History::of(&watched.nodes, &drafts);
    let start = drafts.first().map_or(0, |draft| draft.passes[0].at_ns);
    let ms = |at_ns: u64| (at_ns as f64 - start as f64) / 1e6;
    let mut first_of = HashMap::new();
    let mut journeys: Vec<Journey> = Vec::with_capacity(drafts.len());
    for (id, draft) in drafts.iter().enumerate() {
        let packet = Packet::read(&draft.bytes, draft.len);
        let (payload_len, payload) = packet.as_ref().map_or((0, &[][..]), Packet::payload);
        let hash: [u8; 32] = Sha256::digest(payload).into();
        let first = &draft.passes[0];
        let repeats = draft.repeats(payload_len).map(|what| {
            let same = (first.src, first.dst, what, payload_len, hash);
            *first_of.entry(same).or_insert(id)
        });
        journeys.push(Journey {
            id,
            protocol: draft.protocol.to_owned(),
            what: packet.as_ref().map_or_else(String::new, Packet::what),
            payload_len,
            payload_sha256: hex::encode(hash),
            bytes: hex::encode(shown(id, &draft.bytes)),
            retransmission_of: repeats.filter(|first| *first != id),
            about: draft.about,
            sightings: draft
                .passes
                .iter()
                .map(|pass| sighting(&watched.nodes, pass, ms(pass.at_ns)))
                .collect(),
            end: ends::end(&watched.nodes, &drafts, id, &history),
        });
    }
    let since = |at_ms: f64| at_ms - start as f64 / 1e6;
    let mut tables: Vec<Tables> = watched
        .nodes
        .iter()
        .flat_map(|node| &node.tables)
        .map(|tables| Tables {
            t_ms: since(tables.t_ms).max(0.0),
            ..tables.clone()
        })
        .collect();
    tables.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
    let mut gaps: Vec<Gap> = watched
        .nodes
        .iter()
        .flat_map(|node| &node.gaps)
        .map(|gap| Gap {
            t_ms: since(gap.t_ms).max(0.0),
            ..gap.clone()
        })
        .collect();
    gaps.sort_by(|a, b| a.t_ms.total_cmp(&b.t_ms));
    Trace {
        schema: nat::Schema,
        started_unix_ns: start,
        nodes: watched.nodes.iter().map(Vantage::node).collect(),
        journeys,
        tables,
        gaps,
        cause: None,
    }
}

/// So many packets are shown whole.
const WHOLE: usize = 20_000;
/// Of the others, so many bytes: the headers, and what tells the packet from others.
const BEGINNING: usize = 128;

fn shown(id: usize, bytes: &[u8]) -> &[u8] {
    match id < WHOLE {
        true => bytes,
        false => &bytes[..bytes.len().min(BEGINNING)],
    }
}

fn sighting(nodes: &[Vantage], pass: &Pass, t_ms: f64) -> Sighting {
    let node = &nodes[pass.node];
    Sighting {
        t_ms,
        node: node.name.clone(),
        interface: pass
            .interface
            .map_or("output", |index| &node.interfaces[index].name)
            .to_owned(),
        direction: pass.direction,
        src: pass.src,
        dst: pass.dst,
        ttl: pass.ttl,
        raw: pass
            .frame
            .map_or_else(Vec::new, |index| node.frames[index].packet.clone()),
    }
}
