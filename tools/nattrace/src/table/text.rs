//! The state of a NAT as text for people.

use std::fmt::Write;

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::{Alignment, Padding, Style};

use super::reading::{Connection, Life, Protocol, Reading, Seconds};
use crate::kernel::TableId;

/// The whole text. `known` are the tables that there are, if this one is not among them.
pub(super) fn page(
    reading: &Reading,
    table: &TableId,
    known: Option<&[String]>,
    connections: bool,
) -> String {
    let mut page = String::new();
    if let Some(node) = &reading.node {
        let _ = writeln!(page, "{node}");
    }
    match known {
        Some(known) => {
            let _ = writeln!(page, "{}", no_table(table, known));
        }
        None => holdings(&mut page, reading),
    }
    if connections || !reading.keeps.mappings {
        let none = reading
            .connections
            .as_ref()
            .map_or("could not be read", |_| "none tracked");
        section(&mut page, "connections", none, connection_rows(reading));
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

fn holdings(page: &mut String, reading: &Reading) {
    let anyone = || "anyone".to_owned();
    let of = |protocol: Option<Protocol>| protocol.map_or_else(String::new, |p| p.to_string());
    let mappings = reading.mappings.iter().map(|mapping| {
        let [idle, left] = life(&mapping.life);
        [
            of(mapping.protocol),
            mapping.inside.to_string(),
            "→".to_owned(),
            mapping.outside.to_string(),
            mapping
                .toward
                .map_or_else(anyone, |toward| toward.to_string()),
            idle,
            left,
        ]
    });
    let head = ["", "inside", "", "outside", "toward", "idle", "left"];
    let none = if reading.keeps.mappings {
        "none"
    } else {
        "this table keeps none of its own"
    };
    section(page, "mappings", none, rows(head, mappings));

    let permits = reading.permits.iter().map(|permit| {
        let [idle, left] = life(&permit.life);
        [
            of(permit.protocol),
            permit.outside.to_string(),
            "←".to_owned(),
            permit.from.to_string(),
            idle,
            left,
        ]
    });
    let none = if reading.keeps.permits {
        "none"
    } else {
        "this table keeps none"
    };
    let head = ["", "to", "", "from", "idle", "left"];
    section(page, "permits", none, rows(head, permits));

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

fn connection_rows(reading: &Reading) -> Vec<Vec<String>> {
    let connections = reading.connections.iter().flatten().map(|connection| {
        [
            connection.original.src.to_string(),
            "→".to_owned(),
            connection.original.dst.to_string(),
            format!("{} → {}", connection.reply.src, connection.reply.dst),
            state(connection).to_owned(),
            format!("{} s", connection.remaining_s),
        ]
    });
    rows(["from", "", "to", "answer", "state", "left"], connections)
}

fn state(connection: &Connection) -> &'static str {
    match (connection.assured, connection.seen_reply) {
        (true, _) => "assured",
        (false, true) => "answered",
        (false, false) => "one way",
    }
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
