//! Files for whoever has a code: the proof on each link, what there is, and the end. Nothing of a
//! [`Handover`] is known here but when it has to be asked.

use std::time::Instant;

use peer_proto::cause::Cause;
use session::identity::PublicKey;

use super::Hub;
use super::leave::Leaving;
use crate::conversation::LinkId;
use crate::files::transfers::OnOffer;
use crate::frame::Item;
use crate::handover::receiver::Offer;
use crate::handover::told::Told;
use crate::handover::{Handover, Side};
use crate::input::Input;
use crate::link::{Close, Link};
use crate::notice::Notice;
use crate::proof::{Proof, State, Step};

/// Files are named one by one up to this many.
const FEW: u64 = 10;

/// The name at the rendezvous belongs to another key.
#[derive(Debug, thiserror::Error)]
#[error("code {0} is in use: take another number")]
pub struct NumberTaken(u32);

impl Hub {
    /// For files, and nothing else.
    #[must_use]
    pub fn with_handover(mut self, handover: Handover) -> Hub {
        self.handover = Some(handover);
        self
    }

    /// Our one-time name is taken; `None` if it is a chat's name.
    pub(super) fn number_taken(&self) -> Option<NumberTaken> {
        let handover = self.handover.as_ref()?;
        Some(NumberTaken(handover.code.number()))
    }

    /// We are registered.
    pub(super) fn handover_registered(&mut self, now: Instant) {
        let server = self.host();
        let Some(handover) = &mut self.handover else {
            return;
        };
        if std::mem::replace(&mut handover.registered, true) {
            return;
        }
        match &handover.side {
            Side::Sender(sender) => {
                let (files, bytes) = sender.total();
                let told = Told::Code {
                    code: handover.code.to_string(),
                    server,
                    name: sender.name().to_owned(),
                    files,
                    bytes,
                };
                handover.wait(now);
                self.inform(told);
            }
            Side::Receiver(_) => {
                let (number, server) = (handover.code.number(), self.host());
                self.inform(Told::Looking { number, server });
            }
        }
    }

    /// The other side is not reached, and why; true if there is nothing more to be told of it.
    pub(super) fn not_reached(&mut self, cause: &Cause) -> bool {
        let Some(handover) = &self.handover else {
            return false;
        };
        if handover.ended {
            return true;
        }
        if !matches!(cause, Cause::PeerOffline { .. }) {
            return false;
        }
        let (number, server) = (handover.code.number(), self.host());
        if !handover.is_proven() {
            self.inform(Told::Nobody { number, server });
        }
        true
    }

    /// The proof that a new link begins with; `Err` if the link is not wanted.
    pub(super) fn proof_of(&mut self, link: &Link) -> Result<Option<Proof>, ()> {
        let ours = self.network.identity.public();
        let Some(handover) = &mut self.handover else {
            return Ok(None);
        };
        if let Some(proof) = handover.proof(link, ours) {
            return Ok(Some(proof));
        }
        if matches!(handover.side, Side::Receiver(_)) {
            self.end_handover("the sender did not prove that it knows the code, three times");
        }
        Err(())
    }

    /// A step of the proof.
    pub(super) fn handle_proof(&mut self, now: Instant, id: LinkId, step: Step) {
        let Some((name, peer)) = self.peers.over(id) else {
            return;
        };
        let Some(line) = &mut peer.line else { return };
        let Some(proof) = &mut line.proof else {
            return; // Nobody has asked for one.
        };
        if let Err(out_of_turn) = proof.handle(step) {
            return self.violated(now, id, out_of_turn.to_string());
        }
        let key = line.link.key;
        match proof.state() {
            State::Open | State::Shown => {}
            State::Proven => self.proven(now, &name, key),
            State::Wrong => {
                line.link.close(Close::WrongCode);
                self.end_handover(
                    "a wrong code was given: nothing was told, and this code is void. Begin \
                     again, with a new one",
                );
            }
        }
    }

    fn proven(&mut self, now: Instant, name: &str, key: PublicKey) {
        let (Some(handover), Some(peer)) = (&mut self.handover, self.peers.get_mut(name)) else {
            return;
        };
        let again = handover.is_proven();
        match &mut handover.side {
            Side::Sender(sender) if sender.admits(&key) => {
                sender.proven(name, key);
                handover.until = None;
            }
            Side::Sender(_) => {
                if let Some(line) = &peer.line {
                    line.link.close(Close::Unwelcome); // Two knew the code: the first one counts.
                }
                return;
            }
            Side::Receiver(receiver) => receiver.proven(),
        }
        // No stranger any more: it is told what helps to reach us within a network.
        self.network.endpoint.trust(name, key);
        peer.improvement.hurry(now);
        let Some(line) = &peer.line else { return };
        let way = peer.contact.way(&self.network, &line.link.connection);
        self.inform(Told::Proven { way, again });
    }

    /// Does what is to be done next.
    pub(super) fn hand_over(&mut self, now: Instant) {
        let Some(handover) = &mut self.handover else {
            return;
        };
        if handover.ended {
            return;
        }
        let failed = match &mut handover.side {
            Side::Sender(sender) => {
                let receiver = sender.receiver().map(str::to_owned);
                let peer = receiver.and_then(|name| self.peers.get_mut(&name));
                if let Some(peer) = peer.filter(|peer| peer.is_trusted()) {
                    if let Some(item) = sender.announce() {
                        let _ = peer.conversation.say(now, item);
                    }
                    while let Some(entry) = sender.next_offer() {
                        let transfers = &mut self.transfers;
                        peer.files
                            .offer_as(transfers, entry.path, entry.name, entry.size);
                    }
                }
                sender.outcome()
            }
            Side::Receiver(receiver) => receiver.outcome(),
        };
        if let Some(failed) = failed {
            let (files, bytes) = handover.done();
            handover.ended = true;
            self.inform(Told::Done {
                files,
                bytes,
                failed,
            });
            if failed > 0 {
                self.user.fail();
            }
            self.leaving = Leaving::soon(now);
        } else if handover.until.is_some_and(|until| until <= now) {
            self.end_handover("no receiver came in time (--wait): this code is void");
        }
    }

    /// It ends here, and not everything was delivered.
    pub(super) fn end_handover(&mut self, why: &str) {
        if let Some(handover) = &mut self.handover
            && !std::mem::replace(&mut handover.ended, true)
        {
            self.user.fail();
            self.inform(Told::Ended(why.to_owned()));
            self.leaving = Leaving::soon(Instant::now());
        }
    }

    /// The peer has said something; true if it was about the whole.
    pub(super) fn handover_item(&mut self, now: Instant, name: &str, item: &Item) -> bool {
        let Some(handover) = &mut self.handover else {
            return false;
        };
        match (&mut handover.side, item) {
            (Side::Sender(sender), Item::Take) => {
                sender.take();
                true
            }
            (Side::Sender(_), Item::Refuse { why }) => {
                let why = format!("the receiver does not take it: {why}");
                self.end_handover(&why);
                true
            }
            (Side::Receiver(receiver), Item::Parcel { files, bytes, name }) => {
                let Some(asks) = receiver.announced(*files, *bytes) else {
                    return true;
                };
                let told = Told::Parcel {
                    name: name.clone(),
                    files: *files,
                    bytes: *bytes,
                    into: self.transfers.folder.path().to_owned(),
                    asks,
                };
                self.inform(told);
                if !asks {
                    self.take_parcel(now);
                } else if self.user.has_ended() {
                    self.decline(now);
                }
                true
            }
            (Side::Receiver(receiver), Item::Offer { size, .. }) => match receiver.offered(*size) {
                Offer::Unwanted => true,
                Offer::Expected => false,
                Offer::TooMuch => {
                    let link = self.peers.get_mut(name).and_then(|peer| peer.line.as_ref());
                    if let Some(id) = link.map(|line| line.link.id) {
                        self.violated(now, id, "more was offered than was announced".into());
                    }
                    true
                }
            },
            (_, Item::Accept { .. } | Item::Decline { .. } | Item::Complete { .. }) => false,
            _ => true,
        }
    }

    fn take_parcel(&mut self, now: Instant) {
        let Some(handover) = &mut self.handover else {
            return;
        };
        if let Side::Receiver(receiver) = &mut handover.side {
            receiver.take();
            self.transfers.on_offer = OnOffer::Accept;
            self.say_to_sender(now, Item::Take);
        }
    }

    fn say_to_sender(&mut self, now: Instant, item: Item) {
        let sender = self.handover.as_ref().map(|handover| handover.code.name());
        if let Some(peer) = sender.and_then(|name| self.peers.get_mut(&name)) {
            let _ = peer.conversation.say(now, item);
        }
    }

    /// What the user answers.
    pub(super) fn handover_input(&mut self, now: Instant, input: Input) {
        if input == Input::End {
            self.user.end();
        }
        let side = self.handover.as_ref().map(|handover| &handover.side);
        if !matches!(side, Some(Side::Receiver(receiver)) if receiver.is_asking()) {
            return;
        }
        let answer = match input {
            Input::Line(line) => line.trim().to_lowercase(),
            Input::TooLong | Input::End => "n".into(),
        };
        match answer.as_str() {
            "" | "y" | "yes" => self.take_parcel(now),
            "n" | "no" => self.decline(now),
            _ => self.inform(Told::AskAgain),
        }
    }

    fn decline(&mut self, now: Instant) {
        let why = "declined".into();
        self.say_to_sender(now, Item::Refuse { why });
        self.end_handover("declined");
    }

    /// A peer is no longer there.
    pub(super) fn handover_gave_up(&mut self, now: Instant, name: &str) {
        let Some(handover) = &mut self.handover else {
            return;
        };
        let why = self
            .peers
            .get_mut(name)
            .and_then(|peer| peer.obstacle.clear());
        if handover.ended {
            return;
        }
        match &mut handover.side {
            Side::Sender(sender) if sender.receiver() == Some(name) => {
                sender.restart();
                let told = Told::Interrupted {
                    code: handover.code.to_string(),
                    files: (sender.delivered.0, sender.total().0),
                };
                handover.wait(now);
                self.inform(told);
            }
            Side::Sender(_) => {}
            Side::Receiver(receiver) => {
                let because = why.map_or(String::new(), |why| format!(": {why}"));
                let ended = match receiver.proven {
                    true => format!("the sender is gone before everything was received{because}"),
                    false => format!("the sender was not reached{because}"),
                };
                self.end_handover(&ended);
            }
        }
        self.network.endpoint.hang_up(name);
        self.forget(name);
    }

    /// The peer is another process than before: everything is told again.
    pub(super) fn handover_restarted(&mut self, name: &str) -> bool {
        let Some(handover) = &mut self.handover else {
            return false;
        };
        if let Some(peer) = self.peers.get_mut(name) {
            peer.files.reset(&mut self.transfers);
        }
        match &mut handover.side {
            Side::Sender(sender) if sender.receiver() == Some(name) => sender.restart(),
            Side::Sender(_) => {}
            Side::Receiver(receiver) => receiver.restart(),
        }
        true
    }

    /// A link has ended because one side broke the rules.
    pub(super) fn handover_violated(&mut self, name: &str, why: &str) -> bool {
        let Some(handover) = &self.handover else {
            return false;
        };
        let concerns_us = match &handover.side {
            Side::Sender(sender) => sender.receiver() == Some(name),
            Side::Receiver(_) => true,
        };
        if concerns_us {
            self.end_handover(why);
        }
        true
    }

    /// The path to that peer is lost.
    pub(super) fn handover_broken(&mut self, name: &str, why: &str) {
        if let Some(handover) = &self.handover
            && handover.is_with(name)
            && !handover.ended
        {
            self.inform(Told::Broken {
                why: why.to_owned(),
            });
        }
    }

    /// What is told of files, counted and put in other words.
    pub(super) fn handover_told(&mut self, notice: Notice) -> Option<Notice> {
        let Some(handover) = &mut self.handover else {
            return Some(notice);
        };
        let told = match (&mut handover.side, notice) {
            (Side::Receiver(receiver), Notice::Received { path, size, .. }) => {
                receiver.ended(Some(size));
                Told::Received { path, size }
            }
            (Side::Sender(sender), Notice::Sent { name, size, .. }) => {
                sender.ended(&name, true);
                Told::Sent { name, size }
            }
            (side, Notice::FileEnded { name, why, .. }) => {
                match side {
                    Side::Sender(sender) => sender.ended(&name, false),
                    Side::Receiver(receiver) => receiver.ended(None),
                }
                return Some(Notice::Handover(Told::Failed { name, why }));
            }
            (_, notice) => return Some(notice),
        };
        let shown = handover.lists || handover.total().0 <= FEW;
        shown.then_some(Notice::Handover(told))
    }

    /// Shows how far the whole has come.
    pub(super) fn show_handover(&mut self) -> std::io::Result<()> {
        let Some(handover) = &self.handover else {
            return Ok(());
        };
        let bytes = handover.done().1 + self.transfers.progress.bytes();
        self.user.show_whole(bytes, handover.total().1)
    }

    fn inform(&mut self, told: Told) {
        self.user.tell(Notice::Handover(told));
    }

    fn host(&self) -> String {
        self.keyring.server.host().to_owned()
    }
}
