//! What is said, and what the user asks for.

use std::time::Instant;

use nat::plan::Role;
use net::host;
use session::name::valid_name;

use super::Hub;
use crate::command::{COMMANDS, Command};
use crate::conversation::Event;
use crate::frame::Item;
use crate::link::Close;
use crate::notice::{Notice, PathLine, PeerLine, Way};

impl Hub {
    /// Opens a conversation and chooses it.
    pub(super) fn open(&mut self, now: Instant, name: &str) {
        if !valid_name(name) {
            return self.problem(format!("{name:?} cannot be a name"));
        }
        if name == self.settings.name {
            return self.problem(format!("{name} is your own name"));
        }
        let Some(peer) = self.entry(name) else {
            return self.problem("too many peers at once".into());
        };
        peer.role = Role::Caller;
        peer.conversation.open(now);
        self.choose(name);
    }

    /// Says the line that waits, if there is somebody, and room.
    pub(super) fn say_held(&mut self, now: Instant) {
        if self.held.is_none() {
            return;
        }
        let interactive = self.screen.is_interactive();
        let chosen = self.chosen.as_ref().and_then(|c| self.peers.get_mut(c));
        let Some(peer) = chosen else {
            if interactive {
                self.held = None;
                self.problem("to whom? /connect NAME".into());
            }
            return;
        };
        if !peer.conversation.has_room() {
            if interactive {
                self.held = None;
                self.problem("too much waits to be delivered already: not sent".into());
            }
            return;
        }
        let text = self.held.take().unwrap_or_default();
        // There is room, as we have just seen.
        let _ = peer.conversation.say(now, Item::Text(text));
    }

    /// What a conversation tells; true if it did.
    pub(super) fn conversation_events(&mut self, now: Instant, name: &str) -> bool {
        let mut some = false;
        loop {
            let peer = self.peers.get_mut(name);
            let Some(event) = peer.and_then(|peer| peer.conversation.poll_event()) else {
                return some;
            };
            some = true;
            match event {
                Event::Received(Item::Text(text)) => {
                    let from = name.to_owned();
                    self.tell(Notice::Message { from, text });
                }
                Event::Received(item) => self.file_item(now, name, item),
                Event::Delivered {
                    number,
                    item: Item::Text(text),
                    after,
                } => {
                    let to = name.to_owned();
                    self.tell(Notice::Delivered {
                        to,
                        number,
                        text,
                        after,
                    });
                }
                Event::Delivered { .. } => {}
                Event::Restarted => {
                    let peer = name.to_owned();
                    self.tell(Notice::Restarted { peer });
                    self.files_restarted(now, name);
                }
                Event::Call => {
                    self.brain.refresh(now);
                    self.brain.call(now, name);
                }
                Event::GaveUp(items) => self.gave_up(name, items),
            }
        }
    }

    fn gave_up(&mut self, name: &str, items: Vec<Item>) {
        self.brain.hang_up(name);
        let to = name.to_owned();
        let Some(peer) = self.peers.get_mut(name) else {
            return;
        };
        let why = peer.cause.take();
        peer.told = None;
        peer.verify = None;
        if let Some(link) = peer.link.take() {
            link.close(Close::Bye);
        }
        let (never, parted) = (!peer.met, std::mem::take(&mut peer.parted));
        if let Some(key) = peer.key {
            self.welcome.remove(&key);
        }
        if !parted {
            self.failed |= never;
            let peer = to.clone();
            self.tell(Notice::GaveUp { peer, why });
        }
        for item in items {
            if let Item::Text(text) = item {
                self.failed = true;
                let to = to.clone();
                self.tell(Notice::Undelivered { to, text });
            }
        }
        self.files_gave_up(name);
    }

    /// What the user asks for.
    pub(super) fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Say(text) => self.held = Some(text),
            Command::Connect(name) => self.open(now, &name),
            Command::To(name) if self.peers.contains_key(&name) => {
                self.choose(&name);
                self.tell(Notice::Talking { to: name });
            }
            Command::To(name) => self.problem(format!("{name} is not here: /connect {name}")),
            Command::Peers => self.list_peers(),
            Command::Path => self.list_paths(),
            Command::Who => {
                let who = Notice::Who {
                    name: self.settings.name.clone(),
                    key: self.settings.identity.public(),
                    server: self.settings.server,
                    mapped: self.brain.mapped(),
                    to: self.chosen.clone(),
                };
                self.tell(who);
            }
            Command::Verify(name) => self.verify(&name),
            Command::Trust(name) => {
                if let Err(error) = self.trust_key(now, &name) {
                    self.problem(format!("{name} is not trusted: {error:#}"));
                }
            }
            Command::Send(path) => self.offer_file(path),
            Command::Accept(number) => self.answer_offer(number, true),
            Command::Decline(number) => self.answer_offer(number, false),
            Command::Help => self.tell(Notice::Help(help())),
            Command::Quit => self.begin_to_leave(),
        }
    }

    fn choose(&mut self, name: &str) {
        self.chosen = Some(name.to_owned());
        self.chosen_by_user = true;
    }

    fn list_peers(&mut self) {
        let line = |(name, peer): (&String, &super::Peer)| PeerLine {
            name: name.clone(),
            state: match (peer.conversation.is_up(), peer.conversation.is_idle()) {
                (true, _) => "connected",
                (_, true) => "known",
                _ => "calling",
            },
            waiting: peer.conversation.waiting(),
            chosen: self.chosen.as_ref() == Some(name),
        };
        let mut lines: Vec<PeerLine> = self.peers.iter().map(line).collect();
        let others = self.settings.known.keys();
        lines.extend(
            others
                .filter(|name| !self.peers.contains_key(*name))
                .map(|name| PeerLine {
                    name: name.clone(),
                    state: "known",
                    waiting: 0,
                    chosen: false,
                }),
        );
        lines.sort_by(|a, b| a.name.cmp(&b.name));
        self.tell(Notice::Peers(lines));
    }

    fn list_paths(&mut self) {
        let port = quinn_port(&self.quic);
        let mut lines = Vec::new();
        for (name, peer) in &self.peers {
            let Some(link) = &peer.link else { continue };
            let stats = link.connection.stats().path;
            let remote = link.connection.remote_address();
            let how = peer.how(remote);
            let remote = self.socket.detour.real(remote).unwrap_or(remote);
            lines.push(PathLine {
                name: name.clone(),
                way: Way {
                    how,
                    remote,
                    rtt: stats.rtt,
                },
                local: host::local_address(remote, port),
                lost: (stats.lost_packets, stats.sent_packets),
                why: how.why(name, peer.role),
            });
        }
        self.tell(Notice::Paths(lines));
    }
}

fn quinn_port(quic: &quinn::Endpoint) -> u16 {
    quic.local_addr().map_or(0, |address| address.port())
}

fn help() -> String {
    let line = |(word, takes, what): (&str, &str, &str)| format!("{word} {takes:<8} {what}");
    let lines: Vec<String> = COMMANDS.into_iter().map(line).collect();
    lines.join("\n")
}
