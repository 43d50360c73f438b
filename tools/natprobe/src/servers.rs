//! Which servers are asked, and which of several is asked first.

use std::net::SocketAddr;

use anyhow::Context;
use discover::{Config, Evidence, Note, NoteCode, Report, Verdict};
use net::discover::{Error, discover};
use net::host;

use crate::args::Settings;

const DEFAULT_PORT: u16 = 8848;
/// Of a STUN server (RFC 8489 §2).
const STUN_PORT: u16 = 3478;

/// What to measure with: servers and numbers.
#[derive(Debug)]
pub(crate) struct Servers {
    config: Config,
    /// Of several, those that are not asked.
    notes: Vec<Note>,
}

impl Servers {
    /// Looks their names up.
    ///
    /// # Errors
    /// When a server is not found, or of several none.
    pub(crate) async fn find(settings: &Settings) -> anyhow::Result<Servers> {
        let mut servers = match settings.stun.as_slice() {
            [] => Servers::pair(&settings.s1, settings.s2.as_deref()).await?,
            several => Servers::several(several).await?,
        };
        let config = &mut servers.config;
        config.tries = settings.tries;
        config.wait = settings.timeout;
        config.survey = settings.rfc4787;
        Ok(servers)
    }

    async fn pair(s1: &str, s2: Option<&str>) -> anyhow::Result<Servers> {
        let resolve = async |server: &str| {
            let address = host::resolve(host::split(server).host, DEFAULT_PORT).await;
            address.with_context(|| format!("cannot look up {server}"))
        };
        let s1 = resolve(s1).await?;
        let s2 = match s2 {
            Some(s2) => Some(resolve(s2).await?),
            None => None,
        };
        if let Some(s2) = s2 {
            anyhow::ensure!(
                s1.is_ipv4() == s2.is_ipv4(),
                "--server {s1} and --s2 {s2} must both be IPv4 or both be IPv6"
            );
            anyhow::ensure!(
                s1 != s2,
                "--server and --s2 are both {s1}: give another address or another port, or --server only"
            );
        }
        Ok(Servers {
            config: Config::new(s1, s2),
            notes: Vec::new(),
        })
    }

    /// The first that is found decides on the family; others that have no address of it are left
    /// out, as are those that are not found.
    async fn several(names: &[String]) -> anyhow::Result<Servers> {
        let mut found: Vec<SocketAddr> = Vec::new();
        let (mut notes, mut first) = (Vec::new(), None);
        for name in names {
            let address = match found.first() {
                None => host::resolve(name, STUN_PORT).await,
                Some(&like) => host::resolve_like(name, STUN_PORT, like).await,
            };
            match address {
                Ok(address) if found.contains(&address) => {}
                Ok(address) => found.push(address),
                Err(error) => {
                    notes.push(Note {
                        code: NoteCode::ServerNotFound,
                        text: format!("{name} is not asked: {error}"),
                    });
                    first = first.or(Some((name, error)));
                }
            }
        }
        let Some((s1, more)) = found.split_first() else {
            let (name, error) = first.context("no server is given")?;
            return Err(error).with_context(|| format!("cannot look up {name}"));
        };
        let mut config = Config::new(*s1, None);
        config.more = more.to_vec();
        Ok(Servers { config, notes })
    }

    /// One measurement, and with which of several servers as the first.
    pub(crate) async fn measure(&self) -> Result<(Report, Config), Error> {
        let mut config = self.config.clone();
        let mut report = discover(config.clone()).await?;
        if let Some(server) = better(&report, &config) {
            config.more.retain(|it| *it != server);
            config.more.insert(0, config.s1);
            config.s1 = server;
            report = discover(config.clone()).await?;
        }
        let silent = config.more.iter().filter(|&&server| {
            let mut asked = report.evidence.iter().filter(|test| test.to == server);
            report.verdict == Verdict::Measured && asked.all(|test| test.received == 0)
        });
        let silent = silent.map(|server| Note {
            code: NoteCode::ServerSilent,
            text: format!("{server} does not answer"),
        });
        let notes = Vec::from_iter(silent.chain(self.notes.iter().cloned()));
        report.notes.extend(notes);
        Ok((report, config))
    }
}

/// Which of several servers should have been the first: the first one that has another address, which
/// shows the filtering, or else that answers.
fn better(report: &Report, config: &Config) -> Option<SocketAddr> {
    let asked = |server: SocketAddr| report.evidence.iter().filter(move |test| test.to == server);
    let answers = |server: &SocketAddr| asked(*server).any(|test| test.received > 0);
    let has_another = |server: &SocketAddr| {
        let another = |test: &Evidence| {
            let other = test.other_address;
            let usable = |at: SocketAddr| at.is_ipv4() == server.is_ipv4() && at.port() != 0;
            other.is_some_and(|other| other.ip() != server.ip() && usable(other))
        };
        asked(*server).any(another)
    };
    let mut servers = std::iter::once(config.s1).chain(config.more.iter().copied());
    let best = servers.clone().find(has_another);
    best.or_else(|| servers.find(answers))
        .filter(|best| *best != config.s1)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::net::UdpSocket;

    use super::*;

    /// A server, and how often it was asked to answer from elsewhere, as only the first one is.
    async fn server(other: Option<SocketAddr>) -> (SocketAddr, Arc<AtomicU32>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (socket.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
        let changes = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut buffer = [0; stun::MAX_DATAGRAM];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let request = stun::Message::parse(&buffer[..length]).unwrap();
                let change = request.change_request().is_some();
                changes.fetch_add(u32::from(change), Ordering::Relaxed);
                let mut answer = stun::Builder::success(&request).xor_mapped(from);
                if let Some(other) = other {
                    answer = answer.other_address(other);
                }
                let _ = socket.send_to(&answer.finish(), from).await;
            }
        });
        (address, asked)
    }

    async fn names(servers: &[&(SocketAddr, Arc<AtomicU32>)]) -> Servers {
        let names = servers.iter().map(|(address, _)| address.to_string());
        Servers::several(&Vec::from_iter(names)).await.unwrap()
    }

    #[tokio::test]
    async fn of_servers_without_another_address_the_first_alone_is_measured_with() {
        let [a, b, c] = [server(None).await, server(None).await, server(None).await];
        let (report, config) = names(&[&a, &b, &c]).await.measure().await.unwrap();
        assert_eq!((report.server, config.s1), (a.0, a.0));
        let asked = [&a, &b, &c].map(|(_, asked)| asked.load(Ordering::Relaxed));
        assert!(asked[0] > 0 && asked[1..] == [0, 0], "{asked:?}");
    }

    #[tokio::test]
    async fn the_first_server_with_another_address_is_measured_with() {
        let other = Some("127.0.0.2:9".parse().unwrap());
        let [a, b, c] = [server(None).await, server(other).await, server(other).await];
        let (report, config) = names(&[&a, &b, &c]).await.measure().await.unwrap();
        assert_eq!((report.server, config.s1), (b.0, b.0));
        assert_eq!(config.more, [a.0, c.0]);
        let asked = [&a, &b, &c].map(|(_, asked)| asked.load(Ordering::Relaxed));
        assert!(asked[1] > 0 && asked[2] == 0, "{asked:?}");
    }

    #[tokio::test]
    async fn a_server_that_is_not_found_is_a_note_and_only_if_none_is_found_an_error() {
        let (address, _) = server(None).await;
        let names = ["127.0.0.1:0".into(), address.to_string(), "::1".into()];
        let servers = Servers::several(&names).await.unwrap();
        assert_eq!(
            (servers.config.s1, &*servers.config.more),
            (address, &[][..])
        );
        let (report, _) = servers.measure().await.unwrap();
        let notes = report.notes.iter();
        let notes = notes.filter(|note| note.code == NoteCode::ServerNotFound);
        let notes = Vec::from_iter(notes.map(|note| note.text.as_str()));
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[1].contains("::1 has no IPv4 address"), "{notes:?}");
        let none = Servers::several(&names[..1]).await.unwrap_err();
        assert!(
            format!("{none:#}").starts_with("cannot look up 127.0.0.1:0: "),
            "{none:#}"
        );
    }
}
