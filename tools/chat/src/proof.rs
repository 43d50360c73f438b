//! The proof that both ends of a link know the same code, by SPAKE2: whoever does not know it,
//! the rendezvous and somebody in the middle included, can try one code for each link, and learns
//! nothing that a search could be made in.
//!
//! Both sides send an element. Then the receiver shows that it has the same key, and only then
//! the sender does: so a sender gives away nothing to a receiver whose code is wrong. What is
//! shown is bound to the connection, so nobody can carry the proof from one to another.
//!
//! One [`Proof`] belongs to one link. Send what [`Proof::poll_step`] yields, and feed what the
//! other side sends to [`Proof::handle`].

use std::collections::VecDeque;
use std::fmt;

use session::identity::PublicKey;
use spake2::{Ed25519Group, Identity, Password, Spake2};

use crate::code::Code;

/// An element of the group, and one byte for the side that it is of.
pub const ELEMENT: usize = 33;

/// What the two sides send each other, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// An element.
    Element([u8; ELEMENT]),
    /// The sender of this step has the key.
    Confirm([u8; 32]),
}

/// The two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Has made the code.
    Sender,
    /// Was told it.
    Receiver,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is proven.
    Open,
    /// We have shown the sender that we know the code, and it has not shown us yet.
    Shown,
    /// The other side knows the code.
    Proven,
    /// It does not.
    Wrong,
}

/// The other side breaks the rules. The link has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a step of the proof of the code came out of turn")]
pub struct OutOfTurn;

/// One half of an exchange. It takes the system's randomness, so the driver makes it.
pub struct Exchange {
    half: Spake2<Ed25519Group>,
    element: [u8; ELEMENT],
}

impl Exchange {
    /// Half of an exchange over that code.
    pub fn begin(role: Role, code: &Code) -> Exchange {
        let password = Password::new(code.password());
        let sender = Identity::new(b"pinhole chat 2026 sender");
        let receiver = Identity::new(b"pinhole chat 2026 receiver");
        let (half, sent) = match role {
            Role::Sender => Spake2::start_a(&password, &sender, &receiver),
            Role::Receiver => Spake2::start_b(&password, &sender, &receiver),
        };
        let mut element = [0; ELEMENT];
        element.copy_from_slice(&sent);
        Exchange { half, element }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
}

/// The proof over one link.
#[derive(Debug)]
pub struct Proof {
    role: Role,
    /// Until the other side's element has come.
    half: Option<Exchange>,
    /// What the receiver and the sender show, once there is a key.
    shown: Option<[blake3::Hash; 2]>,
    /// Keying material of the connection, and the keys of the sender and the receiver.
    channel: [[u8; 32]; 3],
    state: State,
    steps: VecDeque<Step>,
}

impl Proof {
    /// For a connection with that keying material between the owners of these keys.
    pub fn new(
        role: Role,
        exchange: Exchange,
        binding: [u8; 32],
        (ours, theirs): (PublicKey, PublicKey),
    ) -> Proof {
        let steps = VecDeque::from([Step::Element(exchange.element)]);
        let (sender, receiver) = match role {
            Role::Sender => (ours, theirs),
            Role::Receiver => (theirs, ours),
        };
        Proof {
            role,
            half: Some(exchange),
            shown: None,
            channel: [binding, sender, receiver],
            state: State::Open,
            steps,
        }
    }

    /// How far it has come.
    pub fn state(&self) -> State {
        self.state
    }

    /// What the other side sends.
    ///
    /// # Errors
    /// When it is not its turn.
    pub fn handle(&mut self, step: Step) -> Result<(), OutOfTurn> {
        match (step, self.half.take(), self.shown) {
            (Step::Element(element), Some(exchange), None) => {
                let Ok(key) = exchange.half.finish(&element) else {
                    return Err(OutOfTurn);
                };
                let [by_receiver, by_sender] = ["receiver", "sender"].map(|side| {
                    let context = format!("pinhole chat 2026 code: shown by the {side}");
                    let mut hash = blake3::Hasher::new_derive_key(&context);
                    hash.update(&key);
                    self.channel.iter().for_each(|part| {
                        hash.update(part);
                    });
                    hash.finalize()
                });
                self.shown = Some([by_receiver, by_sender]);
                if self.role == Role::Receiver {
                    self.state = State::Shown;
                    let confirm = Step::Confirm(*by_receiver.as_bytes());
                    self.steps.push_back(confirm);
                }
                Ok(())
            }
            (Step::Confirm(shown), None, Some([by_receiver, by_sender])) => {
                // The comparisons take equally long, whatever differs.
                self.state = match (self.role, self.state) {
                    (Role::Sender, State::Open) if by_receiver == shown => {
                        let confirm = Step::Confirm(*by_sender.as_bytes());
                        self.steps.push_back(confirm);
                        State::Proven
                    }
                    (Role::Receiver, State::Shown) if by_sender == shown => State::Proven,
                    (_, State::Open | State::Shown) => State::Wrong,
                    (_, State::Proven | State::Wrong) => return Err(OutOfTurn),
                };
                Ok(())
            }
            _ => Err(OutOfTurn),
        }
    }

    /// The next step to send.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: PublicKey = [1; 32];
    const RECEIVER: PublicKey = [2; 32];
    const EVE: PublicKey = [3; 32];

    fn proof(role: Role, code: &str, binding: u8, keys: (PublicKey, PublicKey)) -> Proof {
        let exchange = Exchange::begin(role, &code.parse().unwrap());
        Proof::new(role, exchange, [binding; 32], keys)
    }

    fn pair(sender: &str, receiver: &str) -> [Proof; 2] {
        [
            proof(Role::Sender, sender, 0, (SENDER, RECEIVER)),
            proof(Role::Receiver, receiver, 0, (RECEIVER, SENDER)),
        ]
    }

    /// Carries everything both ways.
    fn carry([one, other]: &mut [Proof; 2]) -> Result<(), OutOfTurn> {
        loop {
            let (step, answer) = (one.poll_step(), other.poll_step());
            if (step, answer) == (None, None) {
                return Ok(());
            }
            step.map_or(Ok(()), |step| other.handle(step))?;
            answer.map_or(Ok(()), |step| one.handle(step))?;
        }
    }

    #[test]
    fn both_prove_that_they_know_the_code() {
        let mut pair = pair("7-croissant-lavender", "7 CRO LAV");
        carry(&mut pair).unwrap();
        assert_eq!(pair.map(|side| side.state), [State::Proven; 2]);
    }

    #[test]
    fn a_wrong_code_is_told_nothing_by_the_sender() {
        for wrong in ["7-croissant-croissant", "8-croissant-lavender"] {
            let mut pair = pair("7-croissant-lavender", wrong);
            carry(&mut pair).unwrap();
            assert_eq!(pair.map(|side| side.state), [State::Wrong, State::Shown]);
        }
    }

    /// A false sender shows something that it cannot know.
    #[test]
    fn a_sender_that_does_not_know_the_code_is_found_out() {
        let mut pair = pair("7-croissant-lavender", "7-croissant-croissant");
        carry(&mut pair).unwrap();
        pair[1].handle(Step::Confirm([0; 32])).unwrap();
        assert_eq!(pair[1].state, State::Wrong);
        let mut reflecting = proof(
            Role::Receiver,
            "7-croissant-lavender",
            0,
            (RECEIVER, SENDER),
        );
        let Some(Step::Element(own)) = reflecting.poll_step() else {
            panic!("no element");
        };
        assert_eq!(reflecting.handle(Step::Element(own)), Err(OutOfTurn));
    }

    /// Eve has a connection with each, and carries every step of one to the other.
    #[test]
    fn steps_that_are_carried_from_one_connection_to_another_prove_nothing() {
        let code = "7-croissant-lavender";
        for (binding, keys) in [
            (1, (RECEIVER, SENDER)),
            (0, (RECEIVER, EVE)),
            (0, (EVE, SENDER)),
        ] {
            let sender = proof(Role::Sender, code, 0, (SENDER, RECEIVER));
            let mut pair = [sender, proof(Role::Receiver, code, binding, keys)];
            carry(&mut pair).unwrap();
            assert_eq!(pair[0].state, State::Wrong);
        }
    }

    #[test]
    fn steps_out_of_turn_are_refused() {
        let mut sender = proof(Role::Sender, "7-cro-lav", 0, (SENDER, RECEIVER));
        assert_eq!(sender.handle(Step::Confirm([0; 32])), Err(OutOfTurn));
        let mut sender = proof(Role::Sender, "7-cro-lav", 0, (SENDER, RECEIVER));
        assert_eq!(
            sender.handle(Step::Element([0x42; 33])).ok(),
            None,
            "no point of the curve"
        );
        let mut pair = pair("7-cro-lav", "7-cro-lav");
        let Some(Step::Element(element)) = pair[1].poll_step() else {
            panic!("no element");
        };
        assert_eq!(pair[0].handle(Step::Element(element)), Ok(()));
        assert_eq!(pair[0].handle(Step::Element(element)), Err(OutOfTurn));
        let mut pair = self::pair("7-cro-lav", "7-cro-lav");
        carry(&mut pair).unwrap();
        for side in &mut pair {
            assert_eq!(side.handle(Step::Confirm([0; 32])), Err(OutOfTurn));
        }
    }
}
