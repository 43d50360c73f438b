//! How the rendezvous proves that a message is its own: by an Ed25519 signature
//! that its clients check against the key that they expect.
//!
//! The signature of an answer covers the request as well. So an answer proves
//! itself to one request only, and nobody can have the server sign an answer to a
//! request of his own and pass it off as the answer to another's.

use crate::identity::{Identity, PublicKey, verify};

/// What a message of the server says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The answer to this request, with all its bytes.
    Answer(&'a [u8]),
    /// A notification, which answers no request of ours.
    Notification,
}

impl Subject<'_> {
    /// What is signed. The labels differ from each other and from the start of
    /// each message that clients sign.
    fn statement(&self, part: &[u8]) -> Vec<u8> {
        let (label, request): (&[u8], &[u8]) = match self {
            Subject::Answer(request) => (b"pinhole/2\0answer\0", request),
            Subject::Notification => (b"pinhole/2\0notify\0", &[]),
        };
        [label, request, part].concat()
    }

    /// The server's signature of `part` of a message: what
    /// `stun::Builder::sign` hands over.
    pub fn sign(&self, server: &Identity, part: &[u8]) -> [u8; 64] {
        server.sign(&self.statement(part))
    }

    /// Whether the owner of `key` has signed `part` of a message: what
    /// `stun::Message::signed` returns.
    pub fn is_signed(&self, key: &PublicKey, part: &[u8], signature: &[u8; 64]) -> bool {
        verify(key, &self.statement(part), signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_of_one_server_one_request_and_one_answer() {
        let [server, other] = [[1; 32], [2; 32]].map(|secret| Identity::from_secret(&secret));
        let (ours, theirs) = (Subject::Answer(b"ours"), Subject::Answer(b"theirs"));
        let signature = ours.sign(&server, b"answer");
        let signed = |subject: Subject<'_>, key: &Identity, part: &[u8]| {
            subject.is_signed(&key.public(), part, &signature)
        };
        assert!(signed(ours, &server, b"answer"));
        assert!(!signed(theirs, &server, b"answer"));
        assert!(!signed(Subject::Notification, &server, b"oursanswer"));
        assert!(!signed(ours, &other, b"answer"));
        assert!(!signed(ours, &server, b"another"));
        assert!(!verify(&server.public(), b"answer", &signature));
    }
}
