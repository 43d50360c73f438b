//! The operator's log: text, or JSON lines (docs/reference/json.md). Each line has the
//! time of its event. A thread writes it, so that no reader of it can stop the server.

mod lines;
mod within;
mod writer;

use std::io::Write;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use ::cli::head::{Headed, timed};
use anyhow::Context;
use rendezvous_proto::relay;
use rendezvous_proto::server::{Event, Stats};
use sansio::Prefix;
use serde_json::{Value, json};
use session::identity::PublicKey;

use crate::reload::Reloaded;

use lines::{Owner, Summary, WINDOW};
use within::within;
use writer::{Format, Writer};

/// How long a line that has to be written is waited for: the one on stdout, an error at the
/// start, and the rest of the log at the end.
const TIMEOUT: Duration = Duration::from_secs(2);

/// What clients have to know of this server.
#[derive(Clone, Debug)]
pub struct Ourselves {
    pub key: PublicKey,
    /// What they are given as --server.
    pub clients: String,
}

/// Writes the log to stderr.
#[derive(Clone)]
pub struct Log {
    form: Form,
    writer: Writer,
}

/// Text or JSON, and with what.
#[derive(Clone, Copy, Debug)]
struct Form {
    json: bool,
    /// With the addresses of clients.
    addresses: bool,
}

impl Log {
    /// A log that `tracing` events, too, are written to.
    ///
    /// # Errors
    /// When there is no stderr.
    pub fn start(json: bool, addresses: bool) -> anyhow::Result<Self> {
        // Not std's stderr, which has a lock: whoever writes to that would wait for this thread.
        let out = std::io::stderr().as_fd().try_clone_to_owned();
        let out = std::fs::File::from(out.context("cannot use stderr for the log")?);
        let form = Form { json, addresses };
        let writer = Writer::start(out, form);
        let traces = writer.clone();
        ::cli::log::init_to(move || traces.clone());
        Ok(Log { form, writer })
    }

    /// The one line on stdout: scripts wait for it before they start clients. A reader that does
    /// not read it is not waited for.
    pub fn listening(
        &self,
        addresses: &[SocketAddr],
        Ourselves { key, clients }: &Ourselves,
    ) -> std::io::Result<()> {
        let list: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        let line = match self.form.json {
            true => {
                let event = json!({
                    "event": "listening", "addresses": list, "key": hex::encode(key),
                    "clients": clients,
                });
                Headed::now("rendezvous", event).to_json()?
            }
            false => {
                let list = list.join(", ");
                format!("rendezvous: listening on {list}; clients: --server {clients}")
            }
        };
        let written = within(TIMEOUT, move || {
            let mut stdout = std::io::stdout().lock();
            writeln!(stdout, "{line}")?;
            stdout.flush()
        });
        written.unwrap_or_else(|| {
            self.trouble("nobody reads stdout, where it says that it listens");
            Ok(())
        })
    }

    pub fn event(&self, event: &Event) {
        let from = |address: &SocketAddr| match self.form.addresses {
            true => format!(" from {address}"),
            false => String::new(),
        };
        self.client_line(event.client(), kind(event), || match event {
            Event::Registered { name, address, key } => (
                format!("{name} registered{}, key {key}", from(address)),
                json!({"name": name, "address": address, "key": key}),
            ),
            Event::Rotated {
                name,
                address,
                before,
                now,
            } => (
                format!("{name} has a new key, {now}, signed by its old one, {before}"),
                json!({"name": name, "address": address, "before": before, "now": now}),
            ),
            Event::Unregistered { name, address } => (
                format!("{name} has ended its registration"),
                json!({"name": name, "address": address}),
            ),
            Event::Introduced {
                caller,
                callee,
                address,
            } => (
                format!("introduced {caller} to {callee}"),
                json!({"caller": caller, "target": callee, "address": address}),
            ),
            Event::Silent {
                caller,
                callee,
                address,
            } => (
                format!("no answer from {callee}, which {caller} has asked for"),
                json!({"caller": caller, "target": callee, "address": address}),
            ),
        });
    }

    /// Something failed that does not end the process.
    pub fn trouble(&self, what: &str) {
        self.line(what, "trouble", json!({"what": what}));
    }

    /// What SIGHUP asked for is done.
    pub fn reloaded(
        &self,
        Reloaded {
            changed,
            at_restart,
        }: &Reloaded,
    ) {
        let dashed = |names: &[String]| {
            let names: Vec<_> = names.iter().map(|name| format!("--{name}")).collect();
            names.join(", ")
        };
        let mut text = "reloaded --reserve, --relay-secret and the limits".to_owned();
        if !changed.is_empty() {
            text += &format!("; changed: {}", dashed(changed));
        }
        if !at_restart.is_empty() {
            text += &format!("; changes at the next start only: {}", dashed(at_restart));
        }
        let fields = json!({"changed": changed, "at_restart": at_restart});
        self.line(&text, "reloaded", fields);
    }

    pub fn ended(&self, stats: &Stats) {
        let text = format!(
            "ended: {} Binding requests answered, {} registrations and refreshes, \
             {} introductions asked for, {} made, {} requests refused; dropped: {} garbage, \
             {} that ask for nothing, {} over the rate, {} too short for their answer; {} made \
             room for others",
            stats.bindings,
            stats.registrations,
            stats.connects,
            stats.introduced,
            stats.refused,
            stats.garbage,
            stats.ignored,
            stats.limited,
            stats.too_short,
            stats.made_room,
        );
        self.line(&text, "ended", json!({"stats": stats}));
    }

    pub fn relay_event(&self, event: &relay::Event) {
        let kind = match event {
            relay::Event::Opened { .. } => "relay_opened",
            relay::Event::Closed { .. } => "relay_closed",
        };
        self.client_line(event.client(), kind, || match event {
            relay::Event::Opened {
                name,
                client,
                relayed,
            } => (
                match self.form.addresses {
                    true => format!("relay: {name} at {client} has got {relayed}"),
                    false => format!("relay: {name} has got {relayed}"),
                },
                json!({"name": name, "client": client, "relayed": relayed}),
            ),
            relay::Event::Closed {
                name,
                client,
                relayed,
                bytes,
            } => (
                format!("relay: {name} no longer has {relayed}, after {bytes} bytes"),
                json!({"name": name, "client": client, "relayed": relayed, "bytes": bytes}),
            ),
        });
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
        self.line(&text, "relay_ended", json!({"stats": stats}));
    }

    /// Writes what waits. To be called at the end; what its reader does not take in time is lost.
    pub fn end(&self) {
        self.writer.end(TIMEOUT);
    }

    /// A line about a client: its prefix has a share of the log.
    fn client_line(
        &self,
        client: SocketAddr,
        kind: &'static str,
        line: impl FnOnce() -> (String, Value),
    ) {
        let prefix = Prefix::of(client.ip());
        self.writer.event(prefix, kind, || {
            let (text, mut fields) = line();
            if let Value::Object(fields) = &mut fields
                && !self.form.addresses
            {
                fields.remove("address");
                fields.remove("client");
            }
            self.form.line(&text, kind, fields)
        });
    }

    fn line(&self, text: &str, kind: &'static str, fields: Value) {
        let line = self.form.line(text, kind, fields);
        self.writer.line(Owner::Server, line);
    }
}

/// The last line of a process that could not start; no longer than the timeout.
pub fn last_line(line: String) {
    within(TIMEOUT, || {
        ::cli::stderr::line(line);
        Ok(())
    });
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Registered { .. } => "registered",
        Event::Rotated { .. } => "rotated",
        Event::Unregistered { .. } => "unregistered",
        Event::Introduced { .. } => "introduced",
        Event::Silent { .. } => "silent",
    }
}

impl Form {
    fn line(self, text: &str, kind: &str, fields: Value) -> String {
        if !self.json {
            return format!("{} rendezvous: {text}", ::cli::log::time());
        }
        let mut line = timed(json!({"event": kind}));
        if let (Value::Object(line), Value::Object(fields)) = (&mut line, fields) {
            line.extend(fields);
        }
        line.to_string()
    }
}

impl Format for Form {
    fn summary(&self, summary: &Summary) -> String {
        let (prefix, counts) = (summary.prefix, &summary.counts);
        let each: Vec<String> = counts
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect();
        let (seconds, each) = (WINDOW.as_secs(), each.join(", "));
        let text = format!("{prefix} has caused more lines within {seconds} s: {each}");
        let fields = json!({"prefix": prefix.to_string(), "seconds": seconds, "counts": counts});
        self.line(&text, "more", fields)
    }

    fn dropped(&self, lines: u64) -> String {
        let text = format!("{lines} lines of the log were dropped: its reader does not keep up");
        self.line(&text, "dropped", json!({"lines": lines}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(json: bool) -> Form {
        Form {
            json,
            addresses: false,
        }
    }

    #[test]
    fn a_line_has_its_time_in_text_and_in_json() {
        let prefix = Prefix::of([203, 0, 113, 7].into());
        let counts = [("registered", 7), ("silent", 2)].into();
        let summary = Summary { prefix, counts };
        let text = form(false).summary(&summary);
        let (time, text) = text.split_once(' ').unwrap();
        assert!(time.len() == 27 && time.ends_with('Z'), "{time}");
        let expected =
            "rendezvous: 203.0.113.0/24 has caused more lines within 10 s: 7 registered, 2 silent";
        assert_eq!(text, expected);
        let json = form(true).summary(&summary);
        let mut json: Value = serde_json::from_str(&json).unwrap();
        let time = json["time"].take();
        assert_eq!(time.as_str().map(str::len), Some(27));
        let expected = json!({"event": "more", "prefix": "203.0.113.0/24", "seconds": 10,
            "counts": {"registered": 7, "silent": 2}, "time": null});
        assert_eq!(json, expected);
        let json: Value = serde_json::from_str(&form(true).dropped(9)).unwrap();
        assert_eq!(
            (&json["event"], &json["lines"]),
            (&json!("dropped"), &json!(9))
        );
    }
}
