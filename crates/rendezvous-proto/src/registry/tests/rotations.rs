//! A name follows its owner to another key.

use super::*;

/// An application for "alice" with that key, and the rotation that leads to it.
fn rotated(from: &Identity, to: &Identity, sequence: u64) -> Application<'static> {
    let mut application = numbered(application("alice", 0, 1), sequence);
    application.place.key = to.public();
    application.rotation = Some(Rotation::new(from, "alice", &to.public()));
    application
}

fn plain(key: &Identity, sequence: u64) -> Application<'static> {
    Application {
        rotation: None,
        ..rotated(key, key, sequence)
    }
}

#[test]
fn a_name_follows_its_owners_signature_to_another_key_and_not_back() {
    let [a, b, c] = [[1; 32], [2; 32], [3; 32]].map(|secret| Identity::from_secret(&secret));
    let start = Instant::now();
    let mut registry = Registry::new(10);
    let mut register = |application| try_register(&mut registry, start, application);
    assert_eq!(register(plain(&a, 10)), Ok(()));
    assert_eq!(register(plain(&b, 11)), Err(Refusal::Taken));
    // Signed by another key than the one that has it, and for another name.
    assert_eq!(register(rotated(&c, &b, 11)), Err(Refusal::Taken));
    let other = Rotation::new(&a, "alicf", &b.public());
    let mut forged = rotated(&a, &b, 11);
    forged.rotation = Some(other);
    assert_eq!(register(forged), Err(Refusal::Taken));
    assert_eq!(register(rotated(&a, &b, 10)), Err(Refusal::Replayed));
    assert_eq!(register(rotated(&a, &b, 11)), Ok(()));
    assert_eq!(register(rotated(&a, &b, 11)), Ok(()), "its answer was lost");
    assert_eq!(
        register(rotated(&a, &b, 12)),
        Ok(()),
        "it goes on showing it"
    );
    // The old key has no say any more, and the name does not go back to it.
    assert_eq!(register(plain(&a, 13)), Err(Refusal::Taken));
    assert_eq!(register(rotated(&a, &c, 13)), Err(Refusal::Taken));
    assert_eq!(register(rotated(&b, &a, 13)), Err(Refusal::Taken));
    assert_eq!(register(rotated(&b, &c, 13)), Ok(()));
    assert_eq!(
        register(rotated(&a, &b, 14)),
        Err(Refusal::Taken),
        "an old rotation again"
    );
    assert_eq!(register(plain(&c, 13)), Ok(()), "a retransmission");
    assert_eq!(register(plain(&c, 14)), Ok(()));
    let held = registry.find(start, "alice").unwrap();
    let rotation = held.rotation.as_deref();
    assert_eq!(
        rotation,
        Some(&Rotation::new(&b, "alice", &c.public())),
        "kept"
    );
}

#[test]
fn a_rotation_is_kept_of_a_name_that_the_server_has_forgotten_if_it_is_genuine() {
    let [a, b] = [[1; 32], [2; 32]].map(|secret| Identity::from_secret(&secret));
    let start = Instant::now();
    let kept = |rotation: Rotation| {
        let mut registry = Registry::new(10);
        let mut new = rotated(&a, &b, 1);
        new.rotation = Some(rotation);
        try_register(&mut registry, start, new).unwrap();
        let held = registry.find(start, "alice").unwrap();
        held.rotation.is_some()
    };
    assert!(kept(Rotation::new(&a, "alice", &b.public())));
    assert!(!kept(Rotation::new(&a, "alicf", &b.public())));
}

#[test]
fn a_held_name_can_be_rotated_and_a_reserved_one_only_by_the_operator() {
    let [a, b, c] = [[1; 32], [2; 32], [3; 32]].map(|secret| Identity::from_secret(&secret));
    let start = Instant::now();
    let mut registry = Registry::new(10);
    try_register(&mut registry, start, plain(&a, 1)).unwrap();
    let later = start + LIFETIME + HOLD - SECOND;
    assert_eq!(
        try_register(&mut registry, later, rotated(&a, &b, 2)),
        Ok(())
    );
    let mut registry = Registry::new(10);
    registry.set_reserved(start, [("alice".to_owned(), a.public())].into());
    let mut register = |application| try_register(&mut registry, start, application);
    assert_eq!(register(rotated(&a, &b, 1)), Err(Refusal::Reserved));
    assert_eq!(register(rotated(&c, &b, 1)), Err(Refusal::Taken));
    assert_eq!(register(plain(&a, 1)), Ok(()));
}
