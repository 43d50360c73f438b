//! What a rendezvous, honest or not, says to the endpoint.

use std::time::Duration;

use session::credentials::{Challenge, Credentials, Granted};
use session::proof::Subject;
use session::rotation::Rotation;
use session::seal::{Bound, Offer, Opened};
use stun::{Builder, Message, Method};

use super::world::{SERVER, World, identity, key_of, places};
use super::{payload, relay_key};
use crate::input::{Choices, at};

impl World {
    /// An answer to one of the endpoint's last requests.
    pub(super) fn answer(&mut self, choices: &mut Choices<'_>) {
        let back = usize::from(choices.byte() % 8);
        let Some(sent) = self.requests.iter().rev().nth(back).cloned() else {
            return;
        };
        let request = Message::parse(&sent.payload).expect("the endpoint's own message");
        // An honest server asks for a nonce first.
        let challenged = request.nonce().is_some() || request.method() == Method::Binding;
        let answer = match choices.byte() {
            0..200 if !challenged => {
                let answer = Builder::error(&request, 401).nonce(&[b'n'; 16]);
                let turn = request.method().is_turn();
                if turn {
                    answer.realm("pinhole")
                } else {
                    answer
                }
            }
            0..220 => self.success(choices, &request),
            _ => failure(choices, &request),
        };
        let from = match choices.byte() {
            0..=230 => sent.to,
            _ => choices.address(&places()),
        };
        let bytes = match request.method().is_turn() && choices.byte() < 240 {
            true => answer.finish_long_term(&relay_key()),
            false if request.asks_proof() && choices.byte() < 240 => {
                proved(Subject::Answer(&sent.payload), answer).finish()
            }
            false => answer.finish(),
        };
        self.receive(sent.socket, from, &bytes);
    }

    fn success(&mut self, choices: &mut Choices<'_>, request: &Message<'_>) -> Builder {
        let what = choices.byte();
        let mut answer = Builder::success(request);
        if what & 1 == 0 {
            let mapped = match what & 64 {
                0 => at("198.51.100.1:40000"),
                _ => choices.address(&places()),
            };
            answer = answer.xor_mapped(mapped);
        }
        if what & 2 != 0 {
            answer = answer.other_address(choices.address(&places()));
        }
        if what & 4 != 0 || request.method().is_turn() {
            answer = answer.lifetime(choices.of(&[90, 600, 0, 1, u32::MAX]));
        }
        match request.method() {
            Method::Allocate => answer.relayed(choices.address(&places())),
            Method::Lookup => {
                let name = request.peer_name().unwrap_or_default();
                let key = match choices.byte() {
                    0..220 => identity(name).public(),
                    _ => key_of(choices),
                };
                let answer = answer.public_key(&key).fresh(&[choices.byte() % 4; 8]);
                match choices.byte() {
                    0..240 => answer,
                    _ => answer.rotation(rotation(name).as_bytes()),
                }
            }
            Method::Connect => self.introduce(choices, request, answer),
            Method::Register if request.relay().is_some() => {
                let granted = Granted {
                    credentials: Credentials {
                        username: "1:alice".into(),
                        password: "secret".into(),
                    },
                    lifetime: Duration::from_secs(choices.of(&[3600, 0, u32::MAX]).into()),
                    challenge: Challenge {
                        realm: "pinhole".into(),
                        nonce: vec![choices.byte(); 32],
                    },
                    rate: Some(choices.byte().into()).filter(|rate| *rate != 0),
                };
                let key = identity("alice").public();
                let sealed = granted.seal("alice", &key, [6; 32]);
                answer.relay(&sealed.expect("alice's key is one"))
            }
            _ => answer,
        }
    }

    /// The peer's answer to the endpoint's offer.
    fn introduce(
        &mut self,
        choices: &mut Choices<'_>,
        request: &Message<'_>,
        answer: Builder,
    ) -> Builder {
        let peer = request.peer_name().unwrap_or_default().to_owned();
        let bound = Bound {
            caller: "alice",
            callee: &peer,
            fresh: request.fresh().unwrap_or_default(),
        };
        let ours = identity(&peer);
        let offer = request.seal().unwrap_or_default();
        let opened = Opened::new(&ours, &identity("alice").public(), bound, offer, [7; 32]);
        let payload = payload(choices);
        let answer = answer.peer_address(choices.address(&places()));
        let sealed = opened.and_then(|opened| opened.answer(&payload));
        match sealed {
            Ok((seal, keys)) if choices.byte() < 230 => {
                self.claims(&payload);
                self.attempts.push(keys);
                answer.public_key(&ours.public()).seal(&seal)
            }
            _ => answer.public_key(&key_of(choices)).seal(choices.bytes()),
        }
    }

    /// An invitation from a peer.
    pub(super) fn notify(&mut self, choices: &mut Choices<'_>) {
        let caller = choices.of(&["bob", "bob", "eve"]);
        let fresh = match choices.byte() {
            0..240 => self.fresh,
            byte => [byte; 8],
        };
        let bound = Bound {
            caller,
            callee: "alice",
            fresh,
        };
        let transaction = [choices.byte(); 12];
        let payload = payload(choices);
        let alice = identity("alice").public();
        let sealed = Offer::new(&identity(caller), &alice, bound, &payload, [8; 32]);
        let (offer, seal) = sealed.expect("alice's key is one");
        self.claims(&payload);
        self.offers.insert(transaction, offer);
        let mut message = Builder::request(Method::Notify, transaction)
            .name(caller)
            .peer_name("alice")
            .public_key(&identity(caller).public())
            .peer_address(choices.address(&places()))
            .fresh(&fresh)
            .seal(&seal);
        if choices.byte() > 240 {
            message = message.rotation(rotation(caller).as_bytes());
        }
        if let (Some(cookie), true) = (&self.cookie, choices.byte() < 230) {
            message = message.nonce(cookie);
        }
        let from = match choices.byte() {
            0..=230 => SERVER,
            _ => choices.address(&places()),
        };
        if choices.byte() < 240 {
            message = proved(Subject::Notification, message);
        }
        self.receive(0, from, &message.finish());
    }
}

/// Signed by the server's own key.
fn proved(subject: Subject<'_>, message: Builder) -> Builder {
    let server = identity("server");
    let message = message.server_key(&server.public());
    message.sign(|part| subject.sign(&server, part))
}

/// eve's key leads to the one that this name has.
fn rotation(name: &str) -> Rotation {
    Rotation::new(&identity("eve"), name, &identity(name).public())
}

fn failure(choices: &mut Choices<'_>, request: &Message<'_>) -> Builder {
    let code = choices.of(&[
        401, 438, 401, 403, 404, 412, 429, 437, 486, 500, 508, 600, 601,
    ]);
    let mut answer = Builder::error(request, code);
    if matches!(code, 401 | 438) {
        answer = answer.nonce(&[b'a' + choices.byte() % 4; 16]);
    }
    if request.method().is_turn() {
        answer = answer.realm("pinhole");
    }
    if choices.byte() > 128 {
        answer = answer.sequence(u64::from(choices.word()));
    }
    if choices.byte() > 200 {
        answer = answer.other_address(choices.address(&places()));
    }
    answer
}
