//! One attempt: registers, is introduced, and punches until there is a path or a
//! cause.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::Context;
use cli::home::new_key::{self, NewKey};
use cli::lookup::LookUp;
use cli::report::StoredReport;
use cli::server::KnownServer;
use cli::settings::{self, Settings};
use cli::signals::Signals;
use nat::plan::{Limits, Plan, Role, Side};
use net::drive::Traffic;
use net::endpoint::EndpointDriver;
use net::gateway::{self, reachable};
use net::host;
use net::surroundings::{self, Surroundings};
use peer_proto::cause::Cause;
use peer_proto::client::{REFRESH, Relation};
use peer_proto::endpoint::Event;
use peer_proto::punch::{Measured, Path};
use session::identity::{PublicKey, fingerprint};
use stun::code;

use crate::args::Args;
use crate::plan::announced;
use crate::ready::Ready;
use crate::report::Outcome;
use crate::silence;
use crate::start::TIMEOUT;
use crate::tcp::ByTcp;

/// How long the path may take to be measured.
const MEASURE_PATH: Duration = Duration::from_secs(3);

/// An attempt under way.
pub struct Attempt<'a, W> {
    pub args: &'a Args,
    pub settings: &'a Settings,
    pub known_server: KnownServer,
    /// Whether the rendezvous is at another address by now.
    pub lookup: LookUp,
    /// Our NAT, our router and our network.
    pub surroundings: Surroundings,
    pub limits: Limits,
    pub start: Instant,
    pub ready: Ready,
    /// A stored report of our NAT, in place of a measurement.
    pub stored: Option<StoredReport>,
    pub driver: EndpointDriver<W>,
    pub by_tcp: Option<ByTcp>,
    pub signals: Signals,
    /// Our new key, until the rendezvous has accepted it.
    pub new_key: Option<NewKey>,
    /// The latest introduction.
    pub introduction: Option<Introduction>,
    /// The peer whose key was written down.
    pub pinned: Option<String>,
    /// The measurement of the path.
    pub measured: Option<Measured>,
}

/// What an introduction has told.
#[derive(Clone)]
pub struct Introduction {
    pub at: Instant,
    pub peer: String,
    pub key: PublicKey,
    pub role: Role,
    pub plan: Plan,
    /// Where the rendezvous sees the peer.
    pub address: SocketAddr,
    pub relation: Relation,
    /// Whether the peer shares what it has noted.
    pub shares: bool,
}

/// How an attempt ended, and when.
#[derive(Clone)]
pub struct Ended {
    pub outcome: Outcome,
    pub at: Instant,
}

impl Ended {
    /// It ended now.
    pub fn now(outcome: Outcome) -> Ended {
        let at = Instant::now();
        Ended { outcome, at }
    }
}

impl<W: FnMut(Traffic<'_>)> Attempt<'_, W> {
    /// Runs until there is a path or a cause.
    ///
    /// # Errors
    /// When neither can be found out: no answer from the server, a name that is
    /// taken, a signal.
    pub async fn run(&mut self) -> anyhow::Result<Ended> {
        let timeout = match (self.args.timeout, &self.args.peer) {
            (None, None) => None,
            (timeout, _) => Some(timeout.unwrap_or(TIMEOUT)),
        };
        let give_up = timeout.map(|timeout| self.start + timeout);
        let mut connected: Option<(Path, Instant)> = None;
        let mut path_measured_by: Option<Instant> = None;
        let (server, limits) = (self.settings.server, self.limits);
        match self.stored {
            Some(report) if self.surroundings.measures() => {
                let side = report.side;
                self.driver.describe(Some(Side { limits, ..side }));
            }
            _ => self.surroundings.measure(server),
        }
        loop {
            let waiting = self.introduction.is_none();
            let expired = async {
                match path_measured_by.or(give_up.filter(|_| waiting)) {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            let by_tcp = async {
                match &mut self.by_tcp {
                    Some(by_tcp) => by_tcp.next().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                event = self.driver.next() => event,
                outcome = by_tcp => match outcome? {
                    Some(outcome) => {
                        if let (Outcome::Connected(_), Some(it)) = (&outcome, &self.introduction) {
                            let peer = it.peer.clone();
                            self.met(&peer)?;
                        }
                        return Ok(Ended::now(outcome));
                    }
                    None => {
                        if let Some(by_tcp) = &self.by_tcp {
                            self.driver.endpoint_mut().offer_tcp(by_tcp.candidates());
                        }
                        continue;
                    }
                },
                event = self.surroundings.next() => {
                    self.surroundings_changed(event)?;
                    continue;
                }
                server = self.lookup.next() => {
                    self.server_moved(server);
                    continue;
                }
                () = expired => {
                    if let Some((path, at)) = connected {
                        let outcome = Outcome::Connected(path);
                        return Ok(Ended { outcome, at });
                    }
                    let (peer, waited) = (self.args.peer.as_deref(), self.start.elapsed());
                    let cause = silence::cause(&self.driver, self.settings, peer, waited).await?;
                    return Ok(Ended::now(Outcome::Failed(cause)));
                }
                () = self.signals.ended() => anyhow::bail!("interrupted"),
            };
            let event = match event {
                Ok(event) => event,
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => anyhow::bail!(
                    "no rendezvous: {error}; start one there with: rendezvous --ip {}",
                    server.ip()
                ),
                Err(error) => return Err(error).context("the socket failed"),
            };
            match event {
                Event::Connected { peer, path } => {
                    self.met(&peer)?;
                    if path.relayed {
                        cli::stderr::line(match self.expects_direct() {
                            true => "punch: connected through the relay; trying for a direct path",
                            false => "punch: connected through the relay",
                        });
                    }
                    connected = Some((path, Instant::now()));
                }
                Event::Finished { peer } => {
                    if let Some((path, at)) = connected {
                        if self.args.quick {
                            let outcome = Outcome::Connected(path);
                            return Ok(Ended { outcome, at });
                        }
                        let now = Instant::now();
                        path_measured_by = Some(now + MEASURE_PATH);
                        self.driver.endpoint_mut().measure(now, &peer);
                    }
                }
                Event::Measured { measured, .. } => {
                    self.measured = Some(measured);
                    if let Some((path, at)) = connected {
                        let outcome = Outcome::Connected(path);
                        return Ok(Ended { outcome, at });
                    }
                }
                Event::Failed { cause, .. } => return Ok(Ended::now(Outcome::Failed(cause))),
                Event::ServerSilent
                    if silence::is_blocked(&self.driver, self.driver.server()).await? =>
                {
                    return Ok(Ended::now(Outcome::Failed(Cause::UdpBlocked)));
                }
                event => self.note(event)?,
            }
            if let (Some(by_tcp), Some(config)) =
                (&mut self.by_tcp, self.driver.endpoint_mut().poll_tcp())
            {
                by_tcp.start(config).await?;
            }
        }
    }

    /// Whether a direct path may replace a relayed one.
    fn expects_direct(&self) -> bool {
        let hopeless = |it: &Introduction| !it.plan.strategy.may_be_direct();
        !self.args.paths.relay_only && !self.introduction.as_ref().is_some_and(hopeless)
    }

    /// Our NAT is measured, our router has changed our port, or we have changed our network: then
    /// the address is returned that packets to the server leave from now.
    ///
    /// # Errors
    /// When our addresses cannot be listed.
    pub fn surroundings_changed(
        &mut self,
        event: surroundings::Event,
    ) -> anyhow::Result<Option<IpAddr>> {
        match event {
            surroundings::Event::Measured(side) => self.driver.describe(side),
            surroundings::Event::Router(change) => self.router_changed(change),
            surroundings::Event::Network(from) => {
                self.roamed()?;
                return Ok(Some(from));
            }
        }
        Ok(None)
    }

    /// Peers are told of our router's port, or that it is lost.
    fn router_changed(&mut self, change: gateway::Event) {
        let endpoint = self.driver.endpoint_mut();
        let mapped = reachable(change, &endpoint.mapped());
        if let Some(mapped) = mapped {
            cli::stderr::line(format_args!(
                "punch: our router maps {} to us (by {})",
                mapped.external, mapped.protocol
            ));
        }
        endpoint.opened(Instant::now(), mapped.map(|mapped| mapped.external));
    }

    fn roamed(&mut self) -> anyhow::Result<()> {
        let (server, lan) = (self.driver.server(), !self.args.paths.no_host_candidates);
        let local = SocketAddr::new(host::wildcard(server), self.driver.port(0));
        let hosts = settings::hosts(server, local, lan).context("cannot list our addresses")?;
        let measuring = self.surroundings.measures();
        let endpoint = self.driver.endpoint_mut();
        endpoint.roamed(Instant::now(), hosts, measuring);
        self.surroundings.measure(server);
        Ok(())
    }

    /// The rendezvous' name leads to another address by now.
    pub fn server_moved(&mut self, server: SocketAddr) {
        cli::stderr::line(format_args!(
            "punch: the rendezvous is silent; going on with its other address {server}"
        ));
        self.driver.move_server(server);
    }

    /// There is a path to that peer, which has proved its key: it is known from now on,
    /// and no other peer takes its place.
    fn met(&mut self, peer: &str) -> anyhow::Result<()> {
        let endpoint = self.driver.endpoint_mut();
        endpoint.answer_only(peer);
        if let Some(it) = self.introduction.as_ref().filter(|it| it.peer == peer) {
            let key = it.key;
            endpoint.trust(peer, key);
            self.pin(peer, &key)?;
        }
        Ok(())
    }

    /// Remembers the first key that a peer has.
    fn pin(&mut self, peer: &str, key: &PublicKey) -> anyhow::Result<()> {
        let pinned = self.pinned.as_deref() == Some(peer);
        if !pinned && !self.settings.known.contains_key(peer) {
            self.settings.home.remember_peer(peer, key)?;
            self.pinned = Some(peer.to_owned());
        }
        Ok(())
    }

    /// Gives back what others hold for us: our router's port, our name.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn leave(&mut self) -> std::io::Result<()> {
        self.surroundings.close().await;
        match self.driver.endpoint().mapped().is_empty() {
            true => Ok(()), // We are not registered.
            false => self.driver.leave().await,
        }
    }

    /// Pins the new key of a peer, which the known one has signed; a sentence about
    /// it.
    ///
    /// # Errors
    /// When it cannot be saved.
    pub fn followed(
        &self,
        peer: &str,
        before: &PublicKey,
        now: &PublicKey,
    ) -> anyhow::Result<String> {
        self.settings.home.trust_peer(peer, now)?;
        Ok(new_key::followed(peer, before, now))
    }

    /// Reports on stderr what happens before the end, and acts on it.
    pub fn note(&mut self, event: Event) -> anyhow::Result<()> {
        let (name, server) = (&self.settings.name, self.driver.server());
        match event {
            Event::Registered(mapped) => {
                if let Some(new) = self.new_key.take() {
                    self.settings.home.accept_new_key(name, &new)?;
                    let (before, now) = (new.rotation.old(), new.identity.public());
                    let accepted = new_key::accepted(name, &before, &now);
                    cli::stderr::line(format_args!("punch: {accepted}"));
                }
                cli::stderr::line(format_args!(
                    "punch: registered as {name}, seen at {mapped}"
                ));
                self.ready.registered(name, mapped);
                let port = self.driver.port(0);
                self.surroundings.registered(server, port, mapped);
                if self.args.peer.is_none() {
                    let (whom, its_name) = match self.args.from.as_deref() {
                        Some(from) => (from, from),
                        None => ("a peer", "PEER"),
                    };
                    cli::stderr::line(format_args!(
                        "punch: waiting for {whom}, which connects by: \
                         punch --name {its_name} --peer {name}"
                    ));
                }
            }
            Event::WorkWanted { .. } => cli::stderr::line(format_args!(
                "punch: the rendezvous at {server} asks for a proof of work (under load); \
                 computing it"
            )),
            Event::Refused(code @ (code::FORBIDDEN | code::NAME_TAKEN))
                if self.new_key.is_some() =>
            {
                let why = self.settings.home.refuse_new_key(name, server, code)?;
                anyhow::bail!("{why}");
            }
            Event::Refused(code::NAME_TAKEN) => anyhow::bail!(
                "the name {name} is taken: it belongs to another key at {server}; \
                 use another --name"
            ),
            Event::Refused(code::INSUFFICIENT_CAPACITY) => cli::stderr::line(format_args!(
                "punch: {server} has no room for another name now; trying again every {} s",
                REFRESH.as_secs()
            )),
            Event::Refused(code::WORK_REQUIRED) => anyhow::bail!(
                "{server} asks for a proof of work that no rendezvous asks for (more than 21 bits) \
                 before it registers {name}: use another --server"
            ),
            Event::Refused(code) => anyhow::bail!(
                "the server refused the registration of {name}: {code} {}",
                code::reason(code)
            ),
            Event::KeyRotated { peer, before, now } => {
                let followed = self.followed(&peer, &before, &now)?;
                cli::stderr::line(format_args!("punch: {followed}"));
            }
            Event::KeyChanged { peer, known, now } => anyhow::bail!(
                "{peer} has another key than the known one (known {}, now {}): either {peer} has lost \
                 the old key, or somebody else uses the name. If you trust the new key, remove \
                 the line of {peer} from {}",
                fingerprint(&known),
                fingerprint(&now),
                self.settings.home.known_peers_path().display()
            ),
            Event::ServerSilent => {
                self.lookup.begin();
                cli::stderr::line(format_args!("punch: no answer from {server} yet"));
            }
            Event::ServerAnswers => self.lookup.end(),
            Event::NoRelay { relay, failure } => cli::stderr::line(format_args!(
                "punch: no relayed address from {relay}: {failure}; going on without a relay"
            )),
            Event::ServerProved(key) => match self.known_server.proved(key) {
                Ok(None) => {}
                Ok(Some(met)) => {
                    let met = self.known_server.tell(met, &key);
                    cli::stderr::line(format_args!("punch: {met}"));
                }
                Err(error) => cli::stderr::line(format_args!(
                    "punch: cannot keep the key of the rendezvous: {error}"
                )),
            },
            Event::ServerKeyless => {
                let warning = self.known_server.tell_keyless();
                cli::stderr::line(format_args!("punch: {warning}"));
            }
            Event::OtherServerKey(other) => {
                let refusal = self.known_server.refusal(other);
                // Once it has proved itself, somebody on the way may have taken
                // its place: a path goes on without it.
                let registered = !self.driver.endpoint().mapped().is_empty();
                anyhow::ensure!(registered, "{refusal}");
                cli::stderr::line(format_args!("punch: {refusal}"));
            }
            Event::Introduced {
                peer,
                key,
                address,
                role,
                plan,
                relation,
                shares,
            } => {
                let first = self
                    .introduction
                    .take()
                    .filter(|it| it.peer == peer && it.key == key);
                let how = match (role, &first) {
                    (_, Some(_)) => "introduced again, with what is known of the NATs now, to",
                    (Role::Caller, None) => "introduced to",
                    (Role::Callee, None) => "called by",
                };
                cli::stderr::line(format_args!("punch: {how} {peer}, seen at {address}"));
                if let Some(announced) = announced(&plan, role, &self.limits) {
                    cli::stderr::line(format_args!("punch: {announced}"));
                }
                match relation {
                    Relation::Known => self.pin(&peer, &key)?,
                    Relation::Stranger if first.is_some() => {}
                    Relation::Stranger => cli::stderr::line(format_args!(
                        "punch: {peer} is not known here: no port is guessed for it, and it is \
                         told no private address. On the first contact, use --from {peer}"
                    )),
                }
                self.introduction = Some(Introduction {
                    at: first.map_or_else(Instant::now, |first| first.at),
                    peer,
                    key,
                    role,
                    plan,
                    address,
                    relation,
                    shares,
                });
            }
            _ => {}
        }
        Ok(())
    }
}
