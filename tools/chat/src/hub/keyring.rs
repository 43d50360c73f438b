//! Which key belongs to which name, and to the rendezvous, as far as it was seen
//! before.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use cli::home::new_key::NewKey;
use cli::home::{Home, HomeError};
use cli::server::KnownServer;
use session::identity::PublicKey;

/// The keys of the peers that we have met, here and on disk.
#[derive(Debug)]
pub struct Keyring {
    home: Home,
    known: HashMap<String, PublicKey>,
    /// Whose changed key the command line says to trust.
    trusted: HashSet<String>,
    /// The rendezvous.
    pub server: KnownServer,
    /// Our own new key, until the rendezvous has accepted it.
    new_key: Option<NewKey>,
}

impl Keyring {
    /// With what is on disk in `home`.
    pub fn new(
        home: Home,
        known: HashMap<String, PublicKey>,
        trusted: Vec<String>,
        server: KnownServer,
    ) -> Keyring {
        Keyring {
            home,
            known,
            trusted: trusted.into_iter().collect(),
            server,
            new_key: None,
        }
    }

    /// The key that a name is known by.
    pub fn key_of(&self, name: &str) -> Option<PublicKey> {
        self.known.get(name).copied()
    }

    /// With a new key of our own that the rendezvous has to accept.
    pub fn with_new_key(mut self, new_key: Option<NewKey>) -> Keyring {
        self.new_key = new_key;
        self
    }

    /// Whether our own new key is not accepted yet.
    pub fn awaits_acceptance(&self) -> bool {
        self.new_key.is_some()
    }

    /// The rendezvous has registered us: it has accepted our new key, if there is
    /// one. Returns that key, once.
    ///
    /// # Errors
    /// When it cannot be written. The old key stays on disk, and the next start
    /// tries again.
    pub fn accepted(&mut self, name: &str) -> Result<Option<NewKey>, HomeError> {
        let new = self.new_key.take();
        if let Some(new) = &new {
            self.home.accept_new_key(name, new)?;
        }
        Ok(new)
    }

    /// The rendezvous has refused to register us: if we have a new key, it is set
    /// aside. Returns why, and what to do.
    ///
    /// # Errors
    /// When it cannot be set aside.
    pub fn refused(
        &mut self,
        name: &str,
        server: SocketAddr,
        code: u16,
    ) -> Result<Option<String>, HomeError> {
        let new = self.new_key.take();
        new.map(|_| self.home.refuse_new_key(name, server, code))
            .transpose()
    }

    /// The peers that we have met.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.known.keys()
    }

    /// Whether we have met that peer.
    pub fn knows(&self, name: &str) -> bool {
        self.known.contains_key(name)
    }

    /// Pins the first key that a name is seen with; true if it is the first.
    /// It counts even if it cannot be written.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn pin(&mut self, name: &str, key: PublicKey) -> Result<bool, HomeError> {
        if self.known.contains_key(name) {
            return Ok(false);
        }
        self.known.insert(name.to_owned(), key);
        self.home.remember_peer(name, &key).map(|()| true)
    }

    /// Trusts another key from now on.
    ///
    /// # Errors
    /// When it cannot be written; the known key stays.
    pub fn trust(&mut self, name: &str, key: PublicKey) -> Result<(), HomeError> {
        self.home.trust_peer(name, &key)?;
        self.known.insert(name.to_owned(), key);
        Ok(())
    }

    /// Whether the command line says to trust a changed key of that peer; it
    /// does so once.
    pub fn take_trusted(&mut self, name: &str) -> bool {
        self.trusted.remove(name)
    }
}
