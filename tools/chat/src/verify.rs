//! Digits that two people compare, to be sure that nobody intercepts their
//! conversation.
//!
//! Eight digits are enough, because an attacker cannot search for keys that give
//! the same ones: both sides commit themselves to a nonce before either shows
//! its own, and the digits are made of both. An attacker in the middle has one
//! guess for each time that both users ask, and the users see a wrong one.
//!
//! One [`Verify`] belongs to one link. [`Verify::begin`] when the user asks,
//! feed what the peer sends to [`Verify::handle`], and act on
//! [`Verify::poll_step`] and [`Verify::poll_event`].

use std::collections::VecDeque;

use session::identity::PublicKey;

/// A random number, or the hash of one.
pub type Bytes32 = [u8; 32];

/// What the two sides send each other, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The hash of the sender's nonce.
    Commit(Bytes32),
    /// The nonce, when both have committed themselves.
    Reveal(Bytes32),
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer's user wants to compare, and ours has not asked yet.
    Asked,
    /// The digits to compare.
    Digits(String),
}

/// The peer breaks the rules. The link has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cheat {
    /// A second commitment, or a nonce before both have committed themselves.
    #[error("a step of the comparison came out of turn")]
    OutOfTurn,
    /// The nonce is not the one that the peer was committed to.
    #[error("the nonce of the comparison is not the one that was committed to")]
    OtherNonce,
}

/// A comparison over one link.
#[derive(Debug)]
pub struct Verify {
    /// Keying material of the connection, the same at both ends.
    binding: Bytes32,
    ours: PublicKey,
    theirs: PublicKey,
    nonce: Option<Bytes32>,
    commitment: Option<Bytes32>,
    steps: VecDeque<Step>,
    events: VecDeque<Event>,
}

impl Verify {
    /// For a connection between the owners of these keys.
    pub fn new(binding: Bytes32, ours: PublicKey, theirs: PublicKey) -> Verify {
        Verify {
            binding,
            ours,
            theirs,
            nonce: None,
            commitment: None,
            steps: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Our user asks. `nonce` is random. False if our user has asked before, and
    /// the peer's has not.
    pub fn begin(&mut self, nonce: Bytes32) -> bool {
        if self.nonce.is_some() {
            return false;
        }
        self.nonce = Some(nonce);
        let commitment = self.commitment_of(&self.ours, &nonce);
        self.steps.push_back(Step::Commit(commitment));
        if self.commitment.is_some() {
            self.steps.push_back(Step::Reveal(nonce));
        }
        true
    }

    /// Whether a side has asked and there are no digits yet.
    pub fn is_under_way(&self) -> bool {
        self.nonce.is_some() || self.commitment.is_some()
    }

    /// Whether our user has asked, and the peer's has not.
    pub fn waits(&self) -> bool {
        self.nonce.is_some() && self.commitment.is_none()
    }

    /// What the peer sends.
    ///
    /// # Errors
    /// `Cheat`: the digits would prove nothing.
    pub fn handle(&mut self, step: Step) -> Result<(), Cheat> {
        match (step, self.nonce, self.commitment) {
            (Step::Commit(commitment), nonce, None) => {
                self.commitment = Some(commitment);
                match nonce {
                    Some(nonce) => self.steps.push_back(Step::Reveal(nonce)),
                    None => self.events.push_back(Event::Asked),
                }
                Ok(())
            }
            (Step::Reveal(nonce), Some(our_nonce), Some(commitment)) => {
                if self.commitment_of(&self.theirs, &nonce) != commitment {
                    return Err(Cheat::OtherNonce);
                }
                let digits = self.digits(&our_nonce, &nonce);
                self.events.push_back(Event::Digits(digits));
                (self.nonce, self.commitment) = (None, None);
                Ok(())
            }
            _ => Err(Cheat::OutOfTurn),
        }
    }

    /// The next step to send.
    pub fn poll_step(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// It names the side that commits: otherwise a commitment could be sent back to
    /// its author.
    fn commitment_of(&self, who: &PublicKey, nonce: &Bytes32) -> Bytes32 {
        let mut hash = blake3::Hasher::new_derive_key("pinhole chat 2026 verify: commitment");
        hash.update(&self.binding).update(who).update(nonce);
        *hash.finalize().as_bytes()
    }

    /// Two groups of four digits: 26 bits for one guess.
    fn digits(&self, our_nonce: &Bytes32, their_nonce: &Bytes32) -> String {
        let mut sides = [(&self.ours, our_nonce), (&self.theirs, their_nonce)];
        sides.sort();
        let mut hash = blake3::Hasher::new_derive_key("pinhole chat 2026 verify: digits");
        hash.update(&self.binding);
        for (key, nonce) in sides {
            hash.update(key).update(nonce);
        }
        let mut head = [0; 8];
        hash.finalize_xof().fill(&mut head);
        let number = u64::from_be_bytes(head);
        format!("{:04} {:04}", number / 10_000 % 10_000, number % 10_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: PublicKey = [1; 32];
    const BOB: PublicKey = [2; 32];
    const EVE: PublicKey = [3; 32];

    fn pair(binding: u8, one: PublicKey, other: PublicKey) -> [Verify; 2] {
        [(one, other), (other, one)].map(|(ours, theirs)| Verify::new([binding; 32], ours, theirs))
    }

    /// Carries everything both ways.
    fn carry([one, other]: &mut [Verify; 2]) -> Result<(), Cheat> {
        loop {
            let (step, answer) = (one.poll_step(), other.poll_step());
            if (step, answer) == (None, None) {
                return Ok(());
            }
            step.map_or(Ok(()), |step| other.handle(step))?;
            answer.map_or(Ok(()), |step| one.handle(step))?;
        }
    }

    fn digits(verify: &mut Verify) -> Option<String> {
        loop {
            match verify.poll_event()? {
                Event::Digits(digits) => return Some(digits),
                Event::Asked => {}
            }
        }
    }

    #[test]
    fn both_sides_see_the_same_digits_and_new_ones_each_time() {
        let mut pair = pair(0, ALICE, BOB);
        let mut seen = Vec::new();
        for first in [Some(0), Some(1), None] {
            if let Some(first) = first {
                assert!(pair[first].begin([4; 32]));
                assert!(pair[first].waits() && !pair[first].begin([4; 32]));
                carry(&mut pair).unwrap();
                assert_eq!(pair[1 - first].poll_event(), Some(Event::Asked));
                assert!(pair[1 - first].begin([5; 32]));
            } else {
                assert!(pair[0].begin([6; 32]) && pair[1].begin([7; 32]));
            }
            carry(&mut pair).unwrap();
            let [one, other] = &mut pair;
            let (one, other) = (digits(one).unwrap(), digits(other).unwrap());
            assert_eq!(one, other);
            assert_eq!(one.len(), "1234 5678".len());
            assert!(!seen.contains(&one));
            seen.push(one);
        }
    }

    #[test]
    fn a_nonce_is_shown_only_after_both_have_committed_themselves() {
        let mut pair = pair(0, ALICE, BOB);
        pair[0].begin([4; 32]);
        let commitment = pair[0].poll_step().unwrap();
        assert!(matches!(commitment, Step::Commit(_)));
        assert_eq!(pair[0].poll_step(), None);
        pair[1].handle(commitment).unwrap();
        assert_eq!(pair[1].poll_step(), None, "bob's nonce, or eve could guess");
    }

    /// Eve has a connection with each, with a key of her own, and keeps to the
    /// protocol.
    #[test]
    fn an_attacker_in_the_middle_gives_the_two_sides_different_digits() {
        for n in 0..500_u32 {
            let nonce =
                |who: u8| *blake3::hash(&[&[who][..], &n.to_be_bytes()].concat()).as_bytes();
            let (mut left, mut right) = (pair(1, ALICE, EVE), pair(2, EVE, BOB));
            left[0].begin(nonce(0));
            left[1].begin(nonce(1));
            right[0].begin(nonce(1));
            right[1].begin(nonce(2));
            carry(&mut left).unwrap();
            carry(&mut right).unwrap();
            assert_ne!(
                digits(&mut left[0]).unwrap(),
                digits(&mut right[1]).unwrap()
            );
        }
    }

    /// Even if Eve has the keys of both, her two connections have different
    /// bindings.
    #[test]
    fn steps_of_one_connection_are_refused_on_another() {
        let (mut left, mut right) = (pair(1, ALICE, BOB), pair(2, ALICE, BOB));
        left[0].begin([4; 32]);
        right[1].begin([5; 32]);
        let commitment = left[0].poll_step().unwrap();
        right[1].handle(commitment).unwrap();
        right[1].poll_step().map(|step| left[0].handle(step));
        let nonce = left[0].poll_step().unwrap();
        assert_eq!(right[1].handle(nonce), Err(Cheat::OtherNonce));
    }

    #[test]
    fn a_nonce_cannot_be_changed_after_the_other_was_seen() {
        let committed = || {
            let [mut alice, mut eve] = pair(0, ALICE, EVE);
            alice.begin([4; 32]);
            eve.begin([5; 32]);
            alice.handle(eve.poll_step().unwrap()).unwrap();
            let shown: Vec<Step> = std::iter::from_fn(|| alice.poll_step()).collect();
            assert_eq!(shown[1], Step::Reveal([4; 32]));
            (alice, shown)
        };
        let (mut alice, _) = committed();
        let other = Step::Reveal([6; 32]);
        assert_eq!(alice.handle(other), Err(Cheat::OtherNonce));
        let (mut alice, shown) = committed();
        assert_eq!(alice.handle(shown[0]), Err(Cheat::OutOfTurn), "again");
        let (mut alice, _) = committed();
        alice.handle(Step::Reveal([5; 32])).unwrap();
        let late = alice.handle(Step::Reveal([5; 32]));
        assert_eq!(late, Err(Cheat::OutOfTurn));
    }

    #[test]
    fn our_own_commitment_sent_back_is_refused() {
        let [mut alice, _] = pair(0, ALICE, EVE);
        alice.begin([4; 32]);
        let mine = alice.poll_step().unwrap();
        alice.handle(mine).unwrap();
        let nonce = alice.poll_step().unwrap();
        assert_eq!(alice.handle(nonce), Err(Cheat::OtherNonce));
    }
}
