mod model;
mod rotations;

use std::net::SocketAddr;

use session::identity::Identity;
use session::name::LIFETIME;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A client of that network, 10.x.y.0/24.
fn client(network: u16) -> SocketAddr {
    let [high, low] = network.to_be_bytes();
    ([10, high, low, 17], 40000).into()
}

fn net(number: u16) -> Prefix {
    Prefix::of(client(number).ip())
}

/// A registration that is made now.
fn application(name: &str, key: u8, network: u16) -> Application<'_> {
    Application {
        name,
        sequence: 1,
        lifetime: LIFETIME,
        place: Place {
            key: [key; 32],
            at: FiveTuple {
                socket: 0,
                client: client(network),
            },
            cookie: [0; cookie::LENGTH],
            fresh: [0; 8],
            asks_proof: false,
        },
        rotation: None,
        work: MOST_BITS,
    }
}

fn ending(name: &str, key: u8, network: u16) -> Application<'_> {
    Application {
        lifetime: Duration::ZERO,
        sequence: 9,
        ..application(name, key, network)
    }
}

fn numbered(application: Application<'_>, sequence: u64) -> Application<'_> {
    Application {
        sequence,
        ..application
    }
}

/// Registers, and does not tell whether the key is another one.
fn try_register(
    registry: &mut Registry,
    now: Instant,
    application: Application<'_>,
) -> Result<(), Refusal> {
    registry.register(now, application).map(|_| ())
}

/// A table with these names, each with the network it is charged to.
fn table(most: usize, now: Instant, names: &[(&str, u16)]) -> Registry {
    let mut registry = Registry::new(most);
    for (name, network) in names {
        let new = application(name, 1, *network);
        assert_eq!(try_register(&mut registry, now, new), Ok(()), "{name}");
    }
    registry
}

#[test]
fn a_name_stays_bound_to_its_key_until_the_hold_is_over() {
    let mut registry = Registry::new(10);
    let start = Instant::now();
    let mut register = |at, sequence, key| {
        try_register(
            &mut registry,
            at,
            numbered(application("alice", key, 1), sequence),
        )
    };
    assert_eq!(register(start, 5, 1), Ok(()));
    assert_eq!(register(start, 9, 2), Err(Refusal::Taken));
    assert_eq!(register(start, 4, 1), Err(Refusal::Replayed));
    assert_eq!(register(start + HOLD, 5, 1), Ok(()), "the same again");
    assert_eq!(register(start, 6, 1), Ok(()));
    let expired = start + LIFETIME;
    assert_eq!(register(expired, 9, 2), Err(Refusal::Taken));
    assert_eq!(register(expired + HOLD, 1, 2), Ok(()));
    assert_eq!(registry.alive(expired), 1);
}

#[test]
fn a_registration_that_has_expired_is_not_found() {
    let start = Instant::now();
    let registry = table(10, start, &[("bob", 1)]);
    assert!(registry.find(start, "bob").is_some());
    assert!(registry.find(start + LIFETIME, "bob").is_none());
    let longer = "b".repeat(40);
    assert!(registry.find(start, &longer).is_none());
}

#[test]
fn a_full_table_of_one_network_forgets_the_name_that_ended_first_and_none_that_lives() {
    let start = Instant::now();
    let mut registry = table(2, start, &[("b", 1)]);
    assert_eq!(
        try_register(&mut registry, start + SECOND, application("a", 1, 1)),
        Ok(())
    );
    let later = start + LIFETIME + SECOND;
    let mut register = |at, application| try_register(&mut registry, at, numbered(application, 2));
    assert_eq!(
        register(start + SECOND, application("c", 3, 1)),
        Err(Refusal::Full)
    );
    assert_eq!(register(later, application("c", 3, 1)), Ok(()));
    assert_eq!(register(later, application("a", 9, 1)), Err(Refusal::Taken));
    assert_eq!(
        register(later, application("a", 1, 1)),
        Ok(()),
        "it is alive again"
    );
    assert_eq!(register(later, application("b", 2, 1)), Err(Refusal::Full));
}

#[test]
fn nothing_is_kept_of_a_name_that_ends_before_it_was_there() {
    let start = Instant::now();
    let mut registry = table(3, start, &[("alice", 1)]);
    for n in 0..1000 {
        let name = n.to_string();
        assert_eq!(
            try_register(&mut registry, start, ending(&name, 2, 2)),
            Ok(())
        );
    }
    assert_eq!(
        (registry.names.len(), registry.names.charged_to(&net(2))),
        (1, 0)
    );
    assert_eq!(registry.new_names.rate(start, &net(2)), Rate::Within);
}

#[test]
fn the_network_with_the_most_names_pays_first_with_what_ended_and_then_with_what_came_last() {
    let start = Instant::now();
    let names = [
        ("alice", 1),
        ("a", 2),
        ("b", 2),
        ("c", 2),
        ("d", 2),
        ("e", 2),
    ];
    let mut registry = table(6, start, &names);
    for name in ["c", "b"] {
        assert_eq!(
            try_register(&mut registry, start, ending(name, 1, 2)),
            Ok(())
        );
    }
    // alice is gone, and longer than all others.
    assert_eq!(
        try_register(&mut registry, start, ending("alice", 1, 1)),
        Ok(())
    );
    let mut gone = Vec::new();
    for new in 3..6 {
        let name = format!("new-{new}");
        assert_eq!(
            try_register(&mut registry, start, application(&name, 3, new)),
            Ok(())
        );
        let left = |name: &&(&str, u16)| registry.names.get(name.0).is_none();
        gone.push(
            names
                .iter()
                .filter(left)
                .map(|(name, _)| *name)
                .collect::<Vec<_>>(),
        );
        registry.names.check();
    }
    assert_eq!(gone, [vec!["c"], vec!["b", "c"], vec!["b", "c", "e"]]);
    // Now one has two names, and the others one: none of these is pushed out, and
    // one that has one already gets no second.
    let more = |registry: &mut Registry, network| {
        try_register(registry, start, application("more", 4, network))
    };
    assert_eq!(more(&mut registry, 5), Err(Refusal::Full));
    assert_eq!(more(&mut registry, 6), Ok(()));
    assert!(registry.names.get("d").is_none());
    let last = try_register(&mut registry, start, application("last", 4, 7));
    assert_eq!(last, Err(Refusal::Full), "all have one");
    assert!(registry.names.get("alice").is_some());
}

#[test]
fn an_owner_that_roams_is_charged_where_it_is_and_never_refused() {
    let start = Instant::now();
    let mut registry = table(3, start, &[("alice", 1), ("a", 2), ("b", 2)]);
    for _ in 0..5000 {
        registry.new_names.count(start, net(2));
    }
    let moved = numbered(application("alice", 1, 2), 2);
    assert_eq!(
        try_register(&mut registry, start, Application { work: 0, ..moved }),
        Ok(())
    );
    registry.names.check();
    let charged = [1, 2].map(|n| registry.names.charged_to(&net(n)));
    assert_eq!(charged, [0, 3]);
    // It came last to this network, so it is the first to go.
    assert_eq!(
        try_register(&mut registry, start, application("c", 3, 3)),
        Ok(())
    );
    assert!(registry.names.get("alice").is_none());
}

#[test]
fn a_network_has_a_rate_of_new_names_and_proofs_of_work_have_one_of_their_own() {
    let mut registry = Registry::new(1_000_000);
    let start = Instant::now();
    let mut new = |n: u32, work| {
        let name = n.to_string();
        let application = Application {
            work,
            ..application(&name, 1, 1)
        };
        try_register(&mut registry, start, application)
    };
    for n in 0..new_names::BURST {
        assert_eq!(new(n, 0), Ok(()));
    }
    assert_eq!(new(9000, 0), Err(Refusal::Work(MOST_BITS)));
    for n in 0..new_names::BURST {
        assert_eq!(new(1000 + n, MOST_BITS), Ok(()));
    }
    assert_eq!(new(9000, MOST_BITS), Err(Refusal::Full));
    assert_eq!(
        try_register(&mut registry, start, application("other", 1, 2)),
        Ok(())
    );
    // What is bound goes on.
    let refresh = numbered(application("5", 1, 1), 2);
    assert_eq!(try_register(&mut registry, start, refresh), Ok(()));
}

#[test]
fn a_new_name_costs_more_the_fuller_the_table_and_the_more_its_network_has() {
    let start = Instant::now();
    let wants = |registry: &mut Registry, network| {
        let new = Application {
            work: 0,
            ..application("another", 9, network)
        };
        let wants = registry.clone_names(|registry| try_register(registry, start, new.clone()));
        match wants {
            Ok(()) => 0,
            Err(Refusal::Work(bits)) => bits,
            refusal => panic!("{refusal:?}"),
        }
    };
    // 64 names in a table of 100: every network has less than its share.
    let mut registry = Registry::new(100);
    let mut by_number = Vec::new();
    for n in 0..=100u16 {
        by_number.push(wants(&mut registry, 1000));
        let name = n.to_string();
        let network = n.min(99) / 2;
        if n < 100 {
            let _ = try_register(&mut registry, start, application(&name, 1, network));
        }
    }
    assert!(
        by_number[..75].iter().all(|bits| *bits == 0),
        "{by_number:?}"
    );
    assert_eq!((by_number[75], by_number[100]), (LEAST_BITS, MOST_BITS));
    assert!(by_number.is_sorted(), "{by_number:?}");
    // One network has its share of 16, or more, of a table that is not full.
    let mut registry = Registry::new(1000);
    let mut by_share = Vec::new();
    for n in 0..64 {
        by_share.push(wants(&mut registry, 1));
        let name = n.to_string();
        assert_eq!(
            try_register(&mut registry, start, application(&name, 1, 1)),
            Ok(())
        );
    }
    assert!(by_share[..16].iter().all(|bits| *bits == 0), "{by_share:?}");
    assert_eq!(
        [by_share[16], by_share[32], by_share[63]],
        [LEAST_BITS, LEAST_BITS + 1, LEAST_BITS + 1]
    );
    assert_eq!(wants(&mut registry, 1), LEAST_BITS + 2);
    assert_eq!(wants(&mut registry, 2), 0);
}

impl Registry {
    /// Tries something, and takes it back if it has made a name.
    fn clone_names(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let result = act(self);
        self.names.remove("another");
        result
    }
}

#[test]
fn a_proof_may_be_one_bit_short_since_the_difficulty_may_have_risen_meanwhile() {
    let start = Instant::now();
    let mut registry = table(2, start, &[("a", 1), ("b", 1)]);
    let mut new = |work| {
        let application = Application {
            work,
            ..application("c", 1, 2)
        };
        try_register(&mut registry, start, application)
    };
    let bits = match new(0) {
        Err(Refusal::Work(bits)) => bits,
        other => panic!("{other:?}"),
    };
    assert_eq!(new(bits - 2), Err(Refusal::Work(bits)));
    assert_eq!(new(bits - 1), Ok(()));
}

#[test]
fn a_reserved_name_belongs_to_its_key_for_ever_and_takes_no_room() {
    let start = Instant::now();
    let mut registry = Registry::new(1);
    registry.set_reserved(start, [("alice".to_owned(), [7; 32])].into());
    let taken = try_register(&mut registry, start, application("alice", 1, 1));
    assert_eq!(taken, Err(Refusal::Taken));
    assert_eq!(
        try_register(&mut registry, start, application("bob", 1, 2)),
        Ok(())
    );
    let own = Application {
        work: 0,
        ..application("alice", 7, 1)
    };
    assert_eq!(try_register(&mut registry, start, own), Ok(()));
    assert_eq!(
        registry.find(start, "alice").map(|held| held.key),
        Some([7; 32])
    );
    assert_eq!(
        (registry.alive(start), registry.names.charged_to(&net(1))),
        (2, 0)
    );
    let later = start + 2 * HOLD;
    let taken = try_register(
        &mut registry,
        later,
        numbered(application("alice", 1, 1), 5),
    );
    assert_eq!(taken, Err(Refusal::Taken));
    let again = try_register(
        &mut registry,
        later,
        numbered(application("alice", 7, 1), 0),
    );
    assert_eq!(again, Err(Refusal::Replayed));
    assert!(registry.advance("alice", 3) && !registry.advance("alice", 3));
    assert_eq!(registry.last_sequence("alice"), Some(3));
}

/// Registers; no request may look at more than three entries to make room.
fn register_examined(registry: &mut Registry, at: Instant, new: Application<'_>) -> bool {
    let before = registry.names.examined;
    let accepted = try_register(registry, at, new).is_ok();
    let examined = registry.names.examined - before;
    assert!(examined <= 3, "{examined}");
    accepted
}

#[test]
fn no_request_searches_the_table() {
    const MOST: u32 = 1000;
    let mut registry = Registry::new(MOST as usize);
    let start = Instant::now();
    let step = Duration::from_millis(1);
    let mut register = |at, name: &str, network: u32, sequence| {
        let new = numbered(application(name, 1, network as u16), sequence);
        u32::from(register_examined(&mut registry, at, new))
    };
    let all = |register: Box<dyn FnMut(u32) -> u32 + '_>| (0..MOST).map(register).sum();
    let filled: u32 = all(Box::new(|n| {
        register(start + step * n, &n.to_string(), n / 10, 1)
    }));
    assert_eq!(filled, MOST);
    let accepted: u32 = all(Box::new(|n| {
        register(start, &format!("new-{n}"), n / 10, 1)
    }));
    assert_eq!(accepted, 0);
    // Nor when one name after the other ends, is no longer bound, or moves.
    let late = start + LIFETIME;
    let accepted: u32 = all(Box::new(|n| {
        register(late + step * n, &format!("late-{n}"), n / 10, 1)
    }));
    assert_eq!(accepted, MOST);
    let end = late + LIFETIME + HOLD + step * MOST;
    all(Box::new(|n| register(end, &format!("next-{n}"), n / 10, 1)));
    let moved: u32 = all(Box::new(|n| register(end, &format!("next-{n}"), n / 7, 2)));
    assert_eq!(moved, MOST);
    registry.names.check();
    assert_eq!(registry.names.len(), MOST as usize);
}

#[test]
fn names_that_are_no_longer_bound_make_room_and_count_as_none() {
    let start = Instant::now();
    let mut registry = Registry::new(100);
    for n in 0..80u16 {
        let name = n.to_string();
        try_register(&mut registry, start, application(&name, 1, n)).unwrap();
    }
    let cheap = |name| Application {
        work: 0,
        ..application(name, 1, 1000)
    };
    let refused = try_register(&mut registry, start, cheap("a"));
    assert!(matches!(refused, Err(Refusal::Work(_))), "{refused:?}");
    let later = start + LIFETIME + HOLD;
    let mut tries = 0;
    while try_register(&mut registry, later, cheap("a")).is_err() {
        tries += 1;
        assert!(tries < 10);
    }
    assert!(registry.names.len() < 80, "{}", registry.names.len());
}
