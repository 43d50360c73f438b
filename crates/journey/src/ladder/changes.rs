//! What a packet changes in the NATs that it passes, for those who read the ladder from top to bottom.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::way::{self, Pass};
use crate::{Journey, Trace};

/// For how long after a packet a NAT may have been read, in milliseconds, for what it held to be the packet's doing.
const READ_MS: f64 = 1000.0;

/// A socket as a router sees it: router, protocol and inside endpoint.
type Socket<'a> = (&'a str, &'a str, SocketAddr);

/// What has been told of the NATs so far.
#[derive(Debug)]
pub(crate) struct Changes<'a> {
    /// The node that has an address.
    owners: HashMap<IpAddr, &'a str>,
    /// From where packets are let in, and when that was first read.
    lets_in: HashMap<Socket<'a>, Vec<(Permit, f64)>>,
    /// The outside endpoints.
    mapped: HashMap<Socket<'a>, Vec<SocketAddr>>,
    /// The host behind an outside endpoint.
    behind: HashMap<SocketAddr, &'a str>,
    /// Inside endpoints, and what was told of the filter in front of them.
    told: HashSet<(SocketAddr, Change)>,
}

/// What a packet changes in a NAT.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    /// The NAT gives it this source. Before, the same socket had another one.
    Translates {
        node: String,
        outside: SocketAddr,
        before: Option<SocketAddr>,
    },
    /// The NAT lets packets in from there; at this port of its own, if it translates.
    Accepts {
        node: String,
        at: Option<u16>,
        from: Whom,
    },
}

/// Whose packets a NAT lets in: a host by its name, or by its address where the name is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Whom {
    Anyone,
    AllPorts(String),
    Port(String, u16),
}

/// From where a NAT lets packets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Permit {
    Anyone,
    /// With port 0: from all ports.
    From(SocketAddr),
}

impl<'a> Changes<'a> {
    /// Nothing has been told yet.
    pub(crate) fn of(trace: &'a Trace) -> Self {
        let mut owners = HashMap::new();
        for node in &trace.nodes {
            for address in node.interfaces.iter().flat_map(|it| &it.addresses) {
                owners.entry(*address).or_insert(&*node.name);
            }
        }
        let mut lets_in: HashMap<_, Vec<(Permit, f64)>> = HashMap::new();
        for table in &trace.tables {
            for mapping in &table.mappings {
                let key = (&*table.node, &*mapping.protocol, mapping.inside);
                let permits = lets_in.entry(key).or_default();
                let from = mapping.permits.iter().copied().map(Permit::From);
                for permit in from.chain(mapping.anyone.then_some(Permit::Anyone)) {
                    if !permits.iter().any(|(known, _)| *known == permit) {
                        permits.push((permit, table.t_ms));
                    }
                }
            }
        }
        let mut behind = HashMap::new();
        for journey in &trace.journeys {
            let host = journey.sightings.first().map(|first| &*first.node);
            for pass in way::passes(journey).filter(|pass| pass.before.0 != pass.after.0) {
                behind
                    .entry(pass.after.0)
                    .or_insert(host.unwrap_or(pass.node));
            }
        }
        Self {
            owners,
            lets_in,
            mapped: HashMap::new(),
            behind,
            told: HashSet::new(),
        }
    }

    /// What the packet changes that has not been told yet.
    pub(crate) fn made_by(&mut self, journey: &'a Journey) -> Vec<Change> {
        let mut news = Vec::new();
        for pass in way::passes(journey) {
            news.extend(self.translation(journey, &pass));
            let permit = self.permit(journey, &pass);
            // the same of another socket is news as well
            news.extend(permit.filter(|it| self.told.insert((pass.before.0, it.clone()))));
        }
        news
    }

    /// The translation of a packet from inside, if it is a new one.
    fn translation(&mut self, journey: &'a Journey, pass: &Pass<'a>) -> Option<Change> {
        let (inside, outside) = (pass.before.0, pass.after.0);
        if inside == outside {
            return None;
        }
        let key = (pass.node, &*journey.protocol, inside);
        let known = self.mapped.entry(key).or_default();
        if known.contains(&outside) {
            return None;
        }
        let before = known.last().copied();
        known.push(outside);
        Some(Change::Translates {
            node: pass.node.to_owned(),
            outside,
            before,
        })
    }

    /// From where the NAT lets packets in, now that this one has left.
    fn permit(&self, journey: &Journey, pass: &Pass<'_>) -> Option<Change> {
        let (inside, remote) = pass.before;
        let permits = self.lets_in.get(&(pass.node, &*journey.protocol, inside))?;
        let left = journey.sightings.first()?.t_ms;
        let due = permits.iter().filter(|(_, read)| *read <= left + READ_MS);
        let permit = due.map(|(permit, _)| *permit).find(|permit| match permit {
            Permit::Anyone => true,
            Permit::From(from) => {
                from.ip() == remote.ip() && (from.port() == 0 || from.port() == remote.port())
            }
        })?;
        let from = match permit {
            Permit::Anyone => Whom::Anyone,
            Permit::From(from) if from.port() == 0 => Whom::AllPorts(self.name(remote)),
            Permit::From(from) => Whom::Port(self.name(remote), from.port()),
        };
        Some(Change::Accepts {
            node: pass.node.to_owned(),
            at: (pass.after.0 != inside).then_some(pass.after.0.port()),
            from,
        })
    }

    /// The host behind an endpoint; the address where that is not known.
    pub(crate) fn name(&self, endpoint: SocketAddr) -> String {
        let behind = self.behind.get(&endpoint);
        match behind.or_else(|| self.owners.get(&endpoint.ip())) {
            Some(name) => (*name).to_owned(),
            None => endpoint.ip().to_string(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Translates {
                node,
                outside,
                before,
            } => {
                write!(f, "{node} changes the source to {outside}")?;
                match before {
                    Some(before) if before.ip() == outside.ip() => {
                        write!(f, ", another port than before ({})", before.port())
                    }
                    Some(before) => write!(f, ", another address than before ({before})"),
                    None => Ok(()),
                }
            }
            Change::Accepts { node, at, from } => {
                let at = at.map_or(String::new(), |port| format!(" at port {port}"));
                write!(f, "{node} now lets in {from}{at}")
            }
        }
    }
}

impl Whom {
    /// The host alone.
    pub(crate) fn host(&self) -> &str {
        match self {
            Whom::Anyone => "anyone",
            Whom::AllPorts(host) | Whom::Port(host, _) => host,
        }
    }
}

impl fmt::Display for Whom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whom::Anyone => f.write_str("anyone"),
            Whom::AllPorts(host) => write!(f, "all ports of {host}"),
            Whom::Port(host, port) => write!(f, "{host} port {port}"),
        }
    }
}
