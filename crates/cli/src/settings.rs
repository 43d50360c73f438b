//! Who we are, and at which rendezvous: what somebody said of it, made what an
//! endpoint starts from.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use peer_proto::client;
use peer_proto::endpoint::{Config, Wish};
use serde::Deserialize;
use session::identity::{Identity, PublicKey};
use session::name::valid_name;

use crate::home::{Home, HomeError};
use net::host;

/// How long an attempt may take, unless said otherwise.
const ATTEMPT: Duration = Duration::from_secs(10);

/// What one place says: the command line, the environment, `config.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Said {
    /// The rendezvous, `HOST[:PORT]`.
    pub server: Option<String>,
    /// Our name there.
    pub name: Option<String>,
}

impl Said {
    /// The same, and what `other` says where this is silent. An empty word is
    /// silence: `PINHOLE_NAME=` in the environment unsets it.
    #[must_use]
    pub fn or(self, other: Said) -> Said {
        let first = |ours: Option<String>, theirs: Option<String>| {
            let mut both = [ours, theirs].into_iter().flatten();
            both.find(|word| !word.is_empty())
        };
        Said {
            server: first(self.server, other.server),
            name: first(self.name, other.name),
        }
    }
}

/// Why there is nothing to start from.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Nobody said where.
    #[error(
        "which rendezvous? Give --server HOST, set PINHOLE_SERVER, \
         or write server = \"HOST\" in config.toml"
    )]
    NoServer,
    /// Nobody said who we are.
    #[error(
        "under which name? Give --name NAME, set PINHOLE_NAME, \
         or write name = \"NAME\" in config.toml"
    )]
    NoName,
    /// Nobody can have the peer's name.
    #[error("{0:?} cannot be a name")]
    BadPeer(String),
    /// The peer is ourselves.
    #[error("{0} is our own name")]
    OwnName(String),
    /// No such host.
    #[error("cannot find the server {server:?}")]
    NotFound {
        /// As it was said.
        server: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// Keys that cannot be read or made.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// `getifaddrs(3)` failed.
    #[error("cannot list this host's addresses")]
    Addresses(#[source] io::Error),
    /// No seed.
    #[error("cannot read the system's randomness")]
    Randomness(#[source] getrandom::Error),
}

/// What any endpoint needs to know of us and of the server.
#[derive(Debug)]
pub struct Settings {
    /// Where keys are.
    pub home: Home,
    /// The rendezvous.
    pub server: SocketAddr,
    /// Our name.
    pub name: String,
    /// Our key.
    pub identity: Identity,
    /// Our peers' keys.
    pub known: HashMap<String, PublicKey>,
}

impl Settings {
    /// Looks the server up and the keys, and makes ours on first use. `peer`
    /// is whom we want to reach, if that is known already.
    ///
    /// # Errors
    /// When something is missing, makes no sense, or cannot be found or read.
    pub async fn gather(
        home: Home,
        said: Said,
        peer: Option<&str>,
    ) -> Result<Settings, SettingsError> {
        let server = said.server.ok_or(SettingsError::NoServer)?;
        let name = said.name.ok_or(SettingsError::NoName)?;
        match peer {
            Some(peer) if !valid_name(peer) => return Err(SettingsError::BadPeer(peer.into())),
            Some(peer) if peer == name => return Err(SettingsError::OwnName(name)),
            _ => {}
        }
        let server = match host::resolve(&server, stun::DEFAULT_PORT).await {
            Ok(address) => address,
            Err(source) => return Err(SettingsError::NotFound { server, source }),
        };
        Ok(Settings {
            identity: home.identity(&name)?,
            known: home.known_peers()?,
            home,
            server,
            name,
        })
    }

    /// What an endpoint is told whose socket is bound to `local`: it waits for
    /// one peer at a time, for ten seconds each, and sends neither openers nor
    /// anything through a relay. With `lan`
    /// peers are told our own addresses, that of the socket, or if it has none,
    /// all of this host's, and theirs are probed.
    ///
    /// # Errors
    /// When the system tells no addresses or has no randomness.
    pub fn endpoint(&self, local: SocketAddr, lan: bool) -> Result<Config, SettingsError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(SettingsError::Randomness)?;
        let hosts = match (lan, local.ip().is_unspecified()) {
            (false, _) => Vec::new(),
            (true, true) => host::addresses().map_err(SettingsError::Addresses)?,
            (true, false) => vec![local.ip()],
        };
        // It has to grow from one start to the next, and a clock mostly does.
        let sequence = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros() as u64);
        let reaches_server = |ip: &IpAddr| ip.is_ipv4() == self.server.is_ipv4();
        Ok(Config {
            client: client::Config {
                server: self.server,
                name: self.name.clone(),
                identity: self.identity.clone(),
                sequence,
                relay: false,
                seed,
            },
            hosts: hosts
                .into_iter()
                .filter(reaches_server)
                .map(|ip| SocketAddr::new(ip, local.port()))
                .collect(),
            lan,
            peer: None,
            most_attempts: 1,
            known: self.known.clone(),
            opener_ttl: None,
            measuring: false,
            relay: Wish::Never,
            turn: None,
            attempt: ATTEMPT,
            tcp: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(server: &str, name: &str) -> Said {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Said {
            server: some(server),
            name: some(name),
        }
    }

    fn home(test: &str) -> Home {
        let folder = format!("pinhole-settings-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        let _ = std::fs::remove_dir_all(&path);
        Home::at(path)
    }

    #[test]
    fn who_speaks_first_is_right_where_he_speaks() {
        let typed = said("203.0.113.1", "");
        let file = said("203.0.113.2", "alice");
        assert_eq!(typed.or(file), said("203.0.113.1", "alice"));
    }

    #[test]
    fn an_empty_word_says_nothing() {
        let empty = || Said {
            server: Some(String::new()),
            name: Some(String::new()),
        };
        let file = said("203.0.113.2", "alice");
        assert_eq!(empty().or(file.clone()), file);
        assert_eq!(empty().or(empty()), Said::default());
    }

    #[tokio::test]
    async fn what_is_missing_or_makes_no_sense_is_named() {
        for (server, name, peer, problem) in [
            ("", "", None, "which rendezvous?"),
            ("127.0.0.1", "", None, "under which name?"),
            (
                "127.0.0.1",
                "alice",
                Some("a b"),
                "\"a b\" cannot be a name",
            ),
            ("127.0.0.1", "alice", Some("alice"), "alice is our own name"),
            ("", "alice", Some("alice"), "which rendezvous?"),
            (
                "0.0.0.0",
                "alice",
                None,
                "cannot find the server \"0.0.0.0\"",
            ),
            (
                "127.0.0.1",
                "../alice",
                None,
                "\"../alice\" cannot be a name",
            ),
        ] {
            let home = home("missing");
            let error = Settings::gather(home.clone(), said(server, name), peer).await;
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
            assert!(!home.path().exists(), "a key for nothing: {problem}");
        }
    }

    #[tokio::test]
    async fn peers_are_told_the_addresses_that_they_may_know_and_can_use() {
        let home = home("hosts");
        let said = said("127.0.0.1:5", "alice");
        let settings = Settings::gather(home, said, Some("bob")).await.unwrap();
        assert_eq!(settings.server, "127.0.0.1:5".parse().unwrap());
        let hosts = |local: &str, tell| {
            let config = settings.endpoint(local.parse().unwrap(), tell).unwrap();
            config.hosts
        };
        assert_eq!(hosts("0.0.0.0:7", false), []);
        assert_eq!(hosts("10.0.0.2:7", true), ["10.0.0.2:7".parse().unwrap()]);
        assert_eq!(hosts("[2001:db8::2]:7", true), []);
        let all = hosts("0.0.0.0:7", true);
        assert!(all.iter().all(|host| host.is_ipv4() && host.port() == 7));
        std::fs::remove_dir_all(settings.home.path()).unwrap();
    }
}
