//! Notices for people.

use cli::cause::Explained;
use session::identity::fingerprint;

use super::{Notice, ms};
use crate::text::{clean, glimpse, size};

impl Notice {
    /// For people: one line, or some.
    pub fn text(&self) -> String {
        match self {
            Notice::Message { from, text } => format!("{from}: {}", clean(text)),
            Notice::Registered { name, mapped } => {
                format!("registered as {name}, seen at {mapped}")
            }
            Notice::ServerSilent(server) => format!("no answer from {server} yet"),
            Notice::Connected { peer, way, again } => format!(
                "{peer} is {}connected: {}, {} in {} ms",
                if *again { "again " } else { "" },
                way.how.word(),
                way.remote,
                ms(way.rtt)
            ),
            Notice::Broken { peer, why, waiting } => {
                let wait = match waiting {
                    0 => String::new(),
                    1 => ", 1 message waits".into(),
                    n => format!(", {n} messages wait"),
                };
                format!("the path to {peer} is broken ({why}): making another{wait}")
            }
            Notice::NotYet { peer, cause } => {
                format!(
                    "{peer} is not reached yet: {}: {}",
                    cause.code(),
                    Explained(cause)
                )
            }
            Notice::Left { peer } => format!("{peer} has left"),
            Notice::Restarted { peer } => format!("{peer} was restarted"),
            Notice::GaveUp { peer, why } => match why {
                Some(why) => format!("{peer} cannot be reached: {why}"),
                None => format!("{peer} cannot be reached"),
            },
            Notice::Undelivered { to, text } => {
                format!("✗ not delivered to {to}: {}", clean(text))
            }
            Notice::Delivered {
                to, text, after, ..
            } => format!("✓ {to} has it after {} ms: {}", ms(*after), glimpse(text)),
            Notice::Talking { to } => format!("you talk to {to} now"),
            Notice::KeyChanged { peer, known, now } => format!(
                "{peer} has another key than before (known {}, now {}): either {peer} has lost \
                 the old one, or somebody else uses the name. Nothing was sent. Ask {peer} over \
                 another channel; if the new key is right, type /trust {peer} (or start with \
                 --trust {peer})",
                fingerprint(known),
                fingerprint(now)
            ),
            Notice::Trusted { peer, key } => {
                format!(
                    "{peer} is the owner of key {} from now on",
                    fingerprint(key)
                )
            }
            Notice::Offered {
                from,
                number,
                name,
                size: bytes,
            } => format!(
                "{from} offers {} ({}): /accept {number} or /decline {number}",
                clean(name),
                size(*bytes)
            ),
            Notice::Progress {
                peer,
                name,
                incoming,
                bytes,
                size: whole,
                speed,
                left,
            } => {
                let way = if *incoming { "from" } else { "to" };
                format!(
                    "{} {way} {peer}: {} {} of {}, {}/s, {} left",
                    clean(name),
                    bar(*bytes, *whole),
                    size(*bytes),
                    size(*whole),
                    size(*speed as u64),
                    indicatif::HumanDuration(*left)
                )
            }
            Notice::Received {
                from,
                path,
                size: bytes,
                ..
            } => format!(
                "received from {from}, verified: {} ({})",
                path.display(),
                size(*bytes)
            ),
            Notice::Sent {
                to,
                name,
                size: bytes,
            } => format!("✓ {to} has {} ({}), verified", clean(name), size(*bytes)),
            Notice::FileEnded {
                peer,
                name,
                incoming,
                why,
            } => {
                let way = if *incoming { "from" } else { "to" };
                format!("✗ {} {way} {peer}: {}", clean(name), clean(why))
            }
            Notice::Peers(peers) if peers.is_empty() => "nobody yet: /connect NAME".into(),
            Notice::Peers(peers) => lines(peers.iter().map(|peer| {
                let chosen = if peer.chosen { " ← you talk to" } else { "" };
                let waiting = match peer.waiting {
                    0 => String::new(),
                    n => format!(", {n} waiting"),
                };
                format!("{:<16} {}{waiting}{chosen}", peer.name, peer.state)
            })),
            Notice::Paths(paths) if paths.is_empty() => "nobody is connected".into(),
            Notice::Paths(paths) => lines(paths.iter().map(|path| {
                let (lost, sent) = path.lost;
                format!(
                    "{}: {}, from {} to {}, {} ms, {lost} of {sent} packets lost; {}",
                    path.name,
                    path.way.how.word(),
                    path.local,
                    path.way.remote,
                    ms(path.way.rtt),
                    path.why
                )
            })),
            Notice::Who {
                name,
                key,
                server,
                mapped,
                to,
            } => {
                let mapped: Vec<String> = mapped.iter().map(ToString::to_string).collect();
                format!(
                    "you are {name} (key {}) at {server}, seen at {}; {}",
                    fingerprint(key),
                    if mapped.is_empty() {
                        "no address yet".into()
                    } else {
                        mapped.join(", ")
                    },
                    match to {
                        Some(to) => format!("you talk to {to}"),
                        None => "you talk to nobody yet".into(),
                    }
                )
            }
            Notice::Verifying { peer, theirs: true } => {
                format!("{peer} wants to compare digits with you: /verify {peer}")
            }
            Notice::Verifying { peer, .. } => format!("{peer} has to type /verify, too"),
            Notice::Verify { peer, digits } => format!(
                "compare with {peer}, over the telephone say: {digits}; \
                 if {peer} sees the same, nobody sits between you"
            ),
            Notice::Help(text) => text.clone(),
            Notice::Problem(problem) => clean(problem),
        }
    }
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

/// A bar of ten.
fn bar(bytes: u64, whole: u64) -> String {
    let tenths = (bytes.saturating_mul(10) / whole.max(1)).min(10) as usize;
    format!("▕{}{}▏", "█".repeat(tenths), " ".repeat(10 - tenths))
}
