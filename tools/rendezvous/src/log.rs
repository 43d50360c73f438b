//! The operator's log: text, or JSON lines (docs/reference/json.md).

use std::io::Write;
use std::net::SocketAddr;

use rendezvous_proto::relay;
use rendezvous_proto::server::{Event, Stats};
use serde_json::json;

/// Writes the log to stderr.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    json: bool,
}

impl Log {
    pub fn new(json: bool) -> Self {
        Log { json }
    }

    /// The one line on stdout: scripts wait for it before they start clients.
    pub fn listening(&self, addresses: &[SocketAddr]) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        if self.json {
            writeln!(
                stdout,
                "{}",
                json!({"event": "listening", "addresses": addresses})
            )?;
        } else {
            let list: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            writeln!(stdout, "rendezvous: listening on {}", list.join(", "))?;
        }
        stdout.flush()
    }

    pub fn event(&self, event: &Event) {
        let (text, value) = match event {
            Event::Registered { name, address, key } => (
                format!("{name} registered from {address}, key {key}"),
                json!({"event": "registered", "name": name, "address": address, "key": key}),
            ),
            Event::Rotated { name, before, now } => (
                format!("{name} has a new key, {now}, signed by its old one, {before}"),
                json!({"event": "rotated", "name": name, "before": before, "now": now}),
            ),
            Event::Unregistered { name } => (
                format!("{name} has ended its registration"),
                json!({"event": "unregistered", "name": name}),
            ),
            Event::Introduced { caller, callee } => (
                format!("introduced {caller} to {callee}"),
                json!({"event": "introduced", "caller": caller, "target": callee}),
            ),
            Event::Silent { caller, callee } => (
                format!("no answer from {callee}, which {caller} has asked for"),
                json!({"event": "silent", "caller": caller, "target": callee}),
            ),
        };
        self.line(&text, &value);
    }

    /// Something failed that does not end the process.
    pub fn trouble(&self, what: &str) {
        self.line(what, &json!({"event": "trouble", "what": what}));
    }

    pub fn ended(&self, stats: &Stats) {
        let text = format!(
            "ended: {} Binding requests answered, {} registrations and refreshes, \
             {} introductions asked for, {} made, {} requests refused; dropped: {} garbage, \
             {} that ask for nothing, {} over the rate, {} too short for their answer",
            stats.bindings,
            stats.registrations,
            stats.connects,
            stats.introduced,
            stats.refused,
            stats.garbage,
            stats.ignored,
            stats.limited,
            stats.too_short,
        );
        self.line(&text, &json!({"event": "ended", "stats": stats}));
    }

    pub fn relay_event(&self, event: &relay::Event) {
        let (text, value) = match event {
            relay::Event::Opened {
                name,
                client,
                relayed,
            } => (
                format!("relay: {name} at {client} has got {relayed}"),
                json!({"event": "relay_opened", "name": name, "client": client, "relayed": relayed}),
            ),
            relay::Event::Closed {
                name,
                relayed,
                bytes,
            } => (
                format!("relay: {name} no longer has {relayed}, after {bytes} bytes"),
                json!({"event": "relay_closed", "name": name, "relayed": relayed, "bytes": bytes}),
            ),
        };
        self.line(&text, &value);
    }

    pub fn relay_ended(&self, stats: &relay::Stats) {
        let text = format!(
            "relay: {} allocations, {} packets and {} bytes relayed, {} requests refused; \
             dropped: {} packets over the rate, {} without permission",
            stats.allocations,
            stats.packets,
            stats.bytes,
            stats.refused,
            stats.over_rate,
            stats.unpermitted,
        );
        self.line(&text, &json!({"event": "relay_ended", "stats": stats}));
    }

    fn line(&self, text: &str, value: &serde_json::Value) {
        match self.json {
            true => ::cli::stderr::line(value),
            false => ::cli::stderr::line(format_args!("rendezvous: {text}")),
        }
    }
}
