//! The table, compared with one that searches all names.

use proptest::prelude::*;

use super::*;

/// The names that there are, in no order.
type Model = Vec<Modelled>;

#[derive(Clone, Debug)]
struct Modelled {
    name: String,
    network: u16,
    expires: Instant,
    /// When it came to its network.
    came: usize,
    /// When it was registered, refreshed or ended last.
    touched: usize,
}

/// The name that makes room, by looking at all.
fn pays(model: &Model, now: Instant, newcomer: u16) -> Option<usize> {
    let count = |network: u16| model.iter().filter(|it| it.network == network).count();
    let most = |network: &u16| (count(*network), net(*network));
    let biggest = model.iter().map(|it| it.network).max_by_key(most)?;
    let bigger = count(biggest) > count(newcomer) + 1;
    let payer = if bigger { biggest } else { newcomer };
    let of_payer = || (0..model.len()).filter(|n| model[*n].network == payer);
    let ended = of_payer().filter(|n| model[*n].expires <= now);
    let first = ended.min_by_key(|n| (model[*n].expires, model[*n].touched));
    let newest = of_payer().max_by_key(|n| model[*n].came);
    first.or(newest.filter(|_| bigger))
}

proptest! {
    /// The same names are there as in a model that looks at each of them.
    #[test]
    fn the_table_does_what_a_search_of_all_names_would(
        requests in proptest::collection::vec((0..20u8, 0..5u16, 0..4u8, 0..60u64), 1..300),
    ) {
        const MOST: usize = 8;
        let mut registry = Registry::new(MOST);
        let (mut now, mut model) = (Instant::now(), Model::new());
        for (step, (name, network, kind, seconds)) in requests.into_iter().enumerate() {
            // Apart from each other, so that no two ends are equal.
            now += Duration::from_secs(seconds) + Duration::from_millis(1);
            let (name, ends) = (name.to_string(), kind == 0);
            let request = Application {
                lifetime: if ends { Duration::ZERO } else { LIFETIME },
                ..numbered(application(&name, 1, network), step as u64 + 1)
            };
            let accepted = try_register(&mut registry, now, request);
            let expires = now + if ends { Duration::ZERO } else { LIFETIME };
            let expected = match model.iter_mut().find(|it| it.name == name) {
                Some(it) => {
                    if it.network != network {
                        (it.network, it.came) = (network, step);
                    }
                    (it.expires, it.touched) = (expires, step);
                    Ok(())
                }
                None if ends => Ok(()),
                None => match (model.len() >= MOST, pays(&model, now, network)) {
                    (true, None) => Err(Refusal::Full),
                    (full, victim) => {
                        if let Some(victim) = victim.filter(|_| full) {
                            model.remove(victim);
                        }
                        model.push(Modelled { name, network, expires, came: step, touched: step });
                        Ok(())
                    }
                },
            };
            prop_assert_eq!(accepted, expected);
            registry.names.check();
            prop_assert_eq!(registry.names.len(), model.len());
            for it in &model {
                let held = registry.names.get(&it.name);
                let held = held.map(|held| (held.at.client, held.expires));
                prop_assert_eq!(held, Some((client(it.network), it.expires)));
            }
        }
    }
}
