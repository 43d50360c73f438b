//! A trace as a capture file in the format pcapng (draft-ietf-opsawg-pcapng), for Wireshark and tshark.
//!
//! Each interface of each node is an interface of the file, with the node in its name. Each sighting is a packet, with
//! its direction, and a comment that says which journey it belongs to, what a NAT made of it, and how it ended. The
//! nodes' addresses have their names.

mod blocks;
mod packet;

use std::collections::HashMap;
use std::io::{self, Write};

use crate::{Direction, How, Journey, Sighting, Trace};
use blocks::{Block, Options};

/// The link type of packets that begin with their IP header: LINKTYPE_RAW.
const RAW: u16 = 101;

/// Writes the trace. Packets are in the order of time.
///
/// # Errors
/// When it cannot be written.
pub fn write(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    Block::section().write(out)?;
    let interfaces = interfaces(trace);
    for (node, interface) in &interfaces.list {
        let description = trace.nodes.iter().find(|it| it.name == *node);
        let mut options = Options::default();
        options.text(blocks::IF_NAME, &format!("{node} {interface}"));
        if let Some(node) = description {
            options.text(blocks::IF_DESCRIPTION, &node.description);
        }
        options.bytes(blocks::IF_TSRESOL, &[9]); // nanoseconds
        Block::interface(RAW, options).write(out)?;
    }
    names(trace).write(out)?;
    for at in in_time(trace) {
        let journey = &trace.journeys[at.journey];
        let sighting = &journey.sightings[at.sighting];
        let id = interfaces.ids[&(&*sighting.node, &*sighting.interface)];
        let (bytes, len) = packet::bytes(journey, sighting);
        let mut options = Options::default();
        options.text(blocks::COMMENT, &comment(journey, at.sighting));
        let flags: u32 = match sighting.direction {
            Direction::In => 1,
            Direction::Out => 2,
        };
        options.bytes(blocks::EPB_FLAGS, &flags.to_le_bytes());
        let since = (sighting.t_ms * 1e6).max(0.0) as u64;
        let time = trace.started_unix_ns.saturating_add(since);
        Block::packet(id, time, &bytes, len, options).write(out)?;
    }
    Ok(())
}

/// The interfaces of the file: those of the nodes, and then others at which a packet was seen.
struct Interfaces<'a> {
    list: Vec<(&'a str, &'a str)>,
    ids: HashMap<(&'a str, &'a str), u32>,
}

fn interfaces(trace: &Trace) -> Interfaces<'_> {
    let (mut list, mut ids) = (Vec::new(), HashMap::new());
    let of_nodes = trace.nodes.iter().flat_map(|node| {
        let names = node.interfaces.iter().map(|it| &*it.name);
        names.map(|name| (&*node.name, name))
    });
    let seen = trace.journeys.iter().flat_map(|it| &it.sightings);
    let seen = seen.map(|it| (&*it.node, &*it.interface));
    for interface in of_nodes.chain(seen) {
        ids.entry(interface).or_insert_with(|| {
            list.push(interface);
            (list.len() - 1) as u32
        });
    }
    Interfaces { list, ids }
}

/// The names of all addresses.
fn names(trace: &Trace) -> Block {
    let mut records = Vec::new();
    for node in &trace.nodes {
        for address in node.interfaces.iter().flat_map(|it| &it.addresses) {
            if !records.iter().any(|(known, _)| known == address) {
                records.push((*address, &*node.name));
            }
        }
    }
    Block::names(&records)
}

/// A place in the trace.
struct At {
    journey: usize,
    sighting: usize,
}

fn in_time(trace: &Trace) -> Vec<At> {
    let mut all = Vec::new();
    for (journey, it) in trace.journeys.iter().enumerate() {
        all.extend((0..it.sightings.len()).map(|sighting| At { journey, sighting }));
    }
    let time = |at: &At| trace.journeys[at.journey].sightings[at.sighting].t_ms;
    all.sort_by(|a, b| time(a).total_cmp(&time(b)));
    all
}

/// What is said about the sighting with this number.
fn comment(journey: &Journey, number: usize) -> String {
    let mut text = format!("journey {}: {}", journey.id, journey.what);
    let sighting = &journey.sightings[number];
    let before = number.checked_sub(1).map(|it| &journey.sightings[it]);
    if let Some(before) = before.filter(|before| before.node == sighting.node) {
        text += &translation(before, sighting);
    }
    if let Some(about) = journey.about {
        text += &format!("\nabout journey {about}");
    }
    if let Some(first) = journey.retransmission_of {
        text += &format!("\nretransmission of journey {first}");
    }
    if number + 1 == journey.sightings.len() {
        let end = &journey.end;
        text += match (end.how, &end.reason) {
            (How::Delivered, _) => format!("\n{}", end.text),
            (_, Some(reason)) => format!("\nended at {}: {reason}: {}", end.node, end.text),
            (_, None) => format!("\nended at {}: {}", end.node, end.text),
        }
        .as_str();
    }
    text
}

/// What a node made of source and destination.
fn translation(before: &Sighting, after: &Sighting) -> String {
    let changes = [
        ("source", before.src, after.src),
        ("destination", before.dst, after.dst),
    ];
    let changed = changes.iter().filter(|(_, before, after)| before != after);
    changed
        .map(|(what, from, to)| format!("\n{} translates the {what}: {from} → {to}", after.node))
        .collect()
}

#[cfg(test)]
mod tests;
