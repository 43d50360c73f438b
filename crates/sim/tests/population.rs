//! A small run of examples/population: the same twice, and plausible.

#[path = "../examples/population/meeting.rs"]
mod meeting;
#[path = "../examples/population/people.rs"]
mod people;
#[allow(dead_code)] // main prints it
#[path = "../examples/population/tally.rs"]
mod tally;

use meeting::meet;
use nat::plan::{Limits, Strategy};
use people::Population;
use tally::Tally;

fn tally(population: &Population, pairs: u64, limits: Limits) -> Tally {
    let mut tally = Tally::default();
    for number in 0..pairs {
        let pair = population.pair(1, number);
        tally.add(&meet(&pair, population.loss, population.neighbours, limits));
    }
    tally
}

#[test]
fn the_same_seed_gives_the_same_table() {
    let population = Population::default();
    let [one, other] = [0, 1].map(|_| tally(&population, 60, Limits::POLITE));
    assert_eq!(one, other);
    assert_ne!(
        one,
        tally(
            &Population {
                loss: 5.0,
                ..population
            },
            60,
            Limits::POLITE
        )
    );
}

#[test]
fn with_a_relay_nobody_is_left_and_most_are_direct() {
    let tally = tally(&Population::default(), 300, Limits::POLITE);
    assert_eq!(tally.failed(), 0.0, "{tally}");
    assert!(tally.direct(None) > 0.9, "{tally}");
    assert!(tally.direct(Some(Strategy::Plain)) < 0.95, "{tally}");
    assert!(tally.relayed() > 0.0, "{tally}");
}

#[test]
fn without_guesses_more_is_relayed() {
    let hard = Population {
        symmetric: 60.0,
        ..Population::default()
    };
    let some = tally(&hard, 150, Limits::POLITE);
    let none = tally(&hard, 150, Limits::NOTHING);
    assert_eq!(none.direct(None), none.direct(Some(Strategy::Plain)));
    assert!(none.relayed() > some.relayed() + 0.1, "{some}{none}");
}
