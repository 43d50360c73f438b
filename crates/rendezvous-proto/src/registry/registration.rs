//! One name's entry: its owner, and what a request of its owner makes of it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use session::identity::PublicKey;
use session::rotation::Rotation;
use session::seal::Fresh;

use super::{Application, HOLD, Refusal};
use crate::bindings::Binding;
use crate::cookie;
use crate::types::FiveTuple;

/// What is stored says that a name is bound for this much longer than it has to be, so that it is not
/// stored with each refresh.
const AHEAD: Duration = Duration::from_secs(3600);

/// A name's entry.
#[derive(Clone, Debug)]
pub(crate) struct Registration {
    /// The owner's key.
    pub(crate) key: PublicKey,
    /// The owner's reflexive address, and the socket of the server's whose
    /// packets its NAT lets in.
    pub(crate) at: FiveTuple,
    /// The cookie that it registered with: it shows that a notification comes
    /// from this server.
    pub(crate) cookie: [u8; cookie::LENGTH],
    /// How the owner got its key from the one before, if it has had another.
    pub(crate) rotation: Option<Box<Rotation>>,
    /// The owner's nonce, to which callers bind their offers.
    pub(crate) fresh: Fresh,
    /// The owner wants notifications to be proved.
    pub(crate) asks_proof: bool,
    pub(super) expires: Instant,
    /// Until when it is bound by what is stored, or about to be; `None`: its key is not stored.
    pub(super) stored: Option<Instant>,
    /// The sequence number of the last registration.
    pub(super) sequence: u64,
    /// That of the last Connect. It has a count of its own, since requests of the
    /// two kinds may overtake each other on the way.
    pub(super) connect_sequence: u64,
}

impl Registration {
    pub(super) fn new(now: Instant, application: Application<'_>) -> Self {
        let Application { name, place, .. } = application;
        let leads_here = |rotation: &Rotation| rotation.leads_to(name, &place.key);
        Registration {
            rotation: application.rotation.filter(leads_here).map(Box::new),
            key: place.key,
            at: place.at,
            cookie: place.cookie,
            fresh: place.fresh,
            asks_proof: place.asks_proof,
            expires: now + application.lifetime,
            stored: None,
            sequence: application.sequence,
            connect_sequence: 0,
        }
    }

    /// That of a name which is bound and not registered.
    pub(super) fn restored(now: Instant, binding: &Binding) -> Self {
        let rotation = binding.rotation.map(Rotation::from_bytes);
        Registration {
            key: binding.key,
            at: FiveTuple {
                socket: 0,
                client: SocketAddr::new(binding.network, 0),
            },
            cookie: [0; cookie::LENGTH],
            rotation: rotation.map(Box::new),
            fresh: Fresh::default(),
            asks_proof: false,
            expires: now,
            stored: Some(binding.until),
            sequence: 0,
            connect_sequence: 0,
        }
    }

    /// What is to be stored of it, if what is stored does not bind the name for as long.
    pub(super) fn take_change(&mut self, name: &str) -> Option<Binding> {
        let bound = self.expires + HOLD;
        if self.stored.is_some_and(|until| until >= bound) {
            return None;
        }
        let until = bound + AHEAD;
        self.stored = Some(until);
        Some(Binding {
            name: name.to_owned(),
            key: self.key,
            rotation: self
                .rotation
                .as_deref()
                .map(|rotation| *rotation.as_bytes()),
            network: self.at.client.ip(),
            until,
        })
    }

    /// What becomes of it by a request of its owner; `None`: nothing, since the
    /// request is a retransmission.
    pub(super) fn renewed(
        &self,
        now: Instant,
        mut application: Application<'_>,
    ) -> Result<Option<Registration>, Refusal> {
        let (sequence, client) = (application.sequence, application.place.at.client);
        let owner = application.place.key == self.key;
        if owner && sequence == self.sequence && client == self.at.client {
            return Ok(None); // Its answer was lost.
        }
        if !owner && !self.may_pass_on(&application) {
            return Err(Refusal::Taken);
        }
        if owner && sequence <= self.sequence {
            return Err(Refusal::Replayed);
        }
        // A signature is checked once, and not with each refresh.
        application
            .rotation
            .take_if(|rotation| Some(&*rotation) == self.rotation.as_deref());
        let mut renewed = Registration::new(now, application);
        if !owner && renewed.rotation.is_none() {
            return Err(Refusal::Taken);
        }
        // SEQUENCE grows across keys, too: no request of an earlier key can be sent
        // again.
        if sequence <= self.sequence {
            return Err(Refusal::Replayed);
        }
        renewed.rotation = renewed.rotation.or_else(|| self.rotation.clone());
        renewed.connect_sequence = self.connect_sequence;
        renewed.stored = self.stored.filter(|_| owner);
        Ok(Some(renewed))
    }

    /// Whether the rotation in that application, if it is genuine, gives the name to
    /// another key. It does not go back to the key that it has just come from: then
    /// the rotation from there to here could be sent again by whoever has this key.
    fn may_pass_on(&self, application: &Application<'_>) -> bool {
        let from_here = |rotation: &Rotation| rotation.old() == self.key;
        let back = |last: &Rotation| last.old() == application.place.key;
        application.rotation.as_ref().is_some_and(from_here)
            && !self.rotation.as_deref().is_some_and(back)
    }
}
