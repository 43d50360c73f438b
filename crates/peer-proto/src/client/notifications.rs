//! The notifications that have come, and our answers, for retransmissions.

use std::collections::VecDeque;

use stun::Transaction;

/// Notifications that are remembered, at most.
const MOST: usize = 16;

#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The invitation is not accepted yet.
    None,
    /// This was sent.
    Sent(Vec<u8>),
}

#[derive(Debug, Default)]
pub(super) struct Notifications {
    answers: VecDeque<(Transaction, Answer)>,
}

impl Notifications {
    /// What was answered, if this notification has come before.
    pub(super) fn answer(&self, transaction: Transaction) -> Option<&Answer> {
        let mut answers = self.answers.iter();
        let (_, answer) = answers.find(|(known, _)| *known == transaction)?;
        Some(answer)
    }

    pub(super) fn remember(&mut self, transaction: Transaction, answer: Answer) {
        self.answers.retain(|(known, _)| *known != transaction);
        self.answers.push_front((transaction, answer));
        self.answers.truncate(MOST);
    }
}
