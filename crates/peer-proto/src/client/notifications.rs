//! The notifications that have come, and our answers, for retransmissions.

use std::collections::VecDeque;

use stun::Transaction;

use super::types::Relation;

/// Notifications of known peers that are remembered, at most.
const MOST_KNOWN: usize = 16;

/// Notifications of strangers that are remembered, at most.
const MOST_STRANGERS: usize = 64;

#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The invitation is not accepted yet.
    None,
    /// This was sent.
    Sent(Vec<u8>),
}

#[derive(Debug, Default)]
pub(super) struct Notifications {
    known: VecDeque<(Transaction, Answer)>,
    strangers: VecDeque<(Transaction, Answer)>,
}

impl Notifications {
    /// What was answered, if this notification has come before.
    pub(super) fn answer(&self, transaction: Transaction) -> Option<&Answer> {
        let mut answers = self.known.iter().chain(&self.strangers);
        let (_, answer) = answers.find(|(known, _)| *known == transaction)?;
        Some(answer)
    }

    pub(super) fn remember(
        &mut self,
        transaction: Transaction,
        relation: Relation,
        answer: Answer,
    ) {
        for answers in [&mut self.known, &mut self.strangers] {
            answers.retain(|(known, _)| *known != transaction);
        }
        let (answers, most) = match relation {
            Relation::Known => (&mut self.known, MOST_KNOWN),
            Relation::Stranger => (&mut self.strangers, MOST_STRANGERS),
        };
        answers.push_front((transaction, answer));
        answers.truncate(most);
    }
}
