//! The round trip to each hop, and the loss on the way to it.
//!
//! A router limits its ICMP errors, mostly to a few a second, so that it does not answer shows no loss.
//! But what is lost on the way to a hop is lost on the way to those behind it as well: the loss to a hop
//! is at most that to any hop behind it, and the server does not limit its answers.

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use stun::Transaction;

use crate::transaction::transaction;

/// Each hop is asked so often.
pub(super) const ROUNDS: u32 = 20;
pub(super) const SPACING: Duration = Duration::from_millis(50);

/// What is known of one hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct HopQuality {
    /// The shortest round trip, in milliseconds. `None`: it does not answer, or its ICMP errors do not
    /// quote enough to tell which packet they are about.
    pub rtt_ms: Option<f64>,
    /// How many packets it was asked with.
    pub sent: u32,
    /// How many of them it has answered.
    pub answered: u32,
    /// The share of the packets that is lost on the way there and back, at most. `None`: it cannot be
    /// told from a limit on ICMP errors, since the server does not answer.
    pub loss: Option<f64>,
}

/// The measurement.
#[derive(Debug)]
pub(super) struct Quality {
    /// By hop.
    asked: Vec<Vec<Asked>>,
}

#[derive(Debug)]
struct Asked {
    transaction: Transaction,
    at: Instant,
    answered: bool,
    round_trip: Option<Duration>,
}

/// Which packet an answer is about.
pub(super) enum Told {
    By(Transaction),
    /// The ICMP error does not quote it.
    Unknown,
}

impl Told {
    /// By what an ICMP error quotes: a STUN header ends with the transaction (RFC 8489 §5).
    pub(super) fn of_quoted(quoted: &[u8]) -> Told {
        let transaction = quoted.get(8..).and_then(<[u8]>::first_chunk);
        transaction.map_or(Told::Unknown, |transaction| Told::By(*transaction))
    }
}

impl Quality {
    /// Over this many hops; the server may be the last.
    pub(super) fn new(hops: usize) -> Quality {
        Quality {
            asked: (0..hops).map(|_| Vec::new()).collect(),
        }
    }

    /// One more request for each hop.
    pub(super) fn requests(
        &mut self,
        now: Instant,
        rng: &mut ChaCha20Rng,
    ) -> Vec<(usize, Vec<u8>)> {
        let hops = self.asked.iter_mut().enumerate();
        let request = |(index, asked): (usize, &mut Vec<Asked>)| {
            let transaction = transaction(rng);
            asked.push(Asked {
                transaction,
                at: now,
                answered: false,
                round_trip: None,
            });
            (index, stun::binding_request(transaction, None))
        };
        hops.map(request).collect()
    }

    /// That hop has answered one of its packets.
    pub(super) fn told(&mut self, now: Instant, hop: usize, which: Told) {
        let Some(asked) = self.asked.get_mut(hop) else {
            return;
        };
        let mut open = asked.iter_mut().filter(|it| !it.answered);
        match which {
            Told::By(transaction) => {
                if let Some(it) = open.find(|it| it.transaction == transaction) {
                    (it.answered, it.round_trip) = (true, Some(now - it.at));
                }
            }
            Told::Unknown => {
                if let Some(it) = open.next() {
                    it.answered = true;
                }
            }
        }
    }

    pub(super) fn report(&self, complete: bool) -> Vec<HopQuality> {
        let mut least: f64 = 1.0;
        let mut hops = Vec::new();
        for asked in self.asked.iter().rev() {
            let (sent, answered) = (asked.len(), asked.iter().filter(|it| it.answered).count());
            if sent > 0 {
                least = least.min(1.0 - answered as f64 / sent as f64);
            }
            let shortest = asked.iter().filter_map(|it| it.round_trip).min();
            let told = complete || least == 0.0;
            hops.push(HopQuality {
                rtt_ms: shortest.map(|it| it.as_micros() as f64 / 1000.0),
                sent: sent as u32,
                answered: answered as u32,
                loss: told.then(|| (least * 1000.0).round() / 1000.0),
            });
        }
        hops.reverse();
        hops
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    /// Of 20 packets, each hop answers as many.
    fn measured(answers: &[usize], complete: bool) -> Vec<HopQuality> {
        let mut now = Instant::now();
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut quality = Quality::new(answers.len());
        for round in 0..ROUNDS as usize {
            let requests = quality.requests(now, &mut rng);
            for (hop, request) in requests {
                if round < answers[hop] {
                    let later = now + Duration::from_millis(1 + hop as u64);
                    quality.told(later, hop, Told::of_quoted(&request));
                }
            }
            now += SPACING;
        }
        quality.report(complete)
    }

    #[test]
    fn a_hop_that_limits_its_answers_is_not_said_to_lose_packets() {
        let found = measured(&[6, 0, 20], true);
        assert_eq!(
            Vec::from_iter(found.iter().map(|it| it.answered)),
            [6, 0, 20]
        );
        assert!(found.iter().all(|it| it.loss == Some(0.0)), "{found:?}");
        let rtt = Vec::from_iter(found.iter().map(|it| it.rtt_ms));
        assert_eq!(rtt, [Some(1.0), None, Some(3.0)]);
    }

    #[test]
    fn loss_is_counted_from_where_it_begins_and_only_where_it_can_be_told() {
        let loss = |answers: &[usize], complete| {
            let found = measured(answers, complete);
            Vec::from_iter(found.iter().map(|it| it.loss))
        };
        assert_eq!(
            loss(&[20, 15, 15], true),
            [Some(0.0), Some(0.25), Some(0.25)]
        );
        assert_eq!(loss(&[20, 6], false), [Some(0.0), None]);
        assert!(measured(&[], true).is_empty());
    }

    #[test]
    fn an_error_that_quotes_ports_alone_is_an_answer_without_a_round_trip() {
        let now = Instant::now();
        let mut quality = Quality::new(1);
        quality.requests(now, &mut ChaCha20Rng::from_seed([1; 32]));
        for _ in 0..2 {
            quality.told(now, 0, Told::of_quoted(&[]));
        }
        let found = quality.report(true);
        assert_eq!((found[0].answered, found[0].rtt_ms), (1, None));
    }
}
