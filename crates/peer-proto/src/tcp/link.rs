//! One connection, made or accepted, and what is known of who is there.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Builder, Class, Frames, Message, Method, Transaction};

use nat::is_private;
use session::seal::Keys;

/// Which connection; numbered from 0 as they come.
pub type LinkId = u32;

/// Who is connected and says nothing authentic for so long is a stranger.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);

/// What a message of the peer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It asks; the nomination if that is set.
    Asks { nominates: bool },
    /// It answers, so that it has heard us; the nomination if that is set.
    Answers { nominated: bool },
}

/// A message of the peer, and what it is to be answered with.
pub(super) struct Heard {
    pub(super) said: Said,
    pub(super) answer: Option<Vec<u8>>,
}

/// It is none of the peer's.
pub(super) struct Stranger;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) remote: SocketAddr,
    pub(super) lan: bool,
    /// It was accepted: who connects speaks first.
    pub(super) accepted: bool,
    /// Since when it is open; `None` while it is being made.
    pub(super) open: Option<Instant>,
    /// An authentic message of the peer has come.
    pub(super) heard: bool,
    /// Our probe was answered.
    pub(super) proved: Option<Duration>,
    frames: Frames,
    /// Our last probe, when it left, and whether it nominates.
    asked: Option<(Transaction, Instant, bool)>,
}

impl Link {
    pub(super) fn new(id: LinkId, remote: SocketAddr, accepted: bool) -> Self {
        Link {
            id,
            remote,
            lan: is_private(remote.ip()),
            accepted,
            open: None,
            heard: false,
            proved: None,
            frames: Frames::default(),
            asked: None,
        }
    }

    pub(super) fn has_asked(&self) -> bool {
        self.asked.is_some()
    }

    /// A probe to be sent.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        keys: &Keys,
        transaction: Transaction,
        nominates: bool,
    ) -> Vec<u8> {
        self.asked = Some((transaction, now, nominates));
        let mut probe = Builder::request(Method::Probe, transaction).attempt(keys.attempt);
        if nominates {
            probe = probe.use_candidate();
        }
        probe.finish_authentic(&keys.outgoing)
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// What the peer says next.
    pub(super) fn next(&mut self, now: Instant, keys: &Keys) -> Result<Option<Heard>, Stranger> {
        let Some(bytes) = self.frames.next().map_err(|_| Stranger)? else {
            return Ok(None);
        };
        let message = Message::parse(&bytes).map_err(|_| Stranger)?;
        let ours = message.method() == Method::Probe
            && message.attempt() == Some(keys.attempt)
            && message.authentic(&keys.incoming);
        if !ours {
            return Err(Stranger);
        }
        self.heard = true;
        match (message.class(), self.asked) {
            (Class::Request, _) => {
                let nominates = message.use_candidate();
                let answer = Builder::success(&message).attempt(keys.attempt);
                let answer = answer.finish_authentic(&keys.outgoing);
                Ok(Some(Heard {
                    said: Said::Asks { nominates },
                    answer: Some(answer),
                }))
            }
            (Class::Success, Some((transaction, at, nominated)))
                if transaction == message.transaction() =>
            {
                let rtt = now.saturating_duration_since(at);
                self.proved.get_or_insert(rtt);
                Ok(Some(Heard {
                    said: Said::Answers { nominated },
                    answer: None,
                }))
            }
            _ => Err(Stranger),
        }
    }
}
