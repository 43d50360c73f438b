//! Clients that flood the table of names, and what the owners of names notice.

mod client;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::drain;
use rendezvous_proto::server::{Config, Event, RATE, Server};
use session::identity::Identity;
use session::rotation::Rotation;
use session::work::{Search, Subject};
use stun::{Builder, Message, Method, code};

const SECOND: Duration = Duration::from_secs(1);

fn small_server(now: Instant, most_names: usize) -> Server {
    let config = Config {
        addresses: vec!["203.0.113.1:8848".parse().unwrap()],
        secret: [9; 32],
        rate: RATE,
        most_names,
    };
    Server::new(config, now)
}

/// A client with an address and a key.
struct Host {
    from: SocketAddr,
    key: Identity,
    sequence: u64,
    /// Hashes that it has made.
    worked: u64,
}

/// What a registration brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcome {
    error: Option<u16>,
    last_sequence: Option<u64>,
}

const ACCEPTED: Outcome = Outcome {
    error: None,
    last_sequence: None,
};

fn refused(code: u16) -> Outcome {
    Outcome {
        error: Some(code),
        last_sequence: None,
    }
}

impl Host {
    fn new(from: &str, key: u8) -> Self {
        Host {
            from: from.parse().unwrap(),
            key: Identity::from_secret(&[key; 32]),
            sequence: 0,
            worked: 0,
        }
    }

    /// The answer to a request, which is never longer.
    fn ask(&self, server: &mut Server, now: Instant, request: &[u8]) -> Vec<u8> {
        server.handle_datagram(now, 0, self.from, request);
        let mut answers = drain(server);
        assert_eq!(answers.len(), 1, "{answers:?}");
        let answer = answers.remove(0).payload;
        assert!(answer.len() <= request.len());
        answer
    }

    fn cookie(&self, server: &mut Server, now: Instant) -> Vec<u8> {
        let hello = Builder::request(Method::Register, [1; 12]).pad_to(640);
        let answer = self.ask(server, now, &hello.finish());
        let answer = Message::parse(&answer).unwrap();
        answer.nonce().unwrap().to_vec()
    }

    fn request(
        &mut self,
        cookie: &[u8],
        name: &str,
        fill: impl FnOnce(Builder) -> Builder,
    ) -> Vec<u8> {
        self.sequence += 1;
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&self.sequence.to_be_bytes());
        let request = Builder::request(Method::Register, transaction)
            .nonce(cookie)
            .name(name)
            .public_key(&self.key.public())
            .sequence(self.sequence)
            .fresh(&[5; 8]);
        fill(request)
            .sign(|part| self.key.sign(part))
            .pad_to(640)
            .finish()
    }

    /// Registers without a proof of work.
    fn try_register(
        &mut self,
        server: &mut Server,
        now: Instant,
        name: &str,
        lifetime: u32,
    ) -> (Outcome, Option<(u8, Vec<u8>)>) {
        let cookie = self.cookie(server, now);
        let request = self.request(&cookie, name, |request| request.lifetime(lifetime));
        let answer = self.ask(server, now, &request);
        let answer = Message::parse(&answer).unwrap();
        let outcome = Outcome {
            error: answer.error(),
            last_sequence: answer.sequence(),
        };
        let work = answer.work_wanted().zip(answer.nonce().map(<[u8]>::to_vec));
        (outcome, work)
    }

    /// Registers, with a proof of work if one is wanted.
    fn register(&mut self, server: &mut Server, now: Instant, name: &str) -> Outcome {
        match self.try_register(server, now, name, 90) {
            (_, Some((bits, nonce))) => {
                let key = self.key.public();
                let subject = Subject {
                    nonce: &nonce,
                    name,
                    key: &key,
                };
                let mut search = Search::new(subject, bits);
                let proof = loop {
                    self.worked += 1024;
                    if let Some(proof) = search.step(1024) {
                        break proof;
                    }
                };
                let request =
                    self.request(&nonce, name, |request| request.lifetime(90).work(&proof));
                let answer = self.ask(server, now, &request);
                let answer = Message::parse(&answer).unwrap();
                Outcome {
                    error: answer.error(),
                    last_sequence: answer.sequence(),
                }
            }
            (outcome, None) => outcome,
        }
    }
}

/// The attack that took a held name away within two minutes.
#[test]
fn names_that_are_given_back_before_they_were_there_push_nobody_out() {
    let start = Instant::now();
    let mut server = small_server(start, 1000);
    let mut alice = Host::new("203.0.113.17:40000", 1);
    assert_eq!(alice.register(&mut server, start, "alice"), ACCEPTED);
    // She is away: her name is held for a day. Two minutes of the flood.
    let mut flood = Host::new("198.51.100.9:40000", 2);
    for second in 0..115 {
        let now = start + Duration::from_secs(100 + second);
        let cookie = flood.cookie(&mut server, now);
        for n in 0..20 {
            let name = format!("x{second}-{n}");
            let request = flood.request(&cookie, &name, |request| request.lifetime(0));
            let answer = flood.ask(&mut server, now, &request);
            assert_eq!(Message::parse(&answer).unwrap().error(), None);
        }
    }
    let later = start + Duration::from_secs(220);
    let mut thief = Host::new("198.51.100.10:40000", 3);
    let taken = thief.register(&mut server, later, "alice");
    assert_eq!(taken, refused(code::NAME_TAKEN));
    assert_eq!(alice.register(&mut server, later, "alice"), ACCEPTED);
    assert_eq!(alice.worked, 0);
}

/// The attack after which newcomers got 508 and names that had lapsed were taken.
#[test]
fn two_networks_that_fill_the_table_keep_nobody_else_out_and_take_no_name() {
    const MOST: usize = 200;
    let start = Instant::now();
    let mut server = small_server(start, MOST);
    let mut alice = Host::new("203.0.113.17:40000", 1);
    assert_eq!(alice.register(&mut server, start, "alice"), ACCEPTED);
    let mut floods = [
        Host::new("198.51.100.9:40000", 2),
        Host::new("192.0.2.9:40000", 3),
    ];
    let mut now = start + Duration::from_secs(200);
    for flood in &mut floods {
        for n in 0..MOST {
            now += SECOND / 100;
            let (outcome, work) =
                flood.try_register(&mut server, now, &format!("{}-{n}", flood.from.ip()), 90);
            match work {
                Some((bits, _)) => assert!((14..=20).contains(&bits), "{bits}"),
                None => assert_eq!(outcome, ACCEPTED),
            }
        }
    }
    // Without a proof of work each gets its share of the table, and no more.
    assert!(
        server.registered(now) <= 2 * 16 + 1,
        "{}",
        server.registered(now)
    );
    let mut bob = Host::new("203.0.114.17:40000", 4);
    assert_eq!(bob.register(&mut server, now, "bob"), ACCEPTED);
    assert_eq!(
        bob.worked, 0,
        "a newcomer of a small network pays nothing yet"
    );
    let taken = floods[0].register(&mut server, now, "alice");
    assert_eq!(taken, refused(code::NAME_TAKEN));
    assert_eq!(alice.register(&mut server, now, "alice"), ACCEPTED);
}

#[test]
fn a_table_that_is_full_by_work_has_room_for_a_newcomer_and_no_bound_name_ever_works() {
    const MOST: usize = 24;
    let start = Instant::now();
    let mut server = small_server(start, MOST);
    let mut alice = Host::new("203.0.113.17:40000", 1);
    assert_eq!(alice.register(&mut server, start, "alice"), ACCEPTED);
    let mut now = start + Duration::from_secs(200);
    let mut flood = Host::new("198.51.100.9:40000", 2);
    for n in 0..MOST {
        let outcome = flood.register(&mut server, now, &n.to_string());
        let expected = match n + 1 < MOST {
            true => ACCEPTED,
            false => refused(code::INSUFFICIENT_CAPACITY),
        };
        assert_eq!(outcome, expected, "{n}");
    }
    assert!(flood.worked > 8 << 12, "{}", flood.worked);
    // A newcomer pays once, with work, and gets the place of a name of the flood.
    now += SECOND;
    let mut bob = Host::new("203.0.114.17:40000", 4);
    assert_eq!(bob.register(&mut server, now, "bob"), ACCEPTED);
    assert!(bob.worked > 0);
    let worked = bob.worked;
    for second in 1..100 {
        let now = now + SECOND * second;
        assert_eq!(bob.register(&mut server, now, "bob"), ACCEPTED);
    }
    assert_eq!(bob.worked, worked);
    assert_eq!(alice.register(&mut server, now, "alice"), ACCEPTED);
    assert_eq!(alice.worked, 0, "her name was held all the time");
    let lost = flood.register(&mut server, now, "22");
    assert_eq!(
        lost,
        refused(code::INSUFFICIENT_CAPACITY),
        "it was the last that came"
    );
}

#[test]
fn a_flood_from_many_networks_pushes_out_no_name_of_a_network_that_has_one() {
    const MOST: usize = 64;
    let start = Instant::now();
    let mut server = small_server(start, MOST);
    let mut alice = Host::new("203.0.113.17:40000", 1);
    assert_eq!(alice.register(&mut server, start, "alice"), ACCEPTED);
    let now = start + Duration::from_secs(200);
    let mut accepted = 0;
    for n in 0..40u8 {
        let mut flood = Host::new(&format!("198.51.{n}.9:40000"), 2);
        for m in 0..3 {
            let (outcome, _) = flood.try_register(&mut server, now, &format!("{n}-{m}"), 90);
            accepted += u32::from(outcome == ACCEPTED);
        }
    }
    assert_eq!(
        accepted, 47,
        "three quarters of the table are free of charge"
    );
    let taken = Host::new("198.51.1.10:40000", 3).register(&mut server, now, "alice");
    assert_eq!(taken, refused(code::NAME_TAKEN));
    assert_eq!(alice.register(&mut server, now, "alice"), ACCEPTED);
}

#[test]
fn a_proof_of_work_is_of_one_address_and_its_difficulty_is_checked() {
    let now = Instant::now();
    let mut server = small_server(now, 2);
    for n in 1..3u8 {
        let mut host = Host::new(&format!("203.0.{n}.17:40000"), n);
        let _ = host.register(&mut server, now, &format!("peer-{n}"));
    }
    let mut carol = Host::new("203.0.3.17:40000", 9);
    let mut dave = Host::new("203.0.4.17:40000", 9);
    let (_, work) = carol.try_register(&mut server, now, "carol", 90);
    // Each of the two has one name, so nobody makes room.
    assert_eq!(work, None);
    let mut server = small_server(now, 4);
    for n in 1..4u8 {
        let mut host = Host::new(&format!("203.0.{n}.17:40000"), n);
        assert_eq!(
            host.register(&mut server, now, &format!("peer-{n}")),
            ACCEPTED
        );
    }
    let (outcome, work) = carol.try_register(&mut server, now, "carol", 90);
    assert_eq!(outcome, refused(code::WORK_REQUIRED));
    let (bits, nonce) = work.unwrap();
    let key = carol.key.public();
    let subject = Subject {
        nonce: &nonce,
        name: "carol",
        key: &key,
    };
    let error_of = |answer: Vec<u8>| Message::parse(&answer).unwrap().error();
    // One that was not worked for.
    let cheap = (0u64..)
        .map(u64::to_be_bytes)
        .find(|proof| subject.shown_by(*proof) == 3)
        .unwrap();
    let request = carol.request(&nonce, "carol", |request| request.work(&cheap));
    assert_eq!(
        error_of(carol.ask(&mut server, now, &request)),
        Some(code::WORK_REQUIRED)
    );
    let proof = Search::new(subject, bits).step(u32::MAX).unwrap();
    // The same from elsewhere, and for another name.
    let request = dave.request(&nonce, "carol", |request| request.work(&proof));
    assert_eq!(
        error_of(dave.ask(&mut server, now, &request)),
        Some(code::STALE_NONCE)
    );
    let request = carol.request(&nonce, "caroline", |request| request.work(&proof));
    assert_eq!(
        error_of(carol.ask(&mut server, now, &request)),
        Some(code::WORK_REQUIRED)
    );
    let request = carol.request(&nonce, "carol", |request| request.work(&proof));
    assert_eq!(error_of(carol.ask(&mut server, now, &request)), None);
}

#[test]
fn a_new_key_is_handed_to_peers_with_the_signature_of_the_old_one() {
    let now = Instant::now();
    let mut server = small_server(now, 10);
    let mut old = Host::new("203.0.113.17:40000", 1);
    let mut new = Host::new("203.0.113.17:40001", 2);
    (old.sequence, new.sequence) = (100, 50);
    assert_eq!(old.register(&mut server, now, "alice"), ACCEPTED);
    let rotation = Rotation::new(&old.key, "alice", &new.key.public());
    let rotate = |new: &mut Host, server: &mut Server| {
        let cookie = new.cookie(server, now);
        let request = new.request(&cookie, "alice", |request| {
            request.rotation(rotation.as_bytes())
        });
        let answer = new.ask(server, now, &request);
        let answer = Message::parse(&answer).unwrap();
        (answer.error(), answer.sequence())
    };
    // SEQUENCE is that of the name, whatever its key: the new one is told it.
    assert_eq!(
        rotate(&mut new, &mut server),
        (Some(code::FORBIDDEN), Some(101))
    );
    new.sequence = 101;
    while server.poll_event().is_some() {}
    assert_eq!(rotate(&mut new, &mut server), (None, None));
    let event = server.poll_event();
    assert!(matches!(event, Some(Event::Rotated { .. })), "{event:?}");
    assert_eq!(server.poll_event(), None);
    new.sequence += 1;
    assert_eq!(rotate(&mut new, &mut server), (None, None));
    assert_eq!(server.poll_event(), None, "a refresh");
    assert_eq!(
        old.register(&mut server, now, "alice"),
        refused(code::NAME_TAKEN)
    );

    let bob = Host::new("203.0.114.17:40000", 3);
    let cookie = bob.cookie(&mut server, now);
    let lookup = Builder::request(Method::Lookup, [3; 12])
        .nonce(&cookie)
        .peer_name("alice");
    let answer = bob.ask(&mut server, now, &lookup.pad_to(640).finish());
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(answer.public_key(), Some(new.key.public()));
    let handed = answer.rotation().map(Rotation::from_bytes).unwrap();
    assert_eq!(handed, rotation);
}

#[test]
fn a_reserved_name_is_refused_to_other_keys_and_to_a_rotation() {
    let now = Instant::now();
    let mut alice = Host::new("203.0.113.17:40000", 1);
    let mut new = Host::new("203.0.113.17:40001", 2);
    let reserved = [("alice".to_owned(), alice.key.public())];
    let mut server = small_server(now, 10);
    server.set_reserved(now, reserved.into());
    assert_eq!(
        new.register(&mut server, now, "alice"),
        refused(code::NAME_TAKEN)
    );
    assert_eq!(alice.register(&mut server, now, "alice"), ACCEPTED);
    let rotation = Rotation::new(&alice.key, "alice", &new.key.public());
    let cookie = new.cookie(&mut server, now);
    let request = new.request(&cookie, "alice", |request| {
        request.rotation(rotation.as_bytes())
    });
    let answer = new.ask(&mut server, now, &request);
    let answer = Message::parse(&answer).unwrap();
    assert_eq!(
        (answer.error(), answer.sequence()),
        (Some(code::FORBIDDEN), None)
    );
}

#[test]
fn other_limits_are_for_what_comes_after_them() {
    let now = Instant::now();
    let mut server = small_server(now, 10);
    let mut alice = Host::new("203.0.113.17:40000", 1);
    assert_eq!(alice.register(&mut server, now, "alice"), ACCEPTED);
    server.set_limits(RATE, 1);
    let mut bob = Host::new("198.51.100.33:40000", 2);
    assert_ne!(bob.register(&mut server, now, "bob"), ACCEPTED);
    assert_eq!(alice.register(&mut server, now, "alice"), ACCEPTED);
    server.set_limits(RATE, 10);
    assert_eq!(bob.register(&mut server, now, "bob"), ACCEPTED);

    server.set_limits(3, 10);
    let binding = stun::binding_request([1; 12], None);
    let client = "192.0.2.1:1".parse().unwrap();
    let answered = (0..9).filter(|_| {
        server.handle_datagram(now, 0, client, &binding);
        !drain(&mut server).is_empty()
    });
    assert_eq!(answered.count(), 3);
}
