//! Somebody asks for us.

use super::*;

impl Client {
    pub(super) fn notified(&mut self, message: &Message<'_>) {
        let ours = message
            .nonce()
            .is_some_and(|n| self.shown.iter().any(|s| s == n));
        if !ours {
            return; // Not of our server, whatever its address says.
        }
        let transaction = message.transaction();
        if let Some((_, answer)) = self.answered.iter().find(|(t, _)| *t == transaction) {
            self.transmits.extend(answer.clone());
            return;
        }
        let (Some(caller), Some(target), Some(key), Some(address), Some(offer)) = (
            message.name(),
            message.peer_name(),
            message.public_key(),
            message.peer_address(),
            message.seal(),
        ) else {
            return;
        };
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        let names = Names { caller, target };
        let opened = Opened::new(&self.config.identity, &key, names, offer, seed);
        match opened {
            Ok(opened) if target == self.config.name => {
                // Known, and not answered until it is accepted.
                self.remember(transaction, None);
                self.events
                    .push_back(Event::Invitation(Box::new(Invitation {
                        caller: caller.to_owned(),
                        key,
                        address,
                        transaction,
                        opened,
                    })));
            }
            _ => {
                let answer = Builder::error(message, code::FORBIDDEN).finish();
                self.remember(transaction, Some(answer.clone()));
                self.transmits.push_back(answer);
            }
        }
    }

    pub(super) fn remember(&mut self, transaction: Transaction, answer: Option<Vec<u8>>) {
        self.answered.retain(|(known, _)| *known != transaction);
        self.answered.push_front((transaction, answer));
        self.answered.truncate(MOST_ANSWERS);
    }
}
