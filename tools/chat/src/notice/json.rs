//! Notices for programs (docs/reference/json.md).

use cli::cause::Explained;
use serde_json::{Value, json};
use session::identity::fingerprint;

use super::{Notice, PathLine, Side, ms, peer_address};
use crate::files::Direction;
use crate::room::Why;

impl Notice {
    /// For programs: one object.
    pub fn json(&self) -> Value {
        match self {
            Notice::Message { from, text } => {
                json!({"event": "message", "from": from, "text": text})
            }
            Notice::Registered { name, mapped } => {
                json!({"event": "registered", "name": name, "mapped": mapped})
            }
            Notice::WorkWanted(server) => json!({"event": "work_wanted", "server": server}),
            Notice::NewKey { name, before, now } => json!({
                "event": "new_key", "name": name,
                "before": fingerprint(before), "now": fingerprint(now),
            }),
            Notice::ServerSilent(server) => json!({"event": "server_silent", "server": server}),
            Notice::NoRelay { relay, failure } => json!({
                "event": "no_relay", "relay": relay,
                "code": failure.code(), "text": failure.to_string(),
            }),
            Notice::ServerKey {
                server,
                key,
                first_use,
                text,
            } => json!({
                "event": "server_key", "server": server, "key": hex::encode(key),
                "first_use": first_use, "text": text,
            }),
            Notice::ServerKeyless { server, text } => {
                json!({"event": "server_keyless", "server": server, "text": text})
            }
            Notice::ServerRefused(text) => json!({"event": "problem", "text": text}),
            Notice::Connected { peer, way, again } => json!({
                "event": "connected", "peer": peer, "how": way.how.word(), "remote": way.remote,
                "rtt_ms": ms(way.rtt), "again": again,
            }),
            Notice::Moved { peer, way } => json!({
                "event": "connected", "peer": peer, "how": way.how.word(), "remote": way.remote,
                "rtt_ms": ms(way.rtt), "again": true,
            }),
            Notice::Broken { peer, why, waiting } => {
                json!({"event": "broken", "peer": peer, "why": why, "waiting": waiting})
            }
            Notice::NotYet { peer, cause } => {
                json!({"event": "not_yet", "peer": peer, "cause": Explained(cause)})
            }
            Notice::Left { peer } => json!({"event": "left", "peer": peer}),
            Notice::Restarted { peer } => json!({"event": "restarted", "peer": peer}),
            Notice::GaveUp { peer, why } => json!({"event": "gave_up", "peer": peer, "why": why}),
            Notice::Undelivered { to, text } => {
                json!({"event": "undelivered", "to": to, "text": text})
            }
            Notice::Kept { to, waiting } => {
                json!({"event": "kept", "to": to, "waiting": waiting})
            }
            Notice::Pending { kept, .. } => {
                json!({"event": "pending", "messages": kept})
            }
            Notice::History { said, .. } => {
                json!({"event": "history", "messages": said})
            }
            Notice::Delivered {
                to,
                number,
                text,
                after,
            } => json!({
                "event": "delivered", "to": to, "number": number, "text": text,
                "after_ms": ms(*after),
            }),
            Notice::Asks { peer, key } => {
                json!({"event": "asks", "peer": peer, "key": fingerprint(key)})
            }
            Notice::AsksMore(callers) => json!({"event": "asks_more", "callers": callers}),
            Notice::Rejected { peer } => json!({"event": "rejected", "peer": peer}),
            Notice::Talking { to } => json!({"event": "talking", "to": to}),
            Notice::KeyChanged { peer, known, now } => json!({
                "event": "key_changed", "peer": peer,
                "known": fingerprint(known), "now": fingerprint(now),
            }),
            Notice::KeyRotated { peer, before, now } => json!({
                "event": "key_rotated", "peer": peer,
                "before": fingerprint(before), "now": fingerprint(now),
            }),
            Notice::Trusted { peer, key } => {
                json!({"event": "trusted", "peer": peer, "key": fingerprint(key)})
            }
            Notice::Offered {
                from,
                number,
                name,
                size,
            } => json!({
                "event": "offered", "from": from, "number": number, "name": name, "size": size,
            }),
            Notice::Progress {
                peer,
                name,
                direction,
                bytes,
                size,
                speed,
                ..
            } => json!({
                "event": "progress", "peer": peer, "name": name, "incoming": is_incoming(*direction),
                "bytes": bytes, "size": size, "bytes_per_second": speed.round(),
            }),
            Notice::Received {
                from,
                name,
                path,
                size,
            } => json!({
                "event": "received", "from": from, "name": name, "path": path, "size": size,
            }),
            Notice::Sent { to, name, size } => {
                json!({"event": "sent", "to": to, "name": name, "size": size})
            }
            Notice::FileEnded {
                peer,
                name,
                direction,
                why,
            } => json!({
                "event": "file_ended", "peer": peer, "name": name,
                "incoming": is_incoming(*direction), "why": why,
            }),
            Notice::Peers(peers) => {
                let peers: Vec<Value> = peers
                    .iter()
                    .map(|peer| {
                        json!({
                            "name": peer.name, "state": peer.state, "waiting": peer.waiting,
                            "chosen": peer.chosen,
                        })
                    })
                    .collect();
                json!({"event": "peers", "peers": peers})
            }
            Notice::Paths { paths, nat } => {
                let paths: Vec<Value> = paths.iter().map(path_json).collect();
                let nat = nat
                    .map(|(nat, age)| json!({"class": nat.class(), "measured_s": age.as_secs()}));
                json!({"event": "paths", "paths": paths, "nat": nat})
            }
            Notice::RoomEntered { room } => json!({"event": "room_entered", "room": room}),
            Notice::RoomEnded { room } => json!({"event": "room_ended", "room": room}),
            Notice::RoomInvited {
                room,
                peer,
                members,
            } => json!({
                "event": "room_invited", "room": room, "peer": peer, "members": members,
            }),
            Notice::RoomJoined {
                room,
                peer,
                members,
            } => json!({
                "event": "room_joined", "room": room, "peer": peer, "members": members,
            }),
            Notice::RoomLeft { room, peer, why } => {
                let why = match why {
                    Why::Left => "left",
                    Why::Lost => "lost",
                    Why::Restarted => "restarted",
                };
                json!({"event": "room_left", "room": room, "peer": peer, "why": why})
            }
            Notice::RoomMessage { room, from, text } => {
                json!({"event": "room_message", "room": room, "from": from, "text": text})
            }
            Notice::RoomDelivered {
                room,
                peer,
                tally,
                after,
            } => json!({
                "event": if after.is_some() { "room_delivered" } else { "room_undelivered" },
                "room": room, "to": peer, "number": tally.number, "text": tally.text,
                "delivered": tally.delivered, "lost": tally.lost, "of": tally.of,
                "after_ms": after.map(ms),
            }),
            Notice::Room {
                room,
                members,
                told,
            } => {
                let members: Vec<Value> = members.iter().map(path_json).collect();
                let told = told
                    .iter()
                    .map(|(peer, by)| json!({"peer": peer, "by": by}));
                let told: Vec<Value> = told.collect();
                json!({"event": "room", "room": room, "members": members, "told": told})
            }
            Notice::Who {
                name,
                key,
                server,
                server_address,
                mapped,
                to,
            } => json!({
                "event": "who", "name": name, "key": fingerprint(key), "server": server,
                "address": peer_address(name, key), "server_address": server_address,
                "mapped": mapped, "to": to,
            }),
            Notice::Verifying { peer, asked_by } => json!({
                "event": "verifying", "peer": peer, "theirs": *asked_by == Side::Peer,
            }),
            Notice::Verify { peer, digits } => {
                json!({"event": "verify", "peer": peer, "digits": digits})
            }
            Notice::Help(text) => json!({"event": "help", "text": text}),
            Notice::Handover(told) => told.json(),
            Notice::Problem(text) => json!({"event": "problem", "text": text}),
        }
    }
}

fn path_json(path: &PathLine) -> Value {
    let open = path.open.as_ref();
    json!({
        "peer": path.name,
        "how": open.map_or("none", |open| open.way.how.word()),
        "local": open.map(|open| open.local),
        "remote": open.map(|open| open.way.remote),
        "relay": open.and_then(|open| open.relay),
        "rtt_ms": open.map(|open| ms(open.way.rtt)),
        "lost": open.map(|open| open.lost),
        "sent": open.map(|open| open.sent), "why": path.why,
    })
}

fn is_incoming(direction: Direction) -> bool {
    direction == Direction::Incoming
}
