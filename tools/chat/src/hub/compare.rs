//! Digits to compare with a peer.

use super::Hub;
use crate::conversation::LinkId;
use crate::link::{Close, Down};
use crate::notice::Notice;
use crate::verify::{Event, Step};

impl Hub {
    /// The user wants to compare digits with that peer.
    pub(super) fn verify(&mut self, name: &str) {
        let verify = self.peers.get_mut(name).and_then(|p| p.verify.as_mut());
        let Some(verify) = verify else {
            return self.problem(format!("{name} is not connected: /connect {name}"));
        };
        let mut nonce = [0; 32];
        if let Err(error) = getrandom::fill(&mut nonce) {
            return self.problem(format!("cannot read the system's randomness: {error}"));
        }
        verify.begin(nonce);
        if verify.waits() {
            let peer = name.to_owned();
            self.tell(Notice::Verifying {
                peer,
                theirs: false,
            });
        }
    }

    /// A step of the peer.
    pub(super) fn verify_step(&mut self, id: LinkId, step: Step) -> Option<Down> {
        let (name, peer) = self.over(id)?;
        let verify = peer.verify.as_mut()?;
        if let Err(cheat) = verify.handle(step) {
            if let Some(link) = &peer.link {
                link.close(Close::Violation);
            }
            return Some(Down::Violation(cheat.to_string()));
        }
        let event = verify.poll_event()?;
        self.tell(match event {
            Event::Asked => Notice::Verifying {
                peer: name,
                theirs: true,
            },
            Event::Digits(digits) => Notice::Verify { peer: name, digits },
        });
        None
    }

    /// The link is gone, and the comparison with it.
    pub(super) fn verify_ended(&mut self, name: &str) {
        let verify = self.peers.get_mut(name).and_then(|p| p.verify.take());
        if verify.is_some_and(|verify| verify.is_under_way()) {
            self.problem(format!(
                "the comparison with {name} was interrupted: /verify {name} again, both"
            ));
        }
    }
}
