//! The state of a NAT as text for people.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};

use super::reading::{Connection, Endpoint, Life, Mapping, Permit, Protocol, Reading, Seconds};
use crate::kernel::TableId;

/// The most mappings, or connections, that are shown without `--all`; and permits of one mapping.
const MOST: usize = 20;
const MOST_PERMITS: usize = 5;

/// How much of a reading is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// The tracked connections as well.
    pub(super) connections: bool,
    /// Every entry.
    pub(super) all: bool,
}

/// The whole text. `known` are the tables that there are, if this one is not among them.
pub(super) fn page(
    reading: &Reading,
    table: &TableId,
    known: Option<&[String]>,
    shown: Shown,
) -> String {
    let mut page = String::new();
    if let Some(node) = &reading.node {
        let _ = writeln!(page, "{node}");
    }
    match known {
        Some(known) => {
            let _ = writeln!(page, "{}", no_table(table, known));
        }
        None => holdings(&mut page, reading, shown),
    }
    if shown.connections || !reading.keeps.mappings {
        let none = reading
            .connections
            .as_ref()
            .map_or("could not be read", |_| "none tracked");
        section(
            &mut page,
            "connections",
            none,
            connection_rows(reading, shown),
        );
    }
    page
}

/// "no table …", with the tables that there are.
pub(super) fn no_table(table: &TableId, known: &[String]) -> String {
    let others = match known {
        [] => "no table of that family".to_owned(),
        names => names.join(", "),
    };
    format!("no table {table} in this network namespace (there is {others})")
}

fn holdings(page: &mut String, reading: &Reading, shown: Shown) {
    let none = if reading.keeps.mappings {
        "none"
    } else {
        "this table keeps none of its own"
    };
    section(page, "mappings", none, mapping_rows(reading, shown));

    let mut by_port: HashMap<Option<u16>, Vec<&Mapping>> = HashMap::new();
    for mapping in &reading.mappings {
        by_port
            .entry(mapping.outside.port)
            .or_default()
            .push(mapping);
    }
    let has_none = |permit: &&Permit| {
        let mut mappings = by_port.get(&permit.outside.port).into_iter().flatten();
        !mappings.any(|mapping| lets_in(mapping, permit))
    };
    let alone = newest(&reading.permits, |permit| &permit.life);
    let alone: Vec<&Permit> = alone.into_iter().filter(has_none).collect();
    if !alone.is_empty() {
        let mut body: Vec<_> = alone
            .iter()
            .take(shown.most(MOST))
            .map(|permit| {
                let [idle, left] = life(&permit.life);
                [
                    of(permit.protocol),
                    permit.outside.to_string(),
                    "←".to_owned(),
                    permit.from.to_string(),
                    idle,
                    left,
                ]
            })
            .collect();
        body.extend(more(alone.len(), body.len(), 1));
        let head = ["", "to", "", "from", "idle", "left"];
        section(
            page,
            "permits without a mapping",
            "",
            rows(head, body.into_iter()),
        );
    }
    if !reading.keeps.permits {
        let _ = writeln!(page, "permits: this table keeps none");
    }

    let counters = reading.counters.iter().map(|counter| {
        [
            counter.name.clone(),
            counter.packets.to_string(),
            counter.bytes.to_string(),
        ]
    });
    section(
        page,
        "counters",
        "none",
        rows(["name", "packets", "bytes"], counters),
    );
}

/// The mappings, newest first, each with the remotes that it lets in below it.
fn mapping_rows(reading: &Reading, shown: Shown) -> Vec<Vec<String>> {
    let mut body = Vec::new();
    let mappings = newest(&reading.mappings, |mapping| &mapping.life);
    let mut permits: HashMap<Option<u16>, Vec<&Permit>> = HashMap::new();
    for permit in newest(&reading.permits, |permit| &permit.life) {
        permits.entry(permit.outside.port).or_default().push(permit);
    }
    for mapping in mappings.iter().take(shown.most(MOST)) {
        let [idle, left] = life(&mapping.life);
        body.push([
            of(mapping.protocol),
            mapping.inside.to_string(),
            "→".to_owned(),
            mapping.outside.to_string(),
            mapping
                .toward
                .map_or_else(|| "anyone".to_owned(), |toward| toward.to_string()),
            idle,
            left,
        ]);
        let of_port = permits.get(&mapping.outside.port).into_iter().flatten();
        let own = of_port.filter(|permit| lets_in(mapping, permit));
        let count = own.clone().count();
        let most = shown.most(MOST_PERMITS);
        for permit in own.take(most) {
            let [idle, left] = life(&permit.life);
            let from = permit.from.to_string();
            let none = String::new;
            body.push([none(), none(), "←".to_owned(), from, none(), idle, left]);
        }
        body.extend(more(count, count.min(most), 3));
    }
    body.extend(more(
        mappings.len(),
        mappings.len().min(shown.most(MOST)),
        1,
    ));
    let head = ["", "inside", "", "outside", "toward", "idle", "left"];
    rows(head, body.into_iter())
}

/// Whether a packet from the remote of the permit comes in by this mapping.
fn lets_in(mapping: &Mapping, permit: &Permit) -> bool {
    let same = |a: Option<Protocol>, b: Option<Protocol>| a.is_none() || b.is_none() || a == b;
    let Endpoint { address, port } = permit.outside;
    port == mapping.outside.port
        && (address.is_none()
            || mapping.outside.address.is_none()
            || address == mapping.outside.address)
        && same(permit.protocol, mapping.protocol)
}

/// In the order of the last packet, the latest first; those without a time last.
fn newest<T>(all: &[T], life: impl Fn(&T) -> &Life) -> Vec<&T> {
    let mut sorted: Vec<&T> = all.iter().collect();
    sorted.sort_by_key(|it| life(it).idle_s.map_or(u64::MAX, |Seconds(ms)| ms));
    sorted
}

/// A row that says how many are not shown, in this column.
fn more<const N: usize>(all: usize, shown: usize, column: usize) -> Option<[String; N]> {
    (all > shown).then(|| {
        let mut row = [(); N].map(|()| String::new());
        row[column] = format!("{} more: --all", all - shown);
        row
    })
}

fn connection_rows(reading: &Reading, shown: Shown) -> Vec<Vec<String>> {
    let mut all: Vec<&Connection> = reading.connections.iter().flatten().collect();
    all.sort_by_key(|connection| Reverse(connection.remaining_s));
    let mut body: Vec<_> = all
        .iter()
        .take(shown.most(MOST))
        .map(|connection| {
            [
                connection.original.src.to_string(),
                "→".to_owned(),
                connection.original.dst.to_string(),
                format!("{} → {}", connection.reply.src, connection.reply.dst),
                state(connection).to_owned(),
                format!("{} s", connection.remaining_s),
            ]
        })
        .collect();
    body.extend(more(all.len(), body.len(), 0));
    rows(
        ["from", "", "to", "answer", "state", "left"],
        body.into_iter(),
    )
}

fn state(connection: &Connection) -> &'static str {
    match (connection.assured, connection.seen_reply) {
        (true, _) => "assured",
        (false, true) => "answered",
        (false, false) => "one way",
    }
}

fn of(protocol: Option<Protocol>) -> String {
    protocol.map_or_else(String::new, |p| p.to_string())
}

/// The idle time, and the time that is left.
fn life(life: &Life) -> [String; 2] {
    let seconds = |Seconds(ms)| format!("{:.1} s", ms as f64 / 1e3);
    let idle = life.idle_s.map_or_else(String::new, seconds);
    let left = match (life.remaining_s, life.timeout_s) {
        (Some(left), Some(all)) => format!("{} of {}", seconds(left), seconds(all)),
        (Some(left), None) => seconds(left),
        (None, _) => "no timeout".to_owned(),
    };
    [idle, left]
}

fn rows<const N: usize>(
    head: [&str; N],
    body: impl Iterator<Item = [String; N]>,
) -> Vec<Vec<String>> {
    let head = head.map(str::to_owned).to_vec();
    let body: Vec<_> = body.map(Vec::from).collect();
    if body.is_empty() {
        Vec::new()
    } else {
        [vec![head], body].concat()
    }
}

fn section(page: &mut String, title: &str, none: &str, rows: Vec<Vec<String>>) {
    if rows.is_empty() {
        let _ = writeln!(page, "{title}: {none}");
        return;
    }
    let mut table = Builder::from_iter(rows).build();
    table
        .with(Style::empty())
        .with(Padding::new(2, 0, 0, 0))
        .modify(Columns::new(..), Alignment::left());
    let _ = writeln!(page, "{title}");
    for line in table.to_string().lines() {
        let _ = writeln!(page, "{}", line.trim_end());
    }
}

impl Shown {
    /// At most so many, or all.
    fn most(self, limit: usize) -> usize {
        match self.all {
            true => usize::MAX,
            false => limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        let (address, port) = text.rsplit_once(':').unwrap();
        Endpoint {
            address: address.parse().ok(),
            port: port.parse().ok(),
        }
    }

    fn life(idle_ms: u64) -> Life {
        Life::new(Some(120_000), Some(120_000 - idle_ms))
    }

    /// So many mappings, of which the last one is the newest, with so many permits each, and a permit without one.
    fn reading(mappings: u16, permits: u16) -> Reading {
        let udp = Some(Protocol(17));
        let mut reading = Reading::default();
        (reading.keeps.mappings, reading.keeps.permits) = (true, true);
        for n in 0..mappings {
            reading.mappings.push(Mapping {
                protocol: udp,
                inside: endpoint(&format!("192.168.1.2:{}", 1000 + n)),
                outside: endpoint(&format!("203.0.113.17:{}", 4000 + n)),
                toward: None,
                life: life(u64::from(mappings - n) * 1000),
            });
            for m in 0..permits {
                reading.permits.push(Permit {
                    protocol: udp,
                    outside: endpoint(&format!("*:{}", 4000 + n)),
                    from: endpoint(&format!("203.0.113.33:{}", 6000 + m)),
                    life: life(u64::from(mappings - n) * 1000 + u64::from(m)),
                });
            }
        }
        reading.permits.push(Permit {
            protocol: udp,
            outside: endpoint("*:9"),
            from: endpoint("203.0.113.34:9"),
            life: life(0),
        });
        reading
    }

    fn text(reading: &Reading, all: bool) -> String {
        let table = TableId {
            family: 2,
            name: "pinhole".to_owned(),
        };
        let shown = Shown {
            connections: false,
            all,
        };
        page(reading, &table, None, shown)
    }

    #[test]
    fn permits_are_under_their_mapping_and_the_newest_come_first() {
        assert_eq!(
            text(&reading(2, 2), false),
            "\
mappings
       inside               outside            toward  idle   left
  udp  192.168.1.2:1001  →  203.0.113.17:4001  anyone  1.0 s  119.0 s of 120.0 s
                         ←  203.0.113.33:6000          1.0 s  119.0 s of 120.0 s
                         ←  203.0.113.33:6001          1.0 s  119.0 s of 120.0 s
  udp  192.168.1.2:1000  →  203.0.113.17:4000  anyone  2.0 s  118.0 s of 120.0 s
                         ←  203.0.113.33:6000          2.0 s  118.0 s of 120.0 s
                         ←  203.0.113.33:6001          2.0 s  118.0 s of 120.0 s
permits without a mapping
       to      from            idle   left
  udp  *:9  ←  203.0.113.34:9  0.0 s  120.0 s of 120.0 s
counters: none
"
        );
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let many = reading(MOST as u16 + 7, MOST_PERMITS as u16 + 3);
        let brief = text(&many, false);
        assert_eq!(brief.matches("203.0.113.17:").count(), MOST);
        assert_eq!(brief.matches("203.0.113.33:").count(), MOST * MOST_PERMITS);
        assert_eq!(brief.matches("3 more: --all").count(), MOST);
        assert_eq!(brief.matches("7 more: --all").count(), 1);
        assert!(brief.contains("203.0.113.17:4026") && !brief.contains("203.0.113.17:4006"));
        let whole = text(&many, true);
        assert_eq!(whole.matches("203.0.113.17:").count(), many.mappings.len());
        assert_eq!(
            whole.matches("203.0.113.33:").count() + 1,
            many.permits.len()
        );
        assert!(!whole.contains("--all"));
    }
}
