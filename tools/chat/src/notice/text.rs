//! Notices for people.

use std::time::Duration;

use cli::cause::Explained;
use cli::home::new_key;
use session::identity::fingerprint;

use super::{Notice, PathLine, Side, ms, peer_address};
use crate::files::Direction;
use crate::room::Why;
use crate::text::{beginning, clean, clean_lines, one_line, size};

impl Notice {
    /// For people: one line, or some.
    pub fn text(&self) -> String {
        match self {
            // Each line says whose it is, so that no peer can write in another's name.
            Notice::Message { from, text } => {
                let said = clean_lines(text);
                lines(said.split('\n').map(|line| format!("{from}: {line}")))
            }
            Notice::Registered { name, mapped } => {
                format!("registered as {name}, seen at {mapped}")
            }
            Notice::WorkWanted(server) => format!(
                "the rendezvous at {server} asks for a proof of work (under load); computing it"
            ),
            Notice::NewKey { name, before, now } => new_key::accepted(name, before, now),
            Notice::ServerSilent(server) => {
                format!("no answer from the rendezvous at {server} yet; asking again")
            }
            Notice::NoRelay { relay, failure } => {
                format!("no relayed address from {relay}: {failure}; going on without a relay")
            }
            Notice::ServerKey { text, .. } | Notice::ServerKeyless { text, .. } => text.clone(),
            Notice::ServerRefused(text) => text.clone(),
            Notice::Connected { peer, way, again } => format!(
                "{peer} is connected{}: {}, {}, round trip {} ms",
                if *again { " again" } else { "" },
                way.how.text(),
                way.remote,
                ms(way.rtt)
            ),
            Notice::Moved { peer, way } => format!(
                "the path to {peer} is {} now: {}, round trip {} ms",
                way.how.text(),
                way.remote,
                ms(way.rtt)
            ),
            Notice::Broken { peer, why, waiting } => {
                let wait = match waiting {
                    0 => String::new(),
                    1 => "; 1 message waits".into(),
                    n => format!("; {n} messages wait"),
                };
                format!("lost the path to {peer} ({why}); looking for another{wait}")
            }
            Notice::NotYet { peer, cause } => {
                format!(
                    "{peer} is not reached yet: {}: {}",
                    cause.code(),
                    Explained(cause)
                )
            }
            Notice::Left { peer } => format!("{peer} has left"),
            Notice::Restarted { peer } => format!("{peer} has restarted"),
            Notice::GaveUp { peer, why } => match why {
                Some(why) => format!("{peer} cannot be reached: {why}"),
                None => format!("{peer} cannot be reached"),
            },
            Notice::Undelivered { to, text } => {
                format!("✗ not delivered to {to}: {}", one_line(text))
            }
            Notice::Kept { to, waiting } => format!(
                "{to} is not there: {waiting} of your messages wait on this disk, and are sent when \
                 it is back (/pending)"
            ),
            Notice::Pending { kept, .. } if kept.is_empty() => "no message waits".into(),
            Notice::Pending { kept, now } => lines(kept.iter().map(|kept| {
                format!(
                    "to {}, {} ago: {}",
                    kept.to,
                    age(*now, kept.said),
                    beginning(&kept.text)
                )
            })),
            Notice::History { said, .. } if said.is_empty() => "nothing was said yet".into(),
            Notice::History { said, now } => lines(said.iter().map(|said| {
                let way = if said.ours { "you to" } else { "from" };
                let (peer, ago) = (&said.peer, age(*now, said.at));
                format!("{ago} ago, {way} {peer}: {}", one_line(&said.text))
            })),
            Notice::Delivered {
                to, text, after, ..
            } => format!("✓ {to} has it after {} ms: {}", ms(*after), beginning(text)),
            Notice::Asks { peer, key } => format!(
                "{peer} (key {}) wants to talk to you: type /accept {peer}, or ignore it",
                fingerprint(key)
            ),
            Notice::AsksMore(callers) => format!(
                "{callers} more want to talk to you; type /peers, and /accept or /reject those \
                 that wait, to see others"
            ),
            Notice::Rejected { peer } => {
                format!("{peer} is ignored until you leave, and is not told so")
            }
            Notice::Talking { to } => format!("your lines go to {to} now"),
            Notice::KeyChanged { peer, known, now } => format!(
                "the key of {peer} has changed (known: {}, now: {}). Either {peer} has lost the \
                 old key, or somebody else uses the name. Nothing was sent. Ask {peer} over \
                 another channel; if the new key is right, type /trust {peer} (or start chat \
                 with --trust {peer})",
                fingerprint(known),
                fingerprint(now)
            ),
            Notice::KeyRotated { peer, before, now } => new_key::followed(peer, before, now),
            Notice::Trusted { peer, key } => {
                format!("the key of {peer} is {} from now on", fingerprint(key))
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
            Notice::Progress { .. } => self.bar(usize::MAX, None),
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
                direction,
                why,
            } => {
                let (name, way) = (clean(name), way(*direction));
                format!("✗ {name} {way} {peer} was not delivered: {}", clean(why))
            }
            Notice::Peers(peers) if peers.is_empty() => "no peers yet; type /connect NAME".into(),
            Notice::Peers(peers) => lines(peers.iter().map(|peer| {
                let chosen = if peer.chosen {
                    " ← your lines go here"
                } else {
                    ""
                };
                let waiting = match peer.waiting {
                    0 => String::new(),
                    n => format!(", {n} to be delivered"),
                };
                format!("{:<16} {}{waiting}{chosen}", peer.name, peer.state)
            })),
            Notice::Paths { paths, nat } => {
                let nat = match nat {
                    Some((nat, age)) => format!(
                        "your NAT: {}, measured {} ago",
                        nat.class()
                            .map_or("unknown".into(), |class| class.to_string()),
                        indicatif::HumanDuration(*age)
                    ),
                    None => "your NAT is not measured".into(),
                };
                let paths = paths.iter().map(path_line);
                let mut all = Vec::from_iter(paths);
                if all.is_empty() {
                    all.push("nobody is connected".into());
                }
                all.push(nat);
                all.join("\n")
            }
            Notice::RoomEntered { room } => {
                format!("you are in the room {room}; /room lists who is in it, /leave leaves it")
            }
            Notice::RoomEnded { room } => format!("you have left the room {room}"),
            Notice::RoomInvited {
                room,
                peer,
                members,
            } => {
                let others = match members {
                    1 => "alone".into(),
                    2 => "with 1 other".into(),
                    n => format!("with {} others", n - 1),
                };
                format!("{peer} is in the room {room}, {others}: type /room {room} to enter it")
            }
            Notice::RoomJoined {
                room,
                peer,
                members,
            } => format!("{peer} is in the room {room}, with {members} people now"),
            Notice::RoomLeft { room, peer, why } => match why {
                Why::Left => format!("{peer} has left the room {room}"),
                Why::Lost => format!("{peer} is no longer in the room {room}: no path"),
                Why::Restarted => {
                    format!("{peer} has restarted, and is not in the room {room} yet")
                }
            },
            Notice::RoomMessage { room, from, text } => {
                let said = clean_lines(text);
                lines(
                    said.split('\n')
                        .map(|line| format!("#{room} {from}: {line}")),
                )
            }
            Notice::RoomDelivered {
                room,
                peer,
                tally,
                after,
            } => {
                let (has, of) = (tally.delivered, tally.of);
                match after {
                    Some(after) => format!(
                        "✓ {peer} in the room {room} has it after {} ms ({has} of {of}): {}",
                        ms(*after),
                        beginning(&tally.text)
                    ),
                    None => format!(
                        "✗ not delivered to {peer} in the room {room} ({has} of {of} have it): {}",
                        one_line(&tally.text)
                    ),
                }
            }
            Notice::Room {
                room,
                members,
                told,
            } => {
                let head = format!("the room {room}, with {} people:", members.len() + 1);
                let told = told.iter().map(|(name, by)| {
                    format!("{name}: not met yet; {by} says that it is in the room")
                });
                let all = std::iter::once(head).chain(members.iter().map(path_line));
                lines(all.chain(told))
            }
            Notice::Who {
                name,
                key,
                server,
                server_address,
                mapped,
                to,
            } => {
                let mut mapped: Vec<String> = mapped.iter().map(ToString::to_string).collect();
                mapped.dedup();
                format!(
                    "you are {name} (key {}), {} at {server}; {}\n\
                     peers reach you, and nobody else, by:\n\
                     chat --server {server_address} --peer {}",
                    fingerprint(key),
                    match mapped.is_empty() {
                        true => "not registered yet".into(),
                        false => format!("seen at {}, registered", mapped.join(", ")),
                    },
                    match to {
                        Some(to) => format!("your lines go to {to}"),
                        None => "no peer is chosen yet".into(),
                    },
                    peer_address(name, key),
                )
            }
            Notice::Verifying {
                peer,
                asked_by: Side::Peer,
            } => format!("{peer} wants to compare digits with you: type /verify {peer}"),
            Notice::Verifying { peer, .. } => format!("{peer} has to type /verify, too"),
            Notice::Verify { peer, digits } => format!(
                "compare with {peer}, for example by telephone: {digits}. If {peer} sees the \
                 same digits, nobody reads along"
            ),
            Notice::Help(text) => text.clone(),
            Notice::Handover(told) => told.text(),
            Notice::Problem(problem) => clean(problem),
        }
    }
}

fn path_line(path: &PathLine) -> String {
    let PathLine { name, open, why } = path;
    let Some(open) = open else {
        return format!("{name}: no path now ({why})");
    };
    let relay = match open.relay {
        Some(relay) => format!(" through the relay {relay}"),
        None => String::new(),
    };
    format!(
        "{name}: {}{relay}, from {} to {}, round trip {} ms, {} of {} packets lost; {why}",
        open.way.how.text(),
        open.local,
        open.way.remote,
        ms(open.way.rtt),
        open.lost,
        open.sent,
    )
}

fn lines(lines: impl Iterator<Item = String>) -> String {
    lines.collect::<Vec<_>>().join("\n")
}

fn age(now: u64, then: u64) -> indicatif::HumanDuration {
    indicatif::HumanDuration(Duration::from_secs(now.saturating_sub(then)))
}

/// The word before the peer's name.
pub(super) fn way(direction: Direction) -> &'static str {
    match direction {
        Direction::Incoming => "from",
        Direction::Outgoing => "to",
    }
}
