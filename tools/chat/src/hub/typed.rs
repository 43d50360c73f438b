//! What the user types.

use std::time::Instant;

use cli::address::{AddressError, PeerAddress};
use nat::plan::Role;
use session::name::valid_name;

use super::Hub;
use super::peers::{MOST_PEERS, Peer};
use crate::command::{self, Command, Which, parse};
use crate::files::peer::PeerFiles;
use crate::files::transfers::Transfers;
use crate::input::Input;
use crate::notice::{How, Notice, OpenPath, PathLine, PeerLine, Side};

/// The problem when no peer is chosen.
pub(super) const NOBODY: &str = "not sent: no peer is chosen; type /connect NAME";

impl Hub {
    /// Whether the next line may come: it is read when this one is on its way.
    pub(super) fn wants_line(&self) -> bool {
        !self.user.holds_line() && !self.user.has_ended() && !self.leaving.has_begun()
    }

    /// What comes from the user.
    pub(super) fn handle_input(&mut self, now: Instant, input: Input) {
        if self.handover.is_some() {
            return self.handover_input(now, input);
        }
        match input {
            Input::Line(line) => match parse(&line) {
                Ok(Some(command)) => self.command(now, command),
                Ok(None) => {}
                Err(problem) => self.user.problem(problem),
            },
            Input::TooLong => {
                self.user.fail();
                self.user.problem("not sent: a message has at most 64 KiB");
            }
            Input::End if self.user.leaves_at_end() => self.begin_to_leave(now),
            Input::End => {
                self.user.end();
                self.transfers.stop_asking();
            }
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Say(text) => self.user.hold(text),
            Command::Connect(name) => self.open(now, &name),
            Command::To(name) if self.peers.contains(&name) => {
                self.user.choose(&name);
                self.user.tell(Notice::Talking { to: name });
            }
            Command::To(name) => self.user.problem(format!(
                "there is no conversation with {name}; type /connect {name}"
            )),
            Command::Peers => self.list_peers(),
            Command::Path => self.list_paths(),
            Command::Room(None) => self.list_room(),
            Command::Room(Some((room, peers))) => self.enter_room(now, room, peers),
            Command::Leave => self.leave_room(now),
            Command::Pending => self.list_pending(),
            Command::Resend => self.resend(now),
            Command::History(count) => self.show_history(count.map_or(20, |count| count as usize)),
            Command::Who => {
                let server_key = self.network.endpoint.server_key();
                let who = Notice::Who {
                    name: self.name.clone(),
                    key: self.network.identity.public(),
                    server: self.network.server,
                    server_address: self.keyring.server.address(server_key.as_ref()),
                    mapped: self.network.endpoint.mapped(),
                    to: self.user.target(),
                };
                self.user.tell(who);
            }
            Command::Verify(name) => self.verify(name),
            Command::Trust(name) => {
                if let Err(error) = self.trust(now, &name) {
                    self.user
                        .problem(format!("cannot save the new key of {name}: {error:#}"));
                }
            }
            Command::Send(path) => match self.user.chosen().and_then(|to| self.peers.get_mut(to)) {
                Some(peer) => peer.files.measure(&mut self.transfers, path),
                None if self.user.is_in_room() => self
                    .user
                    .problem("not sent: a file goes to one peer; type /to NAME first"),
                None => self.user.problem(NOBODY),
            },
            Command::Accept(Which::Caller(name)) => self.admit(now, &name),
            // A name may be a number, too.
            Command::Accept(Which::Offer(number)) if self.waits(number) => {
                self.admit(now, &number.to_string());
            }
            Command::Accept(Which::Offer(number)) => self.answer(Some(number), PeerFiles::open),
            Command::Accept(Which::Oldest) => self.answer(None, PeerFiles::open),
            Command::Reject(name) => self.reject(&name),
            Command::Decline(number) => self.answer(number, PeerFiles::decline),
            Command::Help => self.user.tell(Notice::Help(command::help())),
            Command::Quit => self.begin_to_leave(now),
        }
    }

    /// Opens a conversation and chooses it. With a key, the peer has to have it.
    pub(super) fn open(&mut self, now: Instant, peer: &str) {
        let PeerAddress { name, key } = match peer.parse() {
            Ok(peer) => peer,
            Err(error) => return self.user.problem(AddressError::to_string(&error)),
        };
        let name = name.as_str();
        if !valid_name(name) {
            return self.user.problem(format!("{name:?} cannot be a name"));
        }
        if name == self.name {
            return self.user.problem(format!("{name} is your own name"));
        }
        if let Some(given) = key
            && let Some(known) = self.keyring.key_of(name).filter(|known| *known != given)
        {
            let [known, given] = [known, given].map(hex::encode);
            return self.user.problem(format!(
                "not connected: {name} is known with another key than the one that is given: \
                 known {known}, given {given}. If the given one is right, start chat with \
                 --trust {name} --peer {name}#{given}"
            ));
        }
        if let Some(key) = key {
            self.pin(name, key);
        }
        let Some(peer) = self.entry(name) else {
            return self.user.problem(format!(
                "not connected: there are {MOST_PEERS} conversations already"
            ));
        };
        peer.contact.role = Role::Caller;
        // The user wants to know, also if it was called before without a word.
        (peer.stranger, peer.parted) = (false, false);
        peer.conversation.open(now);
        self.user.choose(name);
    }

    /// Compares digits with that peer.
    fn verify(&mut self, peer: String) {
        let known = self.peers.get_mut(&peer);
        let Some(line) = known.and_then(|known| known.line.as_mut()) else {
            return self
                .user
                .problem(format!("{peer} is not connected; type /connect {peer}"));
        };
        let mut nonce = [0; 32];
        if let Err(error) = getrandom::fill(&mut nonce) {
            return self
                .user
                .problem(format!("cannot read the system's randomness: {error}"));
        }
        line.verify.begin(nonce);
        if line.verify.waits() {
            let asked_by = Side::Us;
            self.user.tell(Notice::Verifying { peer, asked_by });
        }
    }

    /// Answers an offer: that of the number, else the oldest.
    fn answer(&mut self, number: Option<u64>, answer: fn(&mut PeerFiles, &mut Transfers, u64)) {
        let Some((from, file)) = self.transfers.offers.take(number) else {
            return self.user.problem(match number {
                Some(number) => format!("there is no offer {number}"),
                None => match self.callers.names().next() {
                    Some(name) => {
                        format!("no file is on offer; to talk to {name}, type /accept {name}")
                    }
                    None => "no file is on offer".into(),
                },
            });
        };
        if let Some(peer) = self.peers.get_mut(&from) {
            answer(&mut peer.files, &mut self.transfers, file);
        }
    }

    fn list_peers(&mut self) {
        let line = |(name, peer): (&String, &Peer)| PeerLine {
            name: name.clone(),
            state: match (peer.conversation.is_up(), peer.conversation.is_idle()) {
                (true, _) => "connected",
                (_, true) => "known",
                _ => "calling",
            },
            waiting: peer.conversation.waiting(),
            chosen: self.user.chosen() == Some(name),
        };
        let known = |name: &String| PeerLine {
            name: name.clone(),
            state: "known",
            waiting: 0,
            chosen: false,
        };
        let asks = |name: &String| PeerLine {
            state: "asks",
            ..known(name)
        };
        let others = self
            .keyring
            .names()
            .filter(|name| !self.peers.contains(name));
        let mut lines: Vec<PeerLine> = self.peers.iter().map(line).collect();
        lines.extend(others.map(known));
        lines.extend(self.callers.names().map(asks));
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        self.user.tell(Notice::Peers(lines));
    }

    fn list_paths(&mut self) {
        let line = |(name, peer): (&String, &Peer)| self.path_line(name, peer);
        let paths = self.peers.iter().filter_map(line).collect();
        let measured = self.network.surroundings.measured();
        let nat = measured.map(|measured| (measured.side.behaviour, measured.at.elapsed()));
        self.user.tell(Notice::Paths { paths, nat });
    }

    /// How that peer is reached; `None` if nobody wants to reach it.
    pub(super) fn path_line(&self, name: &str, peer: &Peer) -> Option<PathLine> {
        let Some(line) = &peer.line else {
            let why = peer.obstacle.why().unwrap_or("looking for one");
            return (!peer.conversation.is_idle()).then(|| PathLine {
                name: name.to_owned(),
                open: None,
                why: why.to_owned(),
            });
        };
        let connection = &line.link.connection;
        let stats = connection.stats().path;
        let quic_address = connection.remote_address();
        let way = peer.contact.way(&self.network, connection);
        Some(PathLine {
            name: name.to_owned(),
            open: Some(OpenPath {
                way,
                relay: (way.how == How::Relay).then(|| self.network.relay_of(quic_address)),
                local: self.network.local_address(quic_address),
                lost: stats.lost_packets,
                sent: stats.sent_packets,
            }),
            why: way.how.why(name, peer.contact.role),
        })
    }
}
