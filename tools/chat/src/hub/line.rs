//! The link with a peer, and what lives as long as it does.

use std::time::{Duration, Instant};

use session::identity::PublicKey;

use crate::frame::Frame;
use crate::link::Link;
use crate::proof::{self, Proof};
use crate::verify::Verify;

/// The link with a peer.
#[derive(Debug)]
pub struct Line {
    /// The link.
    pub link: Link,
    /// The comparison of digits over it.
    pub verify: Verify,
    /// The proof that both know a code, if one is asked for: before, nothing is said.
    pub proof: Option<Proof>,
    /// Datagrams that had come when we last sent something or were reassured.
    heard: u64,
    silence: Silence,
}

impl Line {
    /// For a new link, between us and the owner of its key.
    pub fn new(now: Instant, link: Link, ours: PublicKey, keepalive: Duration) -> Line {
        let heard = link.heard();
        Line {
            verify: Verify::new(link.binding, ours, link.key),
            proof: None,
            heard,
            silence: Silence::new(now, keepalive, heard),
            link,
        }
    }

    /// Hands frames to the link as long as it has room: the proof's, then what is said, then
    /// the comparison's.
    pub fn write(&mut self, mut said: impl FnMut() -> Option<Frame>) {
        while let Some(room) = self.link.room()
            && let Some(frame) = next_frame(&mut self.proof, &mut self.verify, &mut said)
        {
            room.send(frame);
            self.heard = self.link.heard();
        }
    }

    /// Whether the peer has proven what it had to.
    pub fn is_trusted(&self) -> bool {
        is_proven(self.proof.as_ref())
    }

    /// Whether anything has come over it since something was sent, or since
    /// this was asked.
    pub fn take_heard(&mut self) -> bool {
        let heard = self.link.heard();
        std::mem::replace(&mut self.heard, heard) != heard
    }

    /// When [`Self::is_silent`] has to be called.
    pub fn poll_timeout(&self) -> Instant {
        self.silence.look_at
    }

    /// Whether nothing comes although both sides keep it alive.
    pub fn is_silent(&mut self, now: Instant) -> bool {
        let heard = self.link.heard();
        self.silence.look(now, heard)
    }
}

fn is_proven(proof: Option<&Proof>) -> bool {
    proof.is_none_or(|proof| proof.state() == proof::State::Proven)
}

fn next_frame(
    proof: &mut Option<Proof>,
    verify: &mut Verify,
    said: impl FnOnce() -> Option<Frame>,
) -> Option<Frame> {
    let step = proof.as_mut().and_then(Proof::poll_step);
    if step.is_some() || !is_proven(proof.as_ref()) {
        return step.map(Frame::Proof);
    }
    said().or_else(|| verify.poll_step().map(Frame::Verify))
}

/// Notices when nothing comes for longer than the keepalives of the other side
/// allow.
#[derive(Debug)]
struct Silence {
    keepalive: Duration,
    /// How much had come, and since when it is no more.
    heard: u64,
    since: Instant,
    look_at: Instant,
}

impl Silence {
    fn new(now: Instant, keepalive: Duration, heard: u64) -> Silence {
        Silence {
            keepalive,
            heard,
            since: now,
            look_at: now + keepalive / 5,
        }
    }

    /// Looks, once it is time; true once for each 1.2 keepalive intervals
    /// without a datagram.
    fn look(&mut self, now: Instant, heard: u64) -> bool {
        if now < self.look_at {
            return false;
        }
        self.look_at = now + self.keepalive / 5;
        let silent = heard == self.heard && now >= self.since + self.keepalive * 6 / 5;
        if silent || heard != self.heard {
            (self.heard, self.since) = (heard, now);
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_silent_when_a_keepalive_and_a_fifth_bring_nothing() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut silence = Silence::new(start, 5 * second, 7);
        assert!(!silence.look(start + 5 * second, 7));
        assert!(silence.look(start + 6 * second, 7));
        assert!(!silence.look(start + 7 * second, 7), "it was reported");
        assert!(silence.look(start + 12 * second, 7), "it goes on");
        assert!(!silence.look(start + 18 * second, 8), "a datagram came");
        assert!(!silence.look(start + 23 * second, 8));
        assert!(silence.look(start + 24 * second, 8));
    }
}
