//! The rendezvous that is used, and the key that it is known by.

use std::fmt::{self, Display, Formatter};

use peer_proto::client::OtherKey;
use session::identity::PublicKey;

use crate::address::short;
use crate::keyfile::FileError;
use crate::keylist::KeyList;

/// A rendezvous and its key, as far as it is known.
#[derive(Clone, Debug)]
pub struct KnownServer {
    list: KeyList,
    /// `HOST:PORT`, by which it is known in the list.
    host: String,
    given: Option<PublicKey>,
    listed: Option<PublicKey>,
    /// Whatever is listed does not count.
    trusted: bool,
}

/// What is new when a server has proved its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// No key was known, and none was given.
    FirstUse,
    /// Another key was known; the user has said that this one is right.
    Replaced,
}

impl KnownServer {
    /// The server at `host` (`HOST:PORT`). `given` is the key that the user has
    /// given for it, `trust` that any key is trusted.
    ///
    /// # Errors
    /// When the list cannot be read, or is malformed.
    pub(crate) fn new(
        list: KeyList,
        host: String,
        given: Option<PublicKey>,
        trust: bool,
    ) -> Result<KnownServer, FileError> {
        let listed = list.read()?.get(&host).copied();
        Ok(KnownServer {
            list,
            host,
            given,
            listed,
            trusted: trust,
        })
    }

    /// The only key that is accepted, if there is one.
    pub fn expected(&self) -> Option<PublicKey> {
        self.given.or(self.listed.filter(|_| !self.trusted))
    }

    /// `HOST[:PORT]`.
    pub fn host(&self) -> &str {
        short(&self.host)
    }

    /// What others have to give as `--server`.
    pub fn address(&self, key: Option<&PublicKey>) -> String {
        match key {
            Some(key) => format!("{}#{}", self.host(), hex::encode(key)),
            None => self.host().to_owned(),
        }
    }

    /// The server has proved that key: it is remembered.
    ///
    /// # Errors
    /// When the list cannot be written. The key is known all the same.
    pub fn proved(&mut self, key: PublicKey) -> Result<Option<Met>, FileError> {
        let met = match self.listed.replace(key) {
            Some(listed) if listed == key => return Ok(None),
            Some(_) => Some(Met::Replaced),
            None => self.given.is_none().then_some(Met::FirstUse),
        };
        self.trusted = false;
        self.list.set(&self.host, &key).map(|()| met)
    }

    /// What to tell the user of a key that is new.
    pub fn tell(&self, met: Met, key: &PublicKey) -> String {
        let (host, key) = (self.host(), hex::encode(key));
        match met {
            Met::FirstUse => format!(
                "trusting the key {key} of the rendezvous at {host} on first use. To be sure, \
                 compare it with the one that the rendezvous has printed at its start. It is kept \
                 in {}",
                self.list.path().display()
            ),
            Met::Replaced => format!("the key of the rendezvous at {host} is {key} from now on"),
        }
    }

    /// What to tell the user of a server without a key.
    pub fn tell_keyless(&self) -> String {
        format!(
            "the rendezvous at {} has no key (its version is older): whoever is on the way may \
             answer in its place",
            self.host()
        )
    }

    /// What to tell the user when another server answers.
    pub fn refusal(&self, other: OtherKey) -> OtherServer<'_> {
        OtherServer {
            server: self,
            other,
        }
    }
}

/// Another server answers than the known one, for people.
#[derive(Debug)]
pub struct OtherServer<'a> {
    server: &'a KnownServer,
    other: OtherKey,
}

impl Display for OtherServer<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let KnownServer {
            list, host, given, ..
        } = self.server;
        let (short, expected) = (short(host), hex::encode(self.other.expected));
        let Some(got) = self.other.got.map(hex::encode) else {
            return write!(
                f,
                "the rendezvous at {short} does not prove its key: expected {expected}, got none. \
                 Either its version is older, or somebody on the way answers in its place"
            );
        };
        write!(
            f,
            "the rendezvous at {short} has another key: expected {expected}, got {got}. Either it \
             was set up anew, or somebody answers in its place. Ask whoever runs it, over another \
             channel. "
        )?;
        match given {
            Some(_) => write!(f, "If the new key is right, use --server {short}#{got}"),
            None => write!(
                f,
                "If the new key is right, use --server {short}#{got} once, or --trust-server, or \
                 remove the line of {host} from {}",
                list.path().display()
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "203.0.113.1:8848";

    fn list(test: &str) -> KeyList {
        let folder = format!("pinhole-servers-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        let _ = std::fs::remove_dir_all(&path);
        KeyList::at(path.join("known-servers"))
    }

    fn remove(list: &KeyList) {
        std::fs::remove_dir_all(list.path().parent().unwrap()).unwrap();
    }

    #[test]
    fn a_key_is_trusted_on_first_use_and_no_other_after_that() {
        let list = list("first");
        let server = |given, trust| KnownServer::new(list.clone(), HOST.into(), given, trust);
        let mut first = server(None, false).unwrap();
        assert_eq!(first.expected(), None);
        assert_eq!(first.proved([1; 32]).unwrap(), Some(Met::FirstUse));
        assert_eq!(first.proved([1; 32]).unwrap(), None);
        let mut second = server(None, false).unwrap();
        assert_eq!(second.expected(), Some([1; 32]));
        assert_eq!(second.proved([1; 32]).unwrap(), None);
        // The user says that any key is right, or which one is.
        let mut any = server(None, true).unwrap();
        assert_eq!(any.expected(), None);
        assert_eq!(any.proved([2; 32]).unwrap(), Some(Met::Replaced));
        let mut given = server(Some([3; 32]), true).unwrap();
        assert_eq!(given.expected(), Some([3; 32]));
        assert_eq!(given.proved([3; 32]).unwrap(), Some(Met::Replaced));
        assert_eq!(list.read().unwrap()[HOST], [3; 32]);
        remove(&list);
    }

    #[test]
    fn a_key_that_was_given_is_remembered_without_a_word() {
        let list = list("given");
        let given = Some([3; 32]);
        let mut server = KnownServer::new(list.clone(), HOST.into(), given, false).unwrap();
        assert_eq!(server.proved([3; 32]).unwrap(), None);
        assert_eq!(list.read().unwrap()[HOST], [3; 32]);
        remove(&list);
    }

    #[test]
    fn another_key_is_told_with_both_keys_and_the_way_out() {
        let list = list("told");
        let server = |given| KnownServer::new(list.clone(), HOST.into(), given, false).unwrap();
        let other = |got| OtherKey {
            expected: [1; 32],
            got,
        };
        let [expected, got] = ["01".repeat(32), "02".repeat(32)];
        let known = server(None).refusal(other(Some([2; 32]))).to_string();
        let begins = format!(
            "the rendezvous at 203.0.113.1 has another key: expected {expected}, got {got}."
        );
        assert!(known.starts_with(&begins), "{known}");
        assert!(known.contains("--trust-server"), "{known}");
        assert!(
            known.contains("the line of 203.0.113.1:8848 from"),
            "{known}"
        );
        let given = server(Some([1; 32]))
            .refusal(other(Some([2; 32])))
            .to_string();
        let ends = format!("use --server 203.0.113.1#{got}");
        assert!(given.ends_with(&ends), "{given}");
        let none = server(None).refusal(other(None)).to_string();
        assert!(none.contains("got none"), "{none}");
    }
}
