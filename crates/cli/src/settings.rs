//! Who we are, and at which rendezvous: from options to the configuration of an
//! endpoint.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use net::host;
use peer_proto::client;
use peer_proto::endpoint::{Config, Strangers};
use session::identity::{Identity, PublicKey};
use session::name::valid_name;
use session::rotation::Rotation;

use crate::address::{AddressError, ServerAddress, canonical};
use crate::home::new_key::NewKey;
use crate::home::{Home, HomeError};
use crate::keyfile::FileError;
use crate::options::{Options, PathOptions};
use crate::server::KnownServer;

/// How long an attempt may take, unless the caller sets another time.
const ATTEMPT: Duration = Duration::from_secs(10);

/// Why an endpoint cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// No rendezvous is given.
    #[error(
        "no rendezvous is given: use --server HOST, set PINHOLE_SERVER, \
         or write server = \"HOST\" in config.toml"
    )]
    NoServer,
    /// No name is given.
    #[error(
        "no name is given: use --name NAME, set PINHOLE_NAME, \
         or write name = \"NAME\" in config.toml"
    )]
    NoName,
    /// The peer's name is not valid.
    #[error("{0:?} cannot be a name")]
    BadPeer(String),
    /// The peer's name is ours.
    #[error("{0} is our own name")]
    OwnName(String),
    /// The server's address is malformed or not found.
    #[error("cannot find the server {server:?}")]
    NotFound {
        /// As it was given.
        server: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// The server's address has something that is not a key.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The peer is known by another key than the one that is given.
    #[error(
        "{peer} is known with another key than the one that is given: known {}, given {}. If the \
         given one is right, remove the line of {peer} from {path}",
        hex::encode(known),
        hex::encode(given)
    )]
    OtherKey {
        /// The peer's name.
        peer: String,
        /// The key in `known-peers`.
        known: PublicKey,
        /// The key that is given.
        given: PublicKey,
        /// The file.
        path: String,
    },
    /// A file cannot be read or written, or is malformed.
    #[error(transparent)]
    File(#[from] FileError),
    /// Keys cannot be read or made.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// `getifaddrs(3)` failed.
    #[error("cannot list this host's addresses")]
    Addresses(#[source] io::Error),
    /// The system has no randomness.
    #[error("cannot read the system's randomness")]
    Randomness(#[source] getrandom::Error),
}

/// What any endpoint needs to know of us and of the server.
#[derive(Debug)]
pub struct Settings {
    /// The folder with the keys.
    pub home: Home,
    /// The rendezvous.
    pub server: SocketAddr,
    /// The same, and its key.
    pub known_server: KnownServer,
    /// Our name.
    pub name: String,
    /// Our key; the new one, if one was made and is not accepted yet.
    pub identity: Identity,
    /// How our key got our name, if another key had it before.
    pub rotation: Option<Rotation>,
    /// Our new key, until the rendezvous has accepted it.
    pub new_key: Option<NewKey>,
    /// Our peers' keys.
    pub known: HashMap<String, PublicKey>,
}

impl Settings {
    /// Looks up the server and reads the keys; ours is made on first use.
    /// `peer` is the name of the peer to reach, where it is known already.
    ///
    /// # Errors
    /// When an option is missing or not valid, or something cannot be found or
    /// read.
    pub async fn gather(
        home: Home,
        options: Options,
        peer: Option<&str>,
    ) -> Result<Settings, SettingsError> {
        if options.server.is_none() {
            return Err(SettingsError::NoServer);
        }
        let name = options.name.clone().ok_or(SettingsError::NoName)?;
        match peer {
            Some(peer) if !valid_name(peer) => return Err(SettingsError::BadPeer(peer.into())),
            Some(peer) if peer == name => return Err(SettingsError::OwnName(name)),
            _ => {}
        }
        let (server, known_server) = find_server(&home, options).await?;
        let identity = home.identity(&name)?;
        let rotation = home.rotation(&name, &identity.public())?;
        let new_key = home.new_key(&name)?;
        let settings = Settings {
            known_server,
            identity,
            rotation,
            new_key: None,
            known: home.known_peers()?,
            home,
            server,
            name,
        };
        Ok(settings.with(new_key))
    }

    /// For a name that is used once, with a key that is not kept: no peer is known.
    ///
    /// # Errors
    /// When the server is missing, not valid or not found, or a file cannot be read.
    pub async fn once(
        home: Home,
        options: Options,
        name: String,
        identity: Identity,
    ) -> Result<Settings, SettingsError> {
        let (server, known_server) = find_server(&home, options).await?;
        Ok(Settings {
            home,
            server,
            known_server,
            name,
            identity,
            rotation: None,
            new_key: None,
            known: HashMap::new(),
        })
    }

    /// With a new key: an earlier one that is not accepted yet, else one that is
    /// made now.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn with_new_key(self) -> Result<Settings, SettingsError> {
        let new = self.home.make_new_key(&self.name)?;
        Ok(self.with(Some(new)))
    }

    fn with(mut self, new: Option<NewKey>) -> Settings {
        if let Some(new) = new {
            self.identity = new.identity.clone();
            self.rotation = Some(new.rotation);
            self.new_key = Some(new);
        }
        self
    }

    /// The peer is known by this key from now on, which the user has given, as if
    /// it had been met before.
    ///
    /// # Errors
    /// When another key is known, or the key cannot be written.
    pub fn pin(&mut self, peer: &str, given: PublicKey) -> Result<(), SettingsError> {
        match self.known.get(peer) {
            Some(known) if *known == given => Ok(()),
            Some(known) => Err(SettingsError::OtherKey {
                peer: peer.to_owned(),
                known: *known,
                given,
                path: self.home.known_peers_path().display().to_string(),
            }),
            None => {
                self.home.remember_peer(peer, &given)?;
                self.known.insert(peer.to_owned(), given);
                Ok(())
            }
        }
    }

    /// The configuration of a client of the rendezvous. Its SEQUENCE is greater than that of the
    /// clients before it, so it takes the registration over.
    ///
    /// # Errors
    /// When the system has no randomness.
    pub fn client(&self) -> Result<client::Config, SettingsError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(SettingsError::Randomness)?;
        // It must grow from one start to the next, as a clock does almost always.
        let sequence = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros() as u64);
        Ok(client::Config {
            server: self.server,
            server_key: self.known_server.expected(),
            name: self.name.clone(),
            identity: self.identity.clone(),
            sequence,
            relay: false,
            seed,
        })
    }

    /// The configuration of an endpoint whose socket is bound to `local`: one
    /// attempt at a time, of at most ten seconds. With host candidates, peers
    /// are told the socket's address, or where that is the wildcard, all of
    /// this host's; and theirs are probed.
    ///
    /// # Errors
    /// When this host's addresses cannot be listed, or the system has no
    /// randomness.
    pub fn endpoint(
        &self,
        local: SocketAddr,
        paths: &PathOptions,
    ) -> Result<Config, SettingsError> {
        let lan = !paths.no_host_candidates;
        let hosts = hosts(self.server, local, lan).map_err(SettingsError::Addresses)?;
        Ok(Config {
            client: self.client()?,
            hosts,
            lan,
            peer: None,
            from: None,
            strangers: Strangers::Answer,
            most_attempts: 1,
            known: self.known.clone(),
            rotation: self.rotation,
            opener_ttl: (paths.opener_ttl > 0).then_some(paths.opener_ttl),
            measuring: false,
            relay: paths.relay(),
            turn: None,
            attempt: ATTEMPT,
            tcp: None,
            tcp_too: false,
            shares: false,
        })
    }
}

/// The server of the options: its address, and the key that it is known by.
async fn find_server(
    home: &Home,
    options: Options,
) -> Result<(SocketAddr, KnownServer), SettingsError> {
    let given = options.server.ok_or(SettingsError::NoServer)?;
    let address: ServerAddress = given.parse()?;
    let server = match host::resolve(&address.host, stun::DEFAULT_PORT).await {
        Ok(address) => address,
        Err(source) => {
            let server = address.host;
            return Err(SettingsError::NotFound { server, source });
        }
    };
    let (host, trust) = (canonical(&address.host), options.trust_server);
    let known = KnownServer::new(home.servers(), host, address.key, trust)?;
    Ok((server, known))
}

/// The host candidates of a socket that is bound to `local`, as far as they are of the
/// server's family; none without `lan`.
///
/// # Errors
/// When this host's addresses cannot be listed.
pub fn hosts(server: SocketAddr, local: SocketAddr, lan: bool) -> io::Result<Vec<SocketAddr>> {
    let mut hosts = match (lan, local.ip().is_unspecified()) {
        (false, _) => Vec::new(),
        (true, true) => host::candidates(server)?,
        (true, false) => vec![local.ip()],
    };
    hosts.retain(|ip| ip.is_ipv4() == server.is_ipv4());
    let at = |ip| SocketAddr::new(ip, local.port());
    Ok(hosts.into_iter().map(at).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(server: &str, name: &str) -> Options {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Options {
            server: some(server),
            name: some(name),
            trust_server: false,
        }
    }

    fn home(test: &str) -> Home {
        let folder = format!("pinhole-settings-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        let _ = std::fs::remove_dir_all(&path);
        Home::at(path)
    }

    #[tokio::test]
    async fn an_option_that_is_missing_or_not_valid_is_named() {
        for (server, name, peer, problem) in [
            ("", "", None, "no rendezvous is given"),
            ("127.0.0.1", "", None, "no name is given"),
            (
                "127.0.0.1",
                "alice",
                Some("a b"),
                "\"a b\" cannot be a name",
            ),
            ("127.0.0.1", "alice", Some("alice"), "alice is our own name"),
            ("", "alice", Some("alice"), "no rendezvous is given"),
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
            let error = Settings::gather(home.clone(), options(server, name), peer).await;
            let error = error.unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
            assert!(!home.path().exists(), "a key was made: {problem}");
        }
    }

    #[tokio::test]
    async fn a_key_that_is_given_for_a_peer_is_pinned_and_no_other_is() {
        let home = home("pinned");
        let options = options("127.0.0.1:5", "alice");
        let mut settings = Settings::gather(home.clone(), options, None).await.unwrap();
        settings.pin("bob", [1; 32]).unwrap();
        settings.pin("bob", [1; 32]).unwrap();
        assert_eq!(home.known_peers().unwrap()["bob"], [1; 32]);
        let error = settings.pin("bob", [2; 32]).unwrap_err().to_string();
        for part in ["known 0101", "given 0202", "known-peers"] {
            assert!(error.contains(part), "{error}");
        }
        assert_eq!(settings.known["bob"], [1; 32]);
        std::fs::remove_dir_all(home.path()).unwrap();
    }

    #[tokio::test]
    async fn the_servers_key_is_the_one_that_is_given_else_the_one_that_is_known() {
        let home = home("server");
        home.servers().add("127.0.0.1:5", &[7; 32]).unwrap();
        let given = format!("127.0.0.1:5#{}", "08".repeat(32));
        let expected = async |server: &str, trust_server| {
            let options = Options {
                trust_server,
                ..options(server, "alice")
            };
            let settings = Settings::gather(home.clone(), options, None).await.unwrap();
            settings.known_server.expected()
        };
        assert_eq!(expected("127.0.0.1:6", false).await, None);
        assert_eq!(expected("127.0.0.1:5", false).await, Some([7; 32]));
        assert_eq!(expected("127.0.0.1:5", true).await, None);
        assert_eq!(expected(&given, false).await, Some([8; 32]));
        assert_eq!(expected(&given, true).await, Some([8; 32]));
        std::fs::remove_dir_all(home.path()).unwrap();
    }

    #[tokio::test]
    async fn peers_are_told_host_addresses_that_they_can_use_and_none_where_that_is_refused() {
        let home = home("hosts");
        let options = options("127.0.0.1:5", "alice");
        let settings = Settings::gather(home, options, Some("bob")).await.unwrap();
        assert_eq!(settings.server, "127.0.0.1:5".parse().unwrap());
        let hosts = |local: &str, tell: bool| {
            let paths = PathOptions {
                opener_ttl: 2,
                no_host_candidates: !tell,
                direct_only: false,
                relay_only: false,
            };
            let config = settings.endpoint(local.parse().unwrap(), &paths).unwrap();
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
