//! The settings: from the command line, else the environment, else config.toml;
//! on a terminal the user is asked for the rest.

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use cli::address::{PeerAddress, ServerAddress};
use cli::home::{Home, check_name};
use cli::options::Options;
use cli::settings::Settings;
use net::host;
use net::udp::Udp;
use session::identity::Identity;
use session::name::valid_name;

use crate::args::{Args, PORT};

/// Who we are, and where the rendezvous is. What is missing is asked for if the
/// chat is `interactive`; what was answered is returned, too. `peer` is whom to talk to,
/// where that is known already.
///
/// # Errors
/// When something is missing and nobody can be asked, or when it is not valid.
pub async fn gather(
    args: &Args,
    interactive: bool,
    peer: Option<&PeerAddress>,
) -> anyhow::Result<(Settings, Options)> {
    let home = Home::find()?;
    let mut options = typed(args, args.name.clone(), &home)?;
    let mut answers = Options::default();
    if interactive {
        if options.server.is_none() {
            let server = ask_server().await?;
            answers.server = Some(server.clone());
            options.server = Some(server);
            options = options.split()?;
        }
        if options.name.is_none() {
            let name = ask_name()?;
            answers.name = Some(name.clone());
            options.name = Some(name);
        }
    }
    options.server = options.server.map(or_this_host);
    let name = peer.map(|peer| peer.name.as_str());
    let mut settings = Settings::gather(home, options, name).await?;
    if let Some(PeerAddress {
        name,
        key: Some(key),
    }) = peer
    {
        if args.trust.contains(name) {
            settings.home.trust_peer(name, key)?;
            settings.known.insert(name.clone(), *key);
        } else {
            settings
                .pin(name, *key)
                .context("the key that --peer gives is refused; --trust replaces the known one")?;
        }
    }
    Ok((settings, answers))
}

/// For a name that is used once, with a key that is not kept.
///
/// # Errors
/// When no server is given, or it is not valid.
pub async fn once(args: &Args, name: String, identity: Identity) -> anyhow::Result<Settings> {
    let home = Home::find()?;
    let mut options = typed(args, None, &home)?;
    options.server = options.server.map(or_this_host);
    Ok(Settings::once(home, options, name, identity).await?)
}

/// The options of the command line, the environment and config.toml.
fn typed(args: &Args, name: Option<String>, home: &Home) -> anyhow::Result<Options> {
    let server = match (args.sip, args.sport) {
        (None, None) => args.server.clone().or_else(server_in_environment),
        (ip, port) => {
            let ip = ip.unwrap_or(IpAddr::from([0; 4]));
            let port = port.unwrap_or(stun::DEFAULT_PORT);
            Some(SocketAddr::new(ip, port).to_string())
        }
    };
    let typed = Options {
        server,
        name,
        trust_server: args.trust_server,
    };
    Ok(typed.split()?.or(home.options()?.split()?))
}

/// Read here and not by clap, for which PINHOLE_SERVER would conflict with --sip and
/// --sport as --server does.
fn server_in_environment() -> Option<String> {
    let server = std::env::var("PINHOLE_SERVER").ok();
    server.filter(|value| !value.is_empty())
}

/// The socket, on a port that the system chooses, unless the command line names one.
///
/// # Errors
/// As [`bind`].
pub fn bind_any(args: &Args, server: SocketAddr) -> anyhow::Result<Udp> {
    bind_to(args, server, args.cport.unwrap_or(0))
}

/// The socket, on the port of the command line or, if that is taken, a free one.
///
/// # Errors
/// When no port is free, or the address cannot be used.
pub fn bind(args: &Args, server: SocketAddr) -> anyhow::Result<Udp> {
    bind_to(args, server, args.cport.unwrap_or(PORT))
}

fn bind_to(args: &Args, server: SocketAddr, port: u16) -> anyhow::Result<Udp> {
    let ip = match (server, args.cip) {
        (SocketAddr::V6(_), ip) if ip == IpAddr::from([0; 4]) => Ipv6Addr::UNSPECIFIED.into(),
        (_, ip) => ip,
    };
    let family = ip.is_ipv4() == server.is_ipv4();
    anyhow::ensure!(
        family,
        "the local address {ip} and the rendezvous {server} are of different families: give another --cip"
    );
    match Udp::bind(SocketAddr::new(ip, port)) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let udp = Udp::bind(SocketAddr::new(ip, 0)).context("no free UDP port")?;
            let free = udp.local_addr().port();
            cli::stderr::line(format_args!("chat: UDP port {port} is taken: using {free}"));
            Ok(udp)
        }
        udp => udp.with_context(|| format!("cannot use UDP {ip} port {port}")),
    }
}

/// The wildcard address means this host, as it does for connect(2). It is replaced
/// here, since the resolver that all tools share refuses it.
fn or_this_host(server: String) -> String {
    let host::Parts { host, key, .. } = host::split(&server);
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let (ip, port) = match (host.parse::<SocketAddr>(), bare.parse::<IpAddr>()) {
        (Ok(address), _) => (address.ip(), address.port()),
        (_, Ok(ip)) => (ip, stun::DEFAULT_PORT),
        _ => return server,
    };
    let key = key.map_or(String::new(), |key| format!("#{key}"));
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => format!("127.0.0.1:{port}{key}"),
        IpAddr::V6(v6) if v6.is_unspecified() => format!("[::1]:{port}{key}"),
        _ => server,
    }
}

/// Asks until there is a server that is found.
async fn ask_server() -> anyhow::Result<String> {
    loop {
        let server = ask("Which rendezvous server", "0.0.0.0")?;
        match find(&server).await {
            Ok(()) => return Ok(server),
            Err(error) => writeln!(io::stdout(), "{error:#}: give HOST, HOST:PORT or HOST#KEY")?,
        }
    }
}

async fn find(server: &str) -> anyhow::Result<()> {
    let options = Options {
        server: Some(server.to_owned()),
        ..Options::default()
    };
    let server = options.split()?.server.map(or_this_host);
    let address: ServerAddress = server.unwrap_or_default().parse()?;
    let found = host::resolve(&address.host, stun::DEFAULT_PORT).await;
    found.with_context(|| format!("cannot find {}", address.host))?;
    Ok(())
}

/// Asks until there is a name.
fn ask_name() -> anyhow::Result<String> {
    let user = std::env::var("USER").unwrap_or_default();
    let user = if valid_name(&user) { &user } else { "" };
    loop {
        let name = ask("Your name, by which peers reach you", user)?;
        match check_name(&name) {
            Ok(()) => return Ok(name),
            Err(error) => writeln!(io::stdout(), "{error}")?,
        }
    }
}

fn ask(what: &str, default: &str) -> anyhow::Result<String> {
    match default {
        "" => write!(io::stdout(), "{what}? ")?,
        default => write!(io::stdout(), "{what} [{default}]? ")?,
    }
    io::stdout().flush()?;
    let mut answer = String::new();
    anyhow::ensure!(
        io::stdin().read_line(&mut answer)? > 0,
        "no answer: give --server and --name"
    );
    let answer = answer.trim();
    let answer = if answer.is_empty() { default } else { answer };
    Ok(answer.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wildcard_address_means_this_host_in_every_spelling() {
        for (given, meant) in [
            ("0.0.0.0", "127.0.0.1:8848"),
            ("0.0.0.0:5", "127.0.0.1:5"),
            ("::", "[::1]:8848"),
            ("[::]", "[::1]:8848"),
            ("[::]:5", "[::1]:5"),
            ("0.0.0.0#KEY", "127.0.0.1:8848#KEY"),
            ("203.0.113.1#KEY", "203.0.113.1#KEY"),
            ("203.0.113.1", "203.0.113.1"),
            ("[2001:db8::1]:5", "[2001:db8::1]:5"),
            ("localhost:http?", "localhost:http?"),
            ("", ""),
        ] {
            assert_eq!(or_this_host(given.into()), meant);
        }
    }
}
