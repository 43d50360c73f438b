//! What became of each packet of a world. `PINHOLE_TRACE=FILE` writes it when a test fails.

use std::path::Path;

use journey::{Said, Trace};
use sim::{Network, Node};

use super::World;

/// The variable with the file, for which every world records its packets.
pub const VARIABLE: &str = "PINHOLE_TRACE";

impl World {
    /// The trace of a world whose network records.
    pub fn trace(&self) -> Option<Trace> {
        let mut nodes: Vec<(Node, String, String)> = Vec::new();
        let mut further = Vec::new();
        let router = |place, name: &str| {
            let (_, kind) = self.routers.iter().find(|(one, _)| *one == place)?;
            let node = Node::Router(place);
            Some((node, format!("nat-{name}"), kind.clone()))
        };
        for (n, peer) in self.peers.iter().enumerate() {
            let host = Node::Host(peer.host);
            let host = (host, peer.name.clone(), "a host that runs punch".to_owned());
            let known = |node: Node| nodes.iter().chain(&further).any(|(one, ..)| *one == node);
            let router = router(peer.place, &peer.name).filter(|(node, ..)| !known(*node));
            match n {
                0 => nodes.extend([Some(host), router].into_iter().flatten()),
                _ => further.extend([router, Some(host)].into_iter().flatten()),
            }
        }
        for (n, (place, kind)) in self.routers.iter().enumerate() {
            let node = Node::Router(*place);
            if !nodes.iter().chain(&further).any(|(one, ..)| *one == node) {
                nodes.push((node, format!("router-{n}"), kind.clone()));
            }
        }
        let core = "the router in the middle".to_owned();
        nodes.push((Node::Core, "core".to_owned(), core));
        nodes.extend(further);
        let server = "the host of the rendezvous".to_owned();
        nodes.push((Node::Host(self.host), "server".to_owned(), server));
        let named: Vec<(Node, &str, &str)> = nodes
            .iter()
            .map(|(node, name, what)| (*node, name.as_str(), what.as_str()))
            .collect();
        let mut trace = self.network.trace(&named)?;
        let failed = self
            .peers
            .iter()
            .find_map(|peer| Some((peer, peer.cause()?)));
        trace.cause = failed.and_then(|(peer, cause)| {
            let said = Said {
                code: cause.code().to_owned(),
                text: format!("{} has found no path to its peer", peer.name),
            };
            let other = self.peers.iter().find(|other| other.name != peer.name)?;
            journey::cause(&trace, &peer.name, &other.name, Some(&said))
        });
        Some(trace)
    }

    /// Writes the trace: as a page if the file is called `.html`, and as JSON otherwise.
    pub fn write(&self, file: &Path) -> std::io::Result<()> {
        let Some(trace) = self.trace() else {
            return Ok(());
        };
        let text = match file.extension() {
            Some(kind) if kind == "html" => journey::page::html(&trace),
            _ => serde_json::to_string(&trace)? + "\n",
        };
        std::fs::write(file, text)
    }
}

/// Records, if a file is wanted.
pub fn record(network: &mut Network) {
    if std::env::var_os(VARIABLE).is_some() {
        network.record();
    }
}

/// A test that fails says how its packets can be looked at.
#[allow(clippy::print_stderr)] // the output of a test
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let Some(file) = std::env::var_os(VARIABLE) else {
            let thread = std::thread::current();
            eprintln!(
                "To see what became of each packet: {VARIABLE}=$PWD/trace.html cargo test -p {} {} -- --exact",
                env!("CARGO_PKG_NAME"),
                thread.name().unwrap_or_default(),
            );
            return;
        };
        match self.write(Path::new(&file)) {
            Ok(()) => eprintln!("What became of each packet is in {}", file.display()),
            Err(why) => eprintln!("cannot write {}: {why}", file.display()),
        }
    }
}
