//! The server's own key: it signs what clients ask to be proved.

use session::identity::{Identity, PublicKey};
use session::proof::Subject;
use stun::{Builder, Message};

/// Signs answers and notifications. Without a key it leaves them as they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prover(Option<(Identity, PublicKey)>);

impl Prover {
    pub(crate) fn new(identity: Identity) -> Self {
        let public = identity.public();
        Prover(Some((identity, public)))
    }

    /// Completes the answer to a request whose cookie is right: a signature costs
    /// time, and whoever asks for it has a rate.
    pub(crate) fn answer(&self, request: &Message<'_>, answer: Builder) -> Builder {
        match request.asks_proof() {
            true => self.sign(Subject::Answer(request.as_bytes()), answer),
            false => answer,
        }
    }

    /// Completes a notification for a client that has asked for proof when it
    /// registered.
    pub(crate) fn notification(&self, asked: bool, notification: Builder) -> Builder {
        match asked {
            true => self.sign(Subject::Notification, notification),
            false => notification,
        }
    }

    fn sign(&self, subject: Subject<'_>, message: Builder) -> Builder {
        match &self.0 {
            Some((identity, public)) => message
                .server_key(public)
                .sign(|part| subject.sign(identity, part)),
            None => message,
        }
    }
}
