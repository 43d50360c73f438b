//! A rendezvous that lies, and strangers that call all the time: whom our packets go
//! to, how many they are, and that friends do not notice.

mod world;

use std::time::Duration;

use nat::plan::{Limits, Side};
use peer_proto::candidate::Candidates;
use peer_proto::endpoint::{Config, Event, Strangers, Wish};
use peer_proto::relay;
use session::identity::Identity;
use sim::Profile;
use stun::{Message, Method, code};
use world::liar::{Answer, Caller, Liar};
use world::{Setup, World, at};

const VICTIM: &str = "198.51.100.7";
const SECOND: Duration = Duration::from_secs(1);

fn side(name: &str) -> Option<Side> {
    Some(Profile::named(name).unwrap().side(Limits::POLITE))
}

/// It says that it is at the victim's address, that its NAT is one for which ports are
/// guessed, that it does not remap, and names private addresses.
fn aims(caller: Caller) -> Caller {
    let mut caller = caller.at(&format!("{VICTIM}:40000"));
    caller.says = Candidates {
        hosts: (1..9).map(|n| at(&format!("10.0.0.{n}:22"))).collect(),
        mapped: vec![at(&caller.address)],
        side: side("symmetric"),
        ..Candidates::default()
    };
    caller
}

/// Calls of this caller, and `others` before each: those that were accepted at once.
fn calls_beside(liar: &mut Liar, friend: &Caller, others: &[Caller]) -> usize {
    let mut accepted = 0;
    for n in 0..600 {
        liar.invite(&others[n % others.len()]);
        liar.pass(SECOND / 20);
        if n % 100 == 99 {
            let call = liar.invite(friend);
            accepted += usize::from(liar.accepted(call));
        }
    }
    accepted
}

fn friend() -> Caller {
    Caller {
        name: "alice".into(),
        ..Caller::number(0)
    }
}

fn knows(config: &mut Config, caller: &Caller) {
    let key = caller.key.public();
    config.known.insert(caller.name.clone(), key);
}

fn chat(config: &mut Config) {
    config.most_attempts = 16;
}

#[test]
fn a_stranger_gets_one_opener_and_four_probes_wherever_it_says_that_it_is() {
    let mut liar = Liar::new(|_| {}, side("port-restricted"));
    let call = liar.invite(&aims(Caller::number(1)));
    liar.pass(60 * SECOND);
    assert_eq!(liar.sent_to(VICTIM), 5, "{:?}", liar.sent);
    assert_eq!(liar.sent.len(), 5, "private addresses: {:?}", liar.sent);
    let Some(Answer::Accepted(told)) = liar.answer(call) else {
        panic!("{:?}", liar.answers);
    };
    assert!(told.hosts.is_empty(), "it was told {:?}", told.hosts);
    assert_eq!(told.side.unwrap().limits, Limits::NOTHING);
}

#[test]
fn control_a_known_peer_is_told_everything_and_ports_are_guessed_for_it() {
    let caller = aims(friend());
    let mut liar = Liar::new(|config| knows(config, &caller), side("port-restricted"));
    let call = liar.invite(&caller);
    liar.pass(60 * SECOND);
    let Some(Answer::Accepted(told)) = liar.answer(call) else {
        panic!("{:?}", liar.answers);
    };
    assert_eq!(told.hosts, [at("192.168.2.2:42000")]);
    assert_eq!(told.side.unwrap().limits, Limits::POLITE);
    assert!((1900..2100).contains(&liar.sent_to(VICTIM)));
    assert_eq!(liar.sent_to("10.0.0.1"), 9);
}

#[test]
fn nothing_is_guessed_where_a_known_peer_says_that_it_is_elsewhere() {
    let mut caller = aims(friend());
    caller.says.mapped = vec![at("203.0.113.17:40000")];
    let mut liar = Liar::new(|config| knows(config, &caller), side("port-restricted"));
    liar.invite(&caller);
    liar.pass(60 * SECOND);
    assert_eq!(liar.sent_to(VICTIM), 10);
}

/// Friends that are known, as many as asked for.
fn friends(count: u32) -> Vec<Caller> {
    let friend = |n| Caller {
        name: format!("friend{n}"),
        ..Caller::number(n)
    };
    (1..=count).map(friend).collect()
}

#[test]
fn all_attempts_share_a_budget_and_one_address_has_a_bound_for_friends_too() {
    // A rendezvous that has lied to the friends, too.
    let friends: Vec<Caller> = friends(16).into_iter().map(aims).collect();
    let change = |config: &mut Config| {
        chat(config);
        for friend in &friends {
            knows(config, friend);
        }
    };
    let mut liar = Liar::new(change, side("port-restricted"));
    let start = liar.now;
    for _ in 0..4 {
        for friend in &friends {
            liar.invite(friend);
        }
        liar.pass(15 * SECOND);
    }
    let a_minute = 600 + 2 * 2000;
    let sent = liar.sent_to(VICTIM);
    assert!((4000..=2 * a_minute).contains(&sent), "{sent} in a minute");
    // 500 and 200 a second, of which two seconds' worth may be saved.
    for second in 0..60 {
        let from = start + SECOND * second;
        let within = |at| (from..from + SECOND).contains(&at);
        let sent = liar.sent.iter().filter(|(at, _)| within(*at)).count();
        assert!(sent <= 3 * 700, "{sent} in second {second}");
    }
}

#[test]
fn a_friend_that_calls_all_the_time_is_told_to_wait() {
    let friend = friend();
    let mut liar = Liar::new(|config| knows(config, &friend), side("port-restricted"));
    let calls: Vec<u32> = (0..100)
        .map(|_| {
            let call = liar.invite(&friend);
            liar.pass(SECOND / 20);
            call
        })
        .collect();
    let accepted = calls.iter().filter(|call| liar.accepted(**call)).count();
    assert!((8..=13).contains(&accepted), "{accepted} in five seconds");
    let busy = calls
        .iter()
        .filter(|n| liar.refused(**n) == Some(code::BUSY));
    assert_eq!(busy.count(), 100 - accepted);
}

#[test]
fn a_notification_of_a_friend_is_remembered_whatever_strangers_do() {
    let friend = friend();
    let change = |config: &mut Config| {
        chat(config);
        knows(config, &friend);
    };
    let mut liar = Liar::new(change, side("port-restricted"));
    let call = liar.invite(&friend);
    let answer = liar.answer_bytes(call);
    for n in 1..50 {
        liar.invite(&Caller::number(n << 8));
    }
    liar.again(call);
    assert_eq!(
        liar.answer_bytes(call),
        answer,
        "another answer is another attempt"
    );
}

#[test]
fn a_flood_of_strangers_makes_few_packets_to_one_address_or_to_many() {
    for everywhere in [false, true] {
        let mut liar = Liar::new(chat, side("port-restricted"));
        for n in 0..32 * 20 {
            let caller = match everywhere {
                true => Caller::number(n << 8),
                false => aims(Caller::number(n)),
            };
            liar.invite(&caller);
            liar.pass(SECOND / 32);
        }
        liar.pass(10 * SECOND);
        let (all, victim) = (liar.sent.len(), liar.sent_to(VICTIM));
        // Before, 32 strangers a second were 111 packets a second to one address.
        match everywhere {
            true => assert!((60..=48 * 5).contains(&all), "{all} in 20 s"),
            false => assert!((5..=6 * 5).contains(&victim) && all == victim, "{victim}"),
        }
    }
}

#[test]
fn a_friend_is_answered_at_once_whatever_strangers_do() {
    let one = vec![Caller::number(1)];
    let one_prefix: Vec<Caller> = (1..200).map(Caller::number).collect();
    let everywhere: Vec<Caller> = (1..600).map(|n| Caller::number(n << 8)).collect();
    for strangers in [one, one_prefix, everywhere] {
        let friend = friend();
        let change = |config: &mut Config| {
            chat(config);
            knows(config, &friend);
        };
        let mut liar = Liar::new(change, side("port-restricted"));
        assert_eq!(calls_beside(&mut liar, &friend, &strangers), 6);
        // Every stranger was told something.
        assert_eq!(liar.answers.len(), 606);
    }
}

#[test]
fn where_one_attempt_is_all_a_friend_takes_the_place_of_a_stranger() {
    let friend = friend();
    let mut liar = Liar::new(|config| knows(config, &friend), side("port-restricted"));
    let (stranger, other) = (Caller::number(1), Caller::number(2 << 8));
    let first = liar.invite(&stranger);
    assert!(liar.accepted(first));
    let second = liar.invite(&other);
    assert_eq!(liar.refused(second), Some(code::BUSY));
    let third = liar.invite(&friend);
    assert!(liar.accepted(third));
    let displaced =
        |event: &Event| matches!(event, Event::Displaced { peer } if *peer == stranger.name);
    assert!(liar.events.iter().any(displaced));
    let fourth = liar.invite(&stranger);
    assert_eq!(liar.refused(fourth), Some(code::BUSY), "not the reverse");
}

#[test]
fn one_network_has_half_of_the_strangers_share_and_one_address_one_attempt() {
    let mut liar = Liar::new(chat, side("port-restricted"));
    let neighbours = (1..=3).map(|n| Caller::number(n << 8 | n));
    let calls: Vec<u32> = neighbours
        .map(|caller| liar.invite(&caller.at("198.51.100.9:40000")))
        .collect();
    let accepted = |liar: &Liar, calls: &[u32]| {
        let accepted = calls.iter().filter(|call| liar.accepted(**call));
        accepted.count()
    };
    assert_eq!(accepted(&liar, &calls), 1);
    let network = [1, 2, 3].map(|n| {
        let caller = Caller::number(n << 8).at(&format!("198.51.100.{n}:40000"));
        liar.invite(&caller)
    });
    assert_eq!(accepted(&liar, &network), 1);
    let others = [5, 6, 7].map(|n| liar.invite(&Caller::number(n << 8)));
    assert_eq!(accepted(&liar, &others), 2);
}

#[test]
fn while_our_address_is_not_known_a_friend_waits_before_strangers() {
    let friend = friend();
    let change = |config: &mut Config| {
        chat(config);
        knows(config, &friend);
    };
    let mut liar = Liar::new(change, None);
    liar.roam();
    let strangers: Vec<u32> = (1..=40)
        .map(|n| liar.invite(&Caller::number(n << 8)))
        .collect();
    let calls: Vec<u32> = (0..3).map(|_| liar.invite(&friend)).collect();
    let refused = strangers
        .iter()
        .filter(|n| liar.refused(**n) == Some(code::BUSY));
    assert_eq!(refused.count(), 36, "those that do not wait are told");
    liar.is_silent = false;
    liar.pass(2 * SECOND);
    assert!(liar.accepted(calls[0]), "{:?}", liar.answers);
}

#[test]
fn sixteen_calls_wait_and_friends_take_the_places_of_strangers() {
    let friends = friends(3);
    let change = |config: &mut Config| {
        for friend in &friends {
            knows(config, friend);
        }
    };
    let mut liar = Liar::new(change, None);
    liar.roam();
    let strangers = [4, 5, 6, 7].map(|n| liar.invite(&Caller::number(n << 8)));
    let busy = |liar: &Liar, calls: &[u32]| {
        let refused = calls
            .iter()
            .filter(|n| liar.refused(**n) == Some(code::BUSY));
        refused.count()
    };
    assert_eq!(busy(&liar, &strangers), 0, "they wait");
    let calls: Vec<u32> = friends
        .iter()
        .flat_map(|friend| [friend; 8])
        .map(|friend| liar.invite(friend))
        .collect();
    assert_eq!(busy(&liar, &strangers), 4);
    assert_eq!(busy(&liar, &calls), 24 - 16);
}

#[test]
fn a_stranger_is_sent_nothing_before_the_user_has_accepted_it() {
    let change = |config: &mut Config| config.strangers = Strangers::Ask;
    let mut liar = Liar::new(change, side("port-restricted"));
    let caller = aims(Caller::number(1));
    let call = liar.invite(&caller);
    assert_eq!(liar.refused(call), Some(code::USER_ASKED));
    assert_eq!(liar.asked(), [("stranger1", caller.key.public())]);
    liar.pass(10 * SECOND);
    assert!(liar.sent.is_empty(), "{:?}", liar.sent);

    liar.peer.reject(caller.key.public());
    let call = liar.invite(&caller);
    assert_eq!(liar.refused(call), Some(code::USER_ASKED), "it is not told");
    assert_eq!(liar.asked().len(), 1, "and the user is not asked again");

    liar.peer.admit(&caller.name, caller.key.public());
    let call = liar.invite(&caller);
    assert!(liar.accepted(call));
    let mut thief = caller.clone();
    thief.key = Identity::from_secret(&[77; 32]);
    let call = liar.invite(&thief);
    assert_eq!(
        liar.refused(call),
        Some(code::FORBIDDEN),
        "the key is pinned"
    );
}

#[test]
fn the_user_is_asked_about_few_callers_however_many_call() {
    let change = |config: &mut Config| config.strangers = Strangers::Ask;
    let mut liar = Liar::new(change, side("port-restricted"));
    for n in 0..20 * 60 {
        liar.invite(&Caller::number(n << 8));
        liar.pass(SECOND / 20);
    }
    let asked = liar.asked().len();
    assert!((60..=130).contains(&asked), "{asked} in a minute");
    assert_eq!(liar.answers.len(), 1200);
}

#[test]
fn a_changed_key_is_reported_twice_and_not_at_each_call() {
    let friend = friend();
    let mut liar = Liar::new(|config| knows(config, &friend), side("port-restricted"));
    for n in 0..100u8 {
        let mut thief = friend.clone();
        thief.key = Identity::from_secret(&[n; 32]);
        let call = liar.invite(&thief);
        assert_eq!(liar.refused(call), Some(code::FORBIDDEN));
        liar.pass(SECOND / 20);
    }
    let changed = |event: &&Event| matches!(event, Event::KeyChanged { .. });
    assert_eq!(liar.events.iter().filter(changed).count(), 2);
    assert!(liar.sent.is_empty());
}

#[test]
fn a_name_that_cannot_be_registered_is_not_passed_on() {
    let change = |config: &mut Config| config.strangers = Strangers::Ask;
    let mut liar = Liar::new(change, side("port-restricted"));
    let mut caller = Caller::number(1);
    for name in ["\x1b[2Jbob", "a b", ""] {
        caller.name = name.into();
        liar.invite(&caller);
    }
    assert!(liar.answers.is_empty() && liar.asked().is_empty());
}

#[test]
fn a_stranger_gets_no_room_at_our_relay() {
    for from in [Some("alice"), None] {
        let mut world = World::new(1);
        let symmetric = || Profile::named("symmetric").unwrap();
        let home = world.router("203.0.113.33", symmetric());
        let bob = Setup {
            relay: Wish::Allowed,
            from,
            ..Setup::new("bob", "192.168.2.2:42000", None)
        };
        world.peer(home, 2, bob);
        // bob calls somebody, and so has a relayed address.
        let now = world.network.now();
        world.peers[0].endpoint.call(now, "carol");
        world.pass(SECOND);
        let home = world.router("203.0.113.17", symmetric());
        let alice = Setup {
            relay: Wish::Allowed,
            turn: Some(nowhere()),
            ..Setup::new("alice", "192.168.1.2:41000", Some("bob"))
        };
        world.peer(home, 1, alice);
        world.pass(10 * SECOND);
        let relayed = world.peers.iter().all(|peer| peer.path().is_some());
        assert_eq!(relayed, from.is_some(), "{:#?}", world.peers[1].events);
        let permits = world.peers[0].sent.iter().any(|(_, sent)| {
            Message::parse(&sent.payload)
                .is_ok_and(|message| message.method() == Method::CreatePermission)
        });
        assert_eq!(permits, from.is_some());
    }
}

/// A relay that does not answer.
fn nowhere() -> relay::Config {
    relay::Config {
        server: at("203.0.113.99:3478"),
        username: "alice".into(),
        password: "secret".into(),
        challenge: None,
    }
}

#[test]
fn each_key_each_address_and_each_network_has_a_rate_of_its_own() {
    let asked = |caller: &dyn Fn(u32) -> Caller| {
        let change = |config: &mut Config| config.strangers = Strangers::Ask;
        let mut liar = Liar::new(change, side("port-restricted"));
        for n in 0..10 * 60 {
            liar.invite(&caller(n));
            liar.pass(SECOND / 10);
        }
        liar.asked().len()
    };
    let elsewhere = |n: u32| Caller::number(n << 8).address;
    let of_one_key = asked(&|n| Caller::number(1).at(&elsewhere(n)));
    assert!((6..=8).contains(&of_one_key), "{of_one_key} in a minute");
    let at_one_address = asked(&|n| Caller::number(n).at("198.51.100.7:40000"));
    assert!((8..=10).contains(&at_one_address), "{at_one_address}");
    let of_one_network = asked(&|n| {
        let address = format!("198.51.100.{}:40000", n % 256);
        Caller::number(n).at(&address)
    });
    assert!((16..=18).contains(&of_one_network), "{of_one_network}");
}
