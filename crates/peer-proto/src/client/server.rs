//! Whether a message is the server's: by the key that the server is known by.

use stun::{Message, code};

use super::types::{Event, OtherKey};
use session::identity::PublicKey;
use session::proof::Subject;

/// What an answer is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the server's.
    Genuine,
    /// It asks for another cookie. The server proves nothing before it has its
    /// cookie back, so this may come from anybody who sees our requests.
    Challenge,
    /// It does not prove itself.
    Noise,
}

/// What is known of the server.
#[derive(Debug)]
pub(super) struct Server {
    key: Option<PublicKey>,
    /// It was told that the server has proved itself, or has no key.
    proved_told: bool,
    keyless_told: bool,
    /// The last answer that did not prove itself, since one that did.
    other: Option<OtherKey>,
}

impl Server {
    /// Where no key is known, the first that proves itself is.
    pub(super) fn new(key: Option<PublicKey>) -> Self {
        Self {
            key,
            proved_told: false,
            keyless_told: false,
            other: None,
        }
    }

    pub(super) fn key(&self) -> Option<PublicKey> {
        self.key
    }

    /// The last answer that did not prove itself, since one that did.
    pub(super) fn other(&self) -> Option<OtherKey> {
        self.other
    }

    /// Judges the answer to that request.
    pub(super) fn judge(&mut self, request: &[u8], answer: &Message<'_>) -> Verdict {
        let challenge = matches!(
            answer.error(),
            Some(code::UNAUTHENTICATED | code::STALE_NONCE)
        );
        if challenge && answer.nonce().is_some() {
            return Verdict::Challenge;
        }
        let shown = answer.server_key();
        let signed = |key: &PublicKey| {
            let signed = answer.signed();
            signed.is_some_and(|(part, signature)| {
                Subject::Answer(request).is_signed(key, &part, &signature)
            })
        };
        match (self.key, shown.filter(signed)) {
            (None, None) if shown.is_none() => Verdict::Genuine,
            (None, Some(shown)) => {
                self.key = Some(shown);
                Verdict::Genuine
            }
            (Some(known), Some(shown)) if known == shown => {
                self.other = None;
                Verdict::Genuine
            }
            (known, got) => {
                self.other = known.map(|expected| OtherKey { expected, got });
                Verdict::Noise
            }
        }
    }

    /// Whether the server has signed that notification, if it is known to have a
    /// key.
    pub(super) fn has_signed(&self, notification: &Message<'_>) -> bool {
        let Some(key) = &self.key else {
            return true;
        };
        let signed = notification.signed();
        signed.is_some_and(|(part, signature)| {
            Subject::Notification.is_signed(key, &part, &signature)
        })
    }

    /// After a registration: what is to be told of the server, once.
    pub(super) fn told(&mut self) -> Option<Event> {
        match self.key {
            Some(key) => {
                let told = std::mem::replace(&mut self.proved_told, true);
                (!told).then_some(Event::ServerProved(key))
            }
            None => {
                let told = std::mem::replace(&mut self.keyless_told, true);
                (!told).then_some(Event::ServerKeyless)
            }
        }
    }
}
