//! The data of the page, as compact JSON: what repeats is written once, and tables as what changed in them.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use serde::Serialize;

use crate::{Direction, Journey, Trace};

/// How many bytes of a packet the page has.
const SNAP: usize = 512;

#[derive(Serialize)]
struct Data<'a> {
    /// Name, description, interfaces with their addresses.
    nodes: Vec<(&'a str, &'a str, Vec<String>)>,
    /// Every text; the rest has indices of it.
    texts: Vec<String>,
    journeys: Vec<Row>,
    /// Entries of tables.
    entries: Vec<Entry>,
    changes: Vec<Change>,
    gaps: &'a [crate::Gap],
    cause: &'a Option<crate::Cause>,
}

/// Protocol, what, length of the payload, its SHA-256, length of the packet, bytes, first transmission, what it is
/// about, how it ended, node, reason, text, sightings.
type Row = (
    usize,
    usize,
    usize,
    String,
    usize,
    String,
    Option<usize>,
    Option<usize>,
    usize,
    Option<usize>,
    Option<usize>,
    usize,
    Vec<Seen>,
);

/// Time in milliseconds, node, interface, 1 out or 0 in, source, destination, TTL.
type Seen = (f64, Option<usize>, usize, u8, usize, usize, u8);

/// Protocol, inside, outside, destination, whom the mapping lets in (`*` is anyone). A mapping has one entry for each
/// remote that it lets in, and one without any.
type Entry = (usize, usize, usize, Option<usize>, Option<usize>);

/// Time in milliseconds, node, entries that are new, entries that are gone.
type Change = (f64, usize, Vec<usize>, Vec<usize>);

/// Values, each of them once.
struct Pool<T> {
    known: HashMap<T, usize>,
    values: Vec<T>,
}

impl<T: Clone + Eq + Hash> Pool<T> {
    fn new() -> Self {
        Pool {
            known: HashMap::new(),
            values: Vec::new(),
        }
    }

    fn index(&mut self, value: T) -> usize {
        let next = self.values.len();
        let index = *self.known.entry(value.clone()).or_insert(next);
        if index == next {
            self.values.push(value);
        }
        index
    }
}

/// The data, which is also safe as the text of an element.
pub(super) fn json(trace: &Trace) -> String {
    let node = |name: &str| trace.nodes.iter().position(|node| node.name == name);
    let mut texts = Pool::new();
    let journeys = trace.journeys.iter();
    let journeys = journeys.map(|it| row(it, &node, &mut texts)).collect();
    let (entries, changes) = tables(trace, &node, &mut texts);
    let nodes = trace.nodes.iter().map(|node| {
        let interfaces = node.interfaces.iter().map(|interface| {
            let addresses = interface.addresses.iter().map(ToString::to_string);
            let words: Vec<String> = [interface.name.clone()]
                .into_iter()
                .chain(addresses)
                .collect();
            words.join(" ")
        });
        let interfaces = interfaces.collect();
        (node.name.as_str(), node.description.as_str(), interfaces)
    });
    let data = Data {
        nodes: nodes.collect(),
        journeys,
        entries,
        changes,
        gaps: &trace.gaps,
        cause: &trace.cause,
        texts: texts.values,
    };
    let json = serde_json::to_string(&data).expect("numbers and texts are JSON");
    json.replace('<', "\\u003c")
}

fn row(it: &Journey, node: &impl Fn(&str) -> Option<usize>, texts: &mut Pool<String>) -> Row {
    let mut text = |text: &str| texts.index(text.to_owned());
    let how = serde_json::to_value(it.end.how).ok();
    let how = how
        .as_ref()
        .and_then(|how| how.as_str())
        .unwrap_or_default();
    let snap = it.bytes.char_indices().nth(2 * SNAP);
    let sightings = it.sightings.iter().map(|at| {
        let out = u8::from(at.direction == Direction::Out);
        let interface = text(&at.interface);
        let [src, dst] = [at.src, at.dst].map(|end| text(&end.to_string()));
        // whole microseconds are enough
        let t_ms = (at.t_ms * 1e3).round() / 1e3;
        (t_ms, node(&at.node), interface, out, src, dst, at.ttl)
    });
    let sightings = sightings.collect();
    (
        text(&it.protocol),
        text(&it.what),
        it.payload_len,
        it.payload_sha256.clone(),
        it.bytes.len() / 2,
        it.bytes[..snap.map_or(it.bytes.len(), |(at, _)| at)].to_owned(),
        it.retransmission_of,
        it.about,
        text(how),
        node(&it.end.node),
        it.end.reason.as_deref().map(&mut text),
        text(&it.end.text),
        sightings,
    )
}

fn tables(
    trace: &Trace,
    node: &impl Fn(&str) -> Option<usize>,
    texts: &mut Pool<String>,
) -> (Vec<Entry>, Vec<Change>) {
    let mut entries = Pool::new();
    let mut held: HashMap<usize, BTreeSet<usize>> = HashMap::new();
    let mut changes = Vec::new();
    for tables in &trace.tables {
        let Some(node) = node(&tables.node) else {
            continue;
        };
        let mut now = BTreeSet::new();
        for mapping in &tables.mappings {
            let mut text = |text: &dyn ToString| texts.index(text.to_string());
            let entry = (
                text(&mapping.protocol),
                text(&mapping.inside),
                text(&mapping.outside),
                mapping.destination.map(|it| text(&it)),
            );
            let permits: Vec<usize> = match mapping.anyone {
                true => vec![text(&"*")],
                false => mapping.permits.iter().map(|it| text(it)).collect(),
            };
            let (protocol, inside, outside, destination) = entry;
            for permit in [None].into_iter().chain(permits.into_iter().map(Some)) {
                now.insert(entries.index((protocol, inside, outside, destination, permit)));
            }
        }
        let before = held.entry(node).or_default();
        let new = now.difference(before).copied().collect();
        let gone = before.difference(&now).copied().collect();
        changes.push((tables.t_ms, node, new, gone));
        *before = now;
    }
    (entries.values, changes)
}
