//! What was typed, what the environment says and what is on disk, made one.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context;
use peer::home::Home;
use peer::host;
use traverse::identity::{Identity, PublicKey};
use traverse::introduce::registry::valid_name;

use crate::cli::Args;

/// Everything that an attempt needs to know of us and of the server.
pub struct Settings {
    pub home: Home,
    pub server: SocketAddr,
    pub name: String,
    pub identity: Identity,
    pub known: HashMap<String, PublicKey>,
}

impl Settings {
    pub async fn gather(args: &Args) -> anyhow::Result<Settings> {
        let home = Home::find()?;
        let file = home.settings()?;
        let server = args.server.clone().or(file.server).context(
            "which rendezvous? Give --server HOST, set PINHOLE_SERVER, \
             or write server = \"HOST\" in config.toml",
        )?;
        let name = args.name.clone().or(file.name).context(
            "under which name? Give --name NAME, set PINHOLE_NAME, \
             or write name = \"NAME\" in config.toml",
        )?;
        if let Some(peer) = &args.peer {
            anyhow::ensure!(valid_name(peer), "{peer:?} cannot be a name");
            anyhow::ensure!(*peer != name, "{peer} is our own name");
        }
        let server = host::resolve(&server, wire::DEFAULT_PORT)
            .await
            .with_context(|| format!("cannot find the server {server}"))?;
        Ok(Settings {
            identity: home.identity(&name)?,
            known: home.known_peers()?,
            home,
            server,
            name,
        })
    }
}
