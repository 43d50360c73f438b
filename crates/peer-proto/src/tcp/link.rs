//! One connection, made or accepted, and what is known of the other end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use stun::{Builder, Class, Frames, Message, Method, Transaction};

use nat::is_private;
use session::seal::Keys;

/// Which connection; numbered from 0 as they come.
pub type LinkId = u32;

/// A connection that brings nothing authentic within this time is closed.
pub(super) const TIMEOUT: Duration = Duration::from_secs(3);

/// What a probe is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It asks whether the peer is there.
    Check,
    /// It chooses this connection.
    Nomination,
}

/// What a message of the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A probe.
    Probe(Purpose),
    /// The answer to our last probe.
    Answer(Purpose),
}

/// Which side made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Made,
    Accepted,
}

/// A message of the peer, and the answer to it.
pub(super) struct Heard {
    pub(super) meaning: Meaning,
    pub(super) answer: Option<Vec<u8>>,
}

/// The message is not the peer's.
pub(super) struct Stranger;

/// A probe of ours.
#[derive(Clone, Copy, Debug)]
struct Sent {
    transaction: Transaction,
    at: Instant,
    purpose: Purpose,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) remote: SocketAddr,
    pub(super) lan: bool,
    pub(super) origin: Origin,
    /// When the making began, or it was accepted.
    pub(super) since: Instant,
    /// When it was established; `None` while it is being made.
    pub(super) open: Option<Instant>,
    /// An authentic message of the peer has come.
    pub(super) heard: bool,
    /// The round trip of our first probe that was answered.
    pub(super) proved: Option<Duration>,
    frames: Frames,
    /// Our last probe.
    asked: Option<Sent>,
}

impl Link {
    pub(super) fn new(id: LinkId, remote: SocketAddr, origin: Origin, since: Instant) -> Self {
        Link {
            id,
            remote,
            lan: is_private(remote.ip()),
            origin,
            since,
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

    /// The probe to be sent.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        keys: &Keys,
        transaction: Transaction,
        purpose: Purpose,
    ) -> Vec<u8> {
        self.asked = Some(Sent {
            transaction,
            at: now,
            purpose,
        });
        let mut probe = Builder::request(Method::Probe, transaction).attempt(keys.attempt);
        if purpose == Purpose::Nomination {
            probe = probe.use_candidate();
        }
        probe.finish_authentic(&keys.outgoing)
    }

    /// Bytes that have come.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.frames.push(bytes);
    }

    /// What has come and was not read.
    pub(super) fn into_rest(self) -> Vec<u8> {
        self.frames.into_rest()
    }

    /// The next message that has come in full.
    pub(super) fn next(&mut self, now: Instant, keys: &Keys) -> Result<Option<Heard>, Stranger> {
        let Some(bytes) = self.frames.next_message().map_err(|_| Stranger)? else {
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
                let purpose = match message.use_candidate() {
                    true => Purpose::Nomination,
                    false => Purpose::Check,
                };
                let answer = Builder::success(&message).attempt(keys.attempt);
                let answer = answer.finish_authentic(&keys.outgoing);
                Ok(Some(Heard {
                    meaning: Meaning::Probe(purpose),
                    answer: Some(answer),
                }))
            }
            (Class::Success, Some(sent)) if sent.transaction == message.transaction() => {
                let rtt = now.saturating_duration_since(sent.at);
                self.proved.get_or_insert(rtt);
                Ok(Some(Heard {
                    meaning: Meaning::Answer(sent.purpose),
                    answer: None,
                }))
            }
            _ => Err(Stranger),
        }
    }
}
