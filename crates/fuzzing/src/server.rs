//! The rendezvous with its relay: clients that send anything, forged and valid.

mod promises;
mod world;

use rendezvous_proto::server::Server;
use sansio::{IcmpError, Input, Protocol};
use session::credentials::Credentials;
use stun::{Attribute, Builder, Class, Icmp, Message, Method, turn};

use crate::input::{ATTRIBUTES, Choices, append, at};
use world::{CLIENTS, FRESH, NAMES, REALM, World};

/// All of the server.
pub(crate) fn rendezvous(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::new();
    // Registered clients, or nothing yet.
    let registered = usize::from(choices.byte()) % 4;
    for (from, name) in NAMES.into_iter().enumerate().take(registered) {
        first_register(&mut world, from);
        let request = world.signed(from, name, Method::Register, 0, 640, |request| {
            request.lifetime(90).fresh(&FRESH)
        });
        world.datagram(from, 0, &request);
    }
    let mut steps = 0;
    while !choices.is_empty() && steps < 200 {
        steps += 1;
        match choices.byte() % 20 {
            0 => raw(&mut world, &mut choices),
            1 => half_valid(&mut world, &mut choices),
            2 => hello(&mut world, &mut choices),
            3 | 4 => register(&mut world, &mut choices),
            5 => look_up(&mut world, &mut choices),
            6 | 7 => connect(&mut world, &mut choices),
            8 | 9 => answer_notify(&mut world, &mut choices),
            10 => binding(&mut world, &mut choices),
            11 => icmp(&mut world, &mut choices),
            12 => stream(&mut world, &mut choices),
            13 => connect_again(&mut world, &mut choices),
            step => traffic(&mut world, &mut choices, step),
        }
        world.check_tables();
    }
}

/// The relay alone: clients with credentials, and peers.
pub(crate) fn relay(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut world = World::new();
    if choices.byte() < 200 {
        allocate(&mut world);
    }
    let mut steps = 0;
    while !choices.is_empty() && steps < 200 {
        steps += 1;
        let step = choices.byte();
        traffic(&mut world, &mut choices, step);
        world.check_tables();
    }
}

/// Time, and what concerns the relay.
fn traffic(world: &mut World, choices: &mut Choices<'_>, step: u8) {
    match step % 10 {
        0 => world.timeout(),
        1 => {
            world.now += choices.time();
            world.opens = choices.byte() < 200;
        }
        2 => permit_and_send(world, choices),
        3 | 4 => turn_request(world, choices),
        5 => send_indication(world, choices),
        6 => channel_data(world, choices),
        7 | 8 => peer_sends(world, choices),
        _ => half_valid(world, choices),
    }
}

/// One of the first three, mostly: others share no name and no allocation with them.
fn client(choices: &mut Choices<'_>) -> usize {
    match usize::from(choices.byte()) {
        usual @ 0..200 => usual % 3,
        other => other % CLIENTS.len(),
    }
}

/// The client's own name, mostly.
fn name(choices: &mut Choices<'_>, client: usize) -> &'static str {
    match usize::from(choices.byte()) {
        0..200 => NAMES[client % NAMES.len()],
        other => NAMES[other % NAMES.len()],
    }
}

fn socket(choices: &mut Choices<'_>) -> usize {
    usize::from(choices.byte()) % 4
}

fn raw(world: &mut World, choices: &mut Choices<'_>) {
    let (from, socket, bytes) = (client(choices), socket(choices), choices.bytes());
    world.datagram(from, socket, bytes);
}

/// A message of any method and class, with any attributes, and with the cookie of its client.
fn half_valid(world: &mut World, choices: &mut Choices<'_>) {
    let from = client(choices);
    let class = choices.of(&[
        Class::Request,
        Class::Request,
        Class::Indication,
        Class::Success,
        Class::Error,
    ]);
    let method = choices.of(&Method::ALL);
    let mut message = Builder::new(class, method, [choices.byte(); 12]);
    let cookie = match method.is_turn() {
        true => world.clients[from].nonce.clone(),
        false => world.clients[from].cookie.clone(),
    };
    if let (Some(cookie), true) = (cookie, choices.flag()) {
        message = message.nonce(&cookie);
    }
    let mut message = message.pad_to(usize::from(choices.short()) % 700).finish();
    for _ in 0..choices.byte() % 5 {
        append(&mut message, choices);
    }
    let socket = socket(choices);
    world.datagram(from, socket, &message);
}

/// A first Register, which gets a cookie.
fn hello(world: &mut World, choices: &mut Choices<'_>) {
    let from = client(choices);
    first_register(world, from);
}

fn first_register(world: &mut World, from: usize) {
    let request = Builder::request(Method::Register, world.transaction());
    world.datagram(from, 0, &request.pad_to(300).finish());
}

fn register(world: &mut World, choices: &mut Choices<'_>) {
    let from = client(choices);
    let name = name(choices, from);
    if world.clients[from].cookie.is_none() {
        first_register(world, from);
    }
    let lifetime = choices.of(&[90, 90, 90, 0]);
    let extras = choices.byte();
    // The key of another client leads to this one's.
    let rotation = (extras > 200).then(|| world.rotation(client(choices), from, name));
    let ahead = u64::from(choices.byte());
    let pad = choices.of(&[640, 640, 640, 0, 300, 1200]);
    let request = world.signed(from, name, Method::Register, ahead, pad, |request| {
        let mut request = request.lifetime(lifetime).fresh(&FRESH);
        if extras & 1 != 0 {
            request = request.relay(&[]);
        }
        if extras & 2 != 0 {
            request = request.ask_proof();
        }
        match rotation {
            Some(rotation) => request.rotation(rotation.as_bytes()),
            None => request,
        }
    });
    world.datagram(from, 0, &request);
}

fn look_up(world: &mut World, choices: &mut Choices<'_>) {
    let (from, name) = (client(choices), choices.of(&NAMES));
    let mut request = Builder::request(Method::Lookup, world.transaction()).peer_name(name);
    if let Some(cookie) = &world.clients[from].cookie {
        request = request.nonce(cookie);
    }
    if choices.flag() {
        request = request.ask_proof();
    }
    let request = request.pad_to(choices.of(&[0, 200, 640])).finish();
    world.datagram(from, 0, &request);
}

fn connect(world: &mut World, choices: &mut Choices<'_>) {
    let (from, peer) = (client(choices), choices.of(&NAMES));
    let name = name(choices, from);
    let proof = choices.flag();
    let ahead = u64::from(choices.byte());
    let pad = choices.of(&[640, 640, 0, 300, 1200]);
    let seal = choices.bytes();
    let request = world.signed(from, name, Method::Connect, ahead, pad, |request| {
        let request = request.peer_name(peer).fresh(&FRESH).seal(seal);
        if proof { request.ask_proof() } else { request }
    });
    world.last_connect = Some((from, request.clone()));
    world.datagram(from, 0, &request);
}

/// The last Connect again, or a short one with its transaction id.
fn connect_again(world: &mut World, choices: &mut Choices<'_>) {
    let Some((from, whole)) = world.last_connect.clone() else {
        return;
    };
    let request = Message::parse(&whole).expect("a request of ours");
    let short = Builder::request(Method::Connect, request.transaction()).finish();
    let bytes = if choices.flag() { short } else { whole };
    world.datagram(from, 0, &bytes);
}

/// The answer of a callee to the oldest Notify.
fn answer_notify(world: &mut World, choices: &mut Choices<'_>) {
    let Some((to, notify)) = world.notified.pop_front() else {
        return;
    };
    let notify = Message::parse(&notify).expect("the server's own message");
    let answer = match choices.byte() {
        0..200 => Builder::success(&notify).seal(choices.bytes()),
        200..230 => Builder::error(&notify, 403),
        _ => Builder::success(&notify),
    };
    // Sometimes another client answers, in the name of the callee.
    let from = if choices.byte() < 230 {
        to
    } else {
        client(choices)
    };
    world.datagram(from, 0, &answer.finish());
}

fn binding(world: &mut World, choices: &mut Choices<'_>) {
    let (from, socket) = (client(choices), socket(choices));
    let mut request = Builder::request(Method::Binding, [choices.byte(); 12]);
    let what = choices.byte();
    if what & 1 != 0 {
        request = request.raw(Attribute::ChangeRequest, &[0, 0, 0, choices.byte()]);
    }
    if what & 2 != 0 {
        request = request.raw(Attribute::ResponsePort, &choices.short().to_be_bytes());
    }
    if what & 4 != 0 {
        request = request.bounced(&[[choices.byte(); 12], [choices.byte(); 12]]);
    }
    world.datagram(from, socket, &request.finish());
}

/// An ICMP error: nothing is sent because of it.
fn icmp(world: &mut World, choices: &mut Choices<'_>) {
    let to = at(CLIENTS[client(choices)]);
    let error = IcmpError {
        socket: socket(choices),
        to,
        offender: to.ip(),
        icmp: Icmp {
            kind: choices.byte(),
            code: choices.byte(),
        },
        quoted: choices.bytes(),
    };
    let now = world.now;
    world.server.handle_input(now, Input::Icmp(error));
    assert!(
        world.server.poll_transmit().is_none(),
        "an answer to an ICMP error"
    );
}

/// A TCP connection opens, sends something, or ends.
fn stream(world: &mut World, choices: &mut Choices<'_>) {
    let now = world.now;
    let which = usize::from(choices.byte());
    match choices.byte() % 8 {
        0 | 1 => {
            let from = at(CLIENTS[client(choices)]);
            let socket = socket(choices);
            let stream = world.server.stream_opened(now, socket, from);
            world.streams.push(stream);
        }
        _ if world.streams.is_empty() => {}
        2 => {
            let stream = world.streams.swap_remove(which % world.streams.len());
            world.server.stream_closed(stream);
        }
        step => {
            let stream = world.streams[which % world.streams.len()];
            let request = stun::binding_request([choices.byte(); 12], None);
            let bytes = match step {
                3 => choices.bytes(),
                4 => &request[..usize::from(choices.byte()).min(request.len())],
                _ => &request,
            };
            if let Some(answers) = world.server.stream_received(now, stream, bytes) {
                // What came before may complete a message.
                let most = 1 + bytes.len() / 20;
                assert!(answers.len() <= most * promises::BINDING_ANSWER);
            }
        }
    }
    while let Some(closed) = world.server.poll_closed_stream() {
        world.streams.retain(|stream| *stream != closed);
    }
    assert!(world.streams.len() <= world::MOST_STREAMS);
    assert!(world.server.poll_transmit().is_none(), "by UDP");
}

fn turn_request(world: &mut World, choices: &mut Choices<'_>) {
    let from = client(choices);
    let name = name(choices, from);
    let method = choices.of(&[
        Method::Allocate,
        Method::Allocate,
        Method::Refresh,
        Method::CreatePermission,
        Method::ChannelBind,
    ]);
    let transaction = match choices.byte() {
        255 => [7; 12],
        _ => world.transaction(),
    };
    let mut request = Builder::request(method, transaction);
    request = match method {
        Method::Allocate => request.udp(),
        Method::Refresh => request.lifetime(choices.of(&[600, 0, 5000])),
        Method::CreatePermission => request.peer(world.peer(choices)),
        _ => {
            let channel = choices.of(&[0x4000_u16, 0x4000, 0x4001, 0x4fff, 0x5000]);
            let value = [channel.to_be_bytes(), [0; 2]].concat();
            let request = request.raw(Attribute::ChannelNumber, &value);
            request.peer(world.peer(choices))
        }
    };
    if choices.byte() > 230 {
        let attribute = choices.of(&ATTRIBUTES);
        request = request.raw(attribute, choices.bytes());
    }
    authenticated(world, from, name, request);
}

/// Sends a request with the credentials of this name. A client without a nonce gets one first.
fn authenticated(world: &mut World, from: usize, name: &str, request: Builder) {
    if world.clients[from].nonce.is_none() {
        let first = Builder::request(Method::Allocate, world.transaction()).udp();
        world.datagram(from, 0, &first.finish());
    }
    let now = world.now;
    let address = at(CLIENTS[from]);
    let granted = relaying(&mut world.server).credentials(now, name, address);
    let Credentials { username, password } = granted.credentials;
    let nonce = world.clients[from].nonce.clone().unwrap_or_default();
    let key = turn::long_term_key(&username, REALM, &password);
    let request = request.username(&username).realm(REALM).nonce(&nonce);
    world.datagram(from, 0, &request.finish_long_term(&key));
}

/// Two clients have allocations, each with a permission for the first peer, and one has a channel.
fn allocate(world: &mut World) {
    let peer = at("192.0.2.1:5000");
    for (from, name) in NAMES.into_iter().enumerate().take(2) {
        let request = Builder::request(Method::Allocate, world.transaction()).udp();
        authenticated(world, from, name, request);
        let request = Builder::request(Method::CreatePermission, world.transaction());
        authenticated(world, from, name, request.peer(peer));
    }
    let request = Builder::request(Method::ChannelBind, world.transaction());
    authenticated(world, 0, NAMES[0], request.channel(0x4000).peer(peer));
}

/// A permission for a peer, which may be refused, and data for the same peer.
fn permit_and_send(world: &mut World, choices: &mut Choices<'_>) {
    let (from, peer) = (client(choices), world.peer(choices));
    let request = Builder::request(Method::CreatePermission, world.transaction());
    authenticated(world, from, NAMES[from % NAMES.len()], request.peer(peer));
    let message = Builder::indication(Method::Send, [9; 12]).peer(peer);
    world.datagram(from, 0, &message.data(choices.bytes()).finish());
}

fn send_indication(world: &mut World, choices: &mut Choices<'_>) {
    let (from, peer) = (client(choices), world.peer(choices));
    let message = Builder::indication(Method::Send, [9; 12]).peer(peer);
    world.datagram(from, 0, &message.data(choices.bytes()).finish());
}

fn channel_data(world: &mut World, choices: &mut Choices<'_>) {
    let from = client(choices);
    let channel = choices.of(&[0x4000, 0x4000, 0x4001, 0x4fff, 0x4002]);
    let data = turn::to_channel(channel, choices.bytes()).expect("at most 2048 bytes");
    world.datagram(from, 0, &data);
}

fn peer_sends(world: &mut World, choices: &mut Choices<'_>) {
    let port = world.port(choices);
    let from = world.peer(choices);
    let payload = choices.bytes();
    let now = world.now;
    relaying(&mut world.server).handle_relayed(now, port, from, payload);
    world.work(Some((from, payload.len())));
}

pub(crate) fn relaying(server: &mut Server) -> &mut rendezvous_proto::relay::Relay {
    server.relaying().expect("this server has a relay")
}
