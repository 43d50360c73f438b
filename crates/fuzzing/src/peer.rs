//! A whole peer: a rendezvous, a relay and other peers that send anything, forged and valid.

mod rendezvous;
mod world;

use std::time::Duration;

use std::net::SocketAddr;

use nat::plan::{Limits, Side};
use peer_proto::candidate::{Candidates, Tcp};
use sansio::{IcmpError, Input, Protocol};
use stun::{Builder, Class, Icmp, Message, Method, turn};

use crate::input::{Choices, append};
use world::{SERVER, World, places};

pub(crate) fn endpoint(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::new(&mut choices);
    let mut steps = 0;
    while !choices.is_empty() && steps < 200 {
        steps += 1;
        match choices.byte() % 16 {
            0 => raw(&mut world, &mut choices),
            1 => half_valid(&mut world, &mut choices),
            2..=5 => world.answer(&mut choices),
            6 | 7 => world.notify(&mut choices),
            8 | 9 => probe(&mut world, &mut choices),
            10 => answer_probe(&mut world, &mut choices),
            11 => world.now += choices.time(),
            12 | 13 => world.timeout(),
            14 => application(&mut world, &mut choices),
            _ => icmp(&mut world, &mut choices),
        }
        world.work();
    }
}

/// Any bytes, from any place.
fn raw(world: &mut World, choices: &mut Choices<'_>) {
    let (from, bytes) = (choices.address(&places()), choices.bytes());
    world.receive(usize::from(choices.byte() % 8), from, bytes);
}

/// A message of any method, with any attributes.
fn half_valid(world: &mut World, choices: &mut Choices<'_>) {
    let class = choices.of(&[
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ]);
    let mut message = Builder::new(class, choices.of(&Method::ALL), [choices.byte(); 12]);
    if let (Some(cookie), true) = (&world.cookie, choices.flag()) {
        message = message.nonce(cookie);
    }
    let mut message = message.finish();
    for _ in 0..choices.byte() % 6 {
        append(&mut message, choices);
    }
    let from = choices.address(&places());
    world.receive(0, from, &message);
}

/// A probe under the keys of an attempt: a request or an indication.
fn probe(world: &mut World, choices: &mut Choices<'_>) {
    let Some(keys) = world.keys(choices) else {
        return;
    };
    let class = choices.of(&[Class::Request, Class::Request, Class::Indication]);
    let mut message = Builder::new(class, Method::Probe, [choices.byte(); 12]);
    message = message.attempt(keys.attempt);
    if choices.flag() {
        message = message.use_candidate();
    }
    if choices.byte() > 200 {
        message = message.measure(choices.bytes());
    }
    let bytes = message.finish_authentic(&keys.outgoing);
    deliver(world, choices, &bytes, None);
}

/// The answer to a probe of the endpoint.
fn answer_probe(world: &mut World, choices: &mut Choices<'_>) {
    let (Some(keys), Some(sent)) = (world.keys(choices), world.probe(choices)) else {
        return;
    };
    let request = Message::parse(&sent.payload).expect("the endpoint's own message");
    let mut answer = Builder::success(&request).attempt(keys.attempt);
    if request.measure().is_some() || choices.byte() > 200 {
        answer = answer.measure(choices.bytes());
    }
    let bytes = answer.finish_authentic(&keys.outgoing);
    deliver(world, choices, &bytes, Some(sent.to));
}

/// Brings an authentic probe to the endpoint: from where it was sent to, from elsewhere, or by the
/// relay.
fn deliver(world: &mut World, choices: &mut Choices<'_>, bytes: &[u8], to: Option<SocketAddr>) {
    let from = match (to, choices.byte()) {
        (Some(to), 0..=200) => to,
        _ => choices.address(&places()),
    };
    if choices.byte() > 200 {
        // Through the relay, which says who sends it.
        let message = Builder::indication(Method::Data, [8; 12]).peer(from);
        let message = message.data(bytes).finish();
        return world.receive(0, SERVER, &message);
    }
    world.proved.insert(from.ip());
    world.receive(usize::from(choices.byte() % 4), from, bytes);
}

/// What the application does.
fn application(world: &mut World, choices: &mut Choices<'_>) {
    let peer = choices.of(&["bob", "eve", "carol"]);
    let now = world.now;
    let endpoint = &mut world.endpoint;
    match choices.byte() % 11 {
        0 => endpoint.call(now, peer),
        1 => endpoint.hang_up(peer),
        2 => endpoint.trust(peer, world::key_of(choices)),
        3 => endpoint.refresh(now),
        4 => endpoint.measure(now, peer),
        5 => endpoint.beat(now, peer),
        6 => endpoint.relay_send(now, choices.address(&places()), choices.bytes()),
        7 => endpoint.leave(now),
        8 => endpoint.describe(now, our_side(choices)),
        9 => endpoint.opened(now, choices.flag().then(|| choices.address(&places()))),
        _ => {
            let _ = (
                endpoint.heard(peer),
                endpoint.cause_so_far(peer),
                endpoint.mapped(),
            );
            let _ = (
                endpoint.probes_sent(),
                endpoint.forged(),
                endpoint.is_relaying(),
            );
        }
    }
}

fn icmp(world: &mut World, choices: &mut Choices<'_>) {
    let to = choices.address(&places());
    let error = IcmpError {
        socket: usize::from(choices.byte() % 4),
        to,
        offender: choices.of(&places()).ip(),
        icmp: Icmp {
            kind: choices.of(&[3, 11, 1]),
            code: choices.byte() % 16,
        },
        quoted: choices.bytes(),
    };
    world.endpoint.handle_input(world.now, Input::Icmp(error));
}

/// Any NAT, and what we may spend by default.
fn our_side(choices: &mut Choices<'_>) -> Option<Side> {
    Some(Side {
        limits: Limits::POLITE,
        ..side(choices)?
    })
}

fn side(choices: &mut Choices<'_>) -> Option<Side> {
    let mut bytes = [0; Side::LENGTH];
    let axis = |choices: &mut Choices<'_>| choices.of(&[0, 1, 2, 255]);
    bytes[0] = choices.of(&[1, 0, 255]);
    (bytes[1], bytes[2]) = (axis(choices), axis(choices));
    bytes[3] = u8::from(choices.byte() > 240);
    bytes[4] = choices.of(&[0, 1, 255]);
    bytes[5] = choices.byte() % 3;
    bytes[6..8].copy_from_slice(&(choices.short() % 64).to_be_bytes());
    bytes[8..10].copy_from_slice(&choices.short().to_be_bytes());
    for at in [10, 14, 18] {
        let limit = choices.of(&[300, 2000, 0, 1, u32::MAX]);
        bytes[at..at + 4].copy_from_slice(&limit.to_be_bytes());
    }
    (bytes[22], bytes[23]) = (choices.byte() & 1, choices.byte() & 1);
    Side::decode(&bytes)
}

/// What a peer seals: candidates, or any bytes.
fn payload(choices: &mut Choices<'_>) -> Vec<u8> {
    if choices.byte() > 220 {
        return choices.bytes().to_vec();
    }
    let list = |choices: &mut Choices<'_>, most: u8| {
        let count = choices.byte() % (most + 1);
        (0..count).map(|_| choices.address(&places())).collect()
    };
    let one = |choices: &mut Choices<'_>| choices.flag().then(|| choices.address(&places()));
    let candidates = Candidates {
        hosts: list(choices, 8),
        mapped: list(choices, 4),
        side: side(choices),
        base: choices.flag().then(|| choices.short()),
        ahead: choices.flag().then(|| choices.short()),
        relayed: one(choices),
        opened: one(choices),
        tcp: (choices.byte() > 220).then(|| Tcp {
            port: choices.short(),
            mapped: list(choices, 4),
        }),
        rtt: choices
            .flag()
            .then(|| Duration::from_millis(choices.short().into())),
        shares: choices.flag(),
        measuring: choices.flag(),
        tcp_too: (choices.byte() > 220).then(|| Tcp {
            port: choices.short(),
            mapped: list(choices, 4),
        }),
    };
    candidates.encode()
}

/// The key of the relay's credentials that [`World::answer`] gives.
fn relay_key() -> stun::IntegrityKey {
    turn::long_term_key("1:alice", "pinhole", "secret")
}
