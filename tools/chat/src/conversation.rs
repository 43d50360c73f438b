//! A conversation with one peer: what is said arrives once and in order, over
//! as many links as it takes.
//!
//! A link is one connection over one path. Report its beginning and its end with
//! [`Conversation::link_up`] and [`Conversation::link_down`], hand each frame
//! that comes over it to [`Conversation::handle_frame`], call
//! [`Conversation::handle_timeout`] when [`Conversation::poll_timeout`] says
//! so, send what [`Conversation::poll_frame`] yields over the link, and act on
//! [`Conversation::poll_event`].
//!
//! Both sides number their items. Each link begins with a hello from both sides,
//! which says how many items have arrived; the others are sent again. A peer
//! that was restarted has another epoch.

mod outbox;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::outbox::Outbox;

use crate::frame::{Frame, Hello, Item};

/// A path is suspected to be lost when an item is not acknowledged for this
/// long: another is made, while this one may still recover.
const SUSPECT_AFTER: Duration = Duration::from_secs(3);

/// It is suspected again after this.
const SUSPECT_AGAIN: Duration = Duration::from_secs(6);

/// How long after a failed attempt the next begins.
const CALL_AGAIN: Duration = Duration::from_secs(1);

/// Which link; the driver numbers them.
pub type LinkId = u64;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An item has arrived at the peer.
    Delivered {
        /// The item's number.
        number: u64,
        /// What it was.
        item: Item,
        /// How long after it was said.
        after: Duration,
    },
    /// An item has come from the peer.
    Received(Item),
    /// The peer is another process than before, and has forgotten everything.
    Restarted,
    /// The peer has said hello on this link, and whether it knows rooms.
    Greeted {
        /// An earlier version does not.
        rooms: bool,
    },
    /// Make a path, or another one.
    Call,
    /// There was no path for too long: these items will not be delivered.
    GaveUp(Vec<Item>),
}

/// Too much waits already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much waits to be delivered")]
pub struct Full;

/// A peer that does not keep to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An item or acknowledgement before the hello, or a second hello.
    #[error("a link did not begin with one hello")]
    Hello,
    /// An item that is not the next one.
    #[error("item {got} came, and {expected} was expected")]
    Gap {
        /// What should have come.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// An acknowledgement for what was never sent.
    #[error("an item was acknowledged that was not sent")]
    Ack,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    said_hello: bool,
    heard_hello: bool,
    /// What we last acknowledged on it.
    acked: u64,
    suspect_at: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// No path is wanted.
    Idle,
    /// A path is wanted.
    Calling {
        since: Instant,
        call_at: Option<Instant>,
    },
    Up(Link),
}

/// A conversation.
#[derive(Debug)]
pub struct Conversation {
    epoch: u64,
    patience: Duration,
    state: State,
    outbox: Outbox,
    theirs: u64,
    received: u64,
    /// Whether the peer knows rooms, once it has said hello.
    rooms: Option<bool>,
    events: VecDeque<Event>,
}

impl Conversation {
    /// Without a link. `epoch` is random; after `patience` without a path it
    /// gives up.
    pub fn new(epoch: u64, patience: Duration) -> Self {
        Conversation {
            epoch: epoch.max(1),
            patience,
            state: State::Idle,
            outbox: Outbox::default(),
            theirs: 0,
            received: 0,
            rooms: None,
            events: VecDeque::new(),
        }
    }

    /// Wants a path, if there is none.
    pub fn open(&mut self, now: Instant) {
        if matches!(self.state, State::Idle) {
            self.begin_calling(now, Some(now));
            self.handle_timeout(now);
        }
    }

    /// The peer makes a path: wait for it.
    pub fn expect(&mut self, now: Instant) {
        if matches!(self.state, State::Idle) {
            self.begin_calling(now, None);
        }
    }

    /// Says something; returns its number.
    ///
    /// # Errors
    /// `Full`: say it again later.
    pub fn say(&mut self, now: Instant, item: Item) -> Result<u64, Full> {
        if !self.has_room() {
            return Err(Full);
        }
        let number = self.outbox.push(now, item);
        self.open(now);
        Ok(number)
    }

    /// Whether more can be said.
    pub fn has_room(&self) -> bool {
        self.outbox.has_room()
    }

    /// Whether there is a link.
    pub fn is_up(&self) -> bool {
        matches!(self.state, State::Up(_))
    }

    /// Whether the peer knows rooms, once it has said hello; `None` without a link.
    pub fn knows_rooms(&self) -> Option<bool> {
        self.rooms.filter(|_| self.is_up())
    }

    /// Whether there is neither a link nor the wish for one.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// How many items are not acknowledged.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Whether an acknowledgement was sent for everything that has arrived.
    pub fn owes_nothing(&self) -> bool {
        match &self.state {
            State::Up(link) => link.acked == self.received,
            _ => true,
        }
    }

    /// A new link; it takes the place of an older one.
    pub fn link_up(&mut self, id: LinkId) {
        let unacknowledged = self.outbox.len();
        tracing::debug!(
            link = id,
            unacknowledged,
            "conversation goes over this link"
        );
        self.state = State::Up(Link {
            id,
            said_hello: false,
            heard_hello: false,
            acked: self.received,
            suspect_at: None,
        });
        self.rooms = None;
        self.outbox.send_again();
    }

    /// Something has come over the link since the last item was sent: it is
    /// slow (a file fills the way, say), and not broken.
    pub fn reassure(&mut self, now: Instant) {
        if let State::Up(link) = &mut self.state {
            link.suspect_at = Some(now + SUSPECT_AFTER / 2);
        }
    }

    /// A link is gone.
    pub fn link_down(&mut self, now: Instant, id: LinkId) {
        if matches!(&self.state, State::Up(link) if link.id == id) {
            self.begin_calling(now, Some(now));
            self.handle_timeout(now);
        }
    }

    /// The peer has left for good.
    pub fn left(&mut self, id: LinkId) {
        if matches!(&self.state, State::Up(link) if link.id == id) {
            self.give_up();
        }
    }

    /// An attempt to make a path has failed.
    pub fn attempt_failed(&mut self, now: Instant) {
        if let State::Calling { call_at, .. } = &mut self.state {
            *call_at = Some(now + CALL_AGAIN);
        }
    }

    /// Ends it: no path is wanted any more, and what waits is given up.
    pub fn hang_up(&mut self) {
        if !self.is_idle() || self.outbox.len() > 0 {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        self.state = State::Idle;
        let lost = self.outbox.give_up();
        tracing::debug!(undelivered = lost.len(), "conversation ended");
        self.events.push_back(Event::GaveUp(lost));
    }

    /// A frame that came over a link.
    ///
    /// # Errors
    /// A violation of the protocol: close the link.
    pub fn handle_frame(
        &mut self,
        now: Instant,
        id: LinkId,
        frame: Frame,
    ) -> Result<(), Violation> {
        let State::Up(link) = &mut self.state else {
            return Ok(());
        };
        if link.id != id {
            return Ok(()); // Of a link that was replaced: what it brings is sent again.
        }
        let first = matches!(frame, Frame::Hello(_));
        if first == link.heard_hello && frame != Frame::Bye {
            return Err(Violation::Hello);
        }
        match frame {
            Frame::Hello(hello) => {
                link.heard_hello = true;
                self.handle_hello(now, hello)
            }
            Frame::Item { number, item } => {
                if number > self.received {
                    let expected = self.received;
                    let got = number;
                    return Err(Violation::Gap { expected, got });
                }
                if number == self.received {
                    self.received = self.received.saturating_add(1);
                    self.events.push_back(Event::Received(item));
                }
                Ok(())
            }
            Frame::Ack(received) => self.acknowledged(now, received),
            Frame::Bye => {
                self.left(id);
                Ok(())
            }
            // They belong to the comparison of digits, and to the proof of a code.
            Frame::Verify(_) | Frame::Proof(_) => Ok(()),
        }
    }

    /// To be called when [`Self::poll_timeout`] says so.
    pub fn handle_timeout(&mut self, now: Instant) {
        match &mut self.state {
            State::Idle => {}
            State::Calling { since, call_at } => {
                if now >= *since + self.patience {
                    return self.give_up();
                }
                if call_at.take_if(|at| *at <= now).is_some() {
                    self.events.push_back(Event::Call);
                }
            }
            State::Up(link) => {
                let suspect_at = suspect_at(link, self.outbox.oldest_sent());
                if suspect_at.is_some_and(|at| at <= now) {
                    tracing::debug!(link = link.id, "no acknowledgement: path suspected");
                    link.suspect_at = Some(now + SUSPECT_AGAIN);
                    self.events.push_back(Event::Call);
                }
            }
        }
    }

    /// When [`Self::handle_timeout`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Idle => None,
            State::Calling { since, call_at } => {
                let end = *since + self.patience;
                Some(call_at.map_or(end, |at| at.min(end)))
            }
            State::Up(link) => suspect_at(link, self.outbox.oldest_sent()),
        }
    }

    /// The next frame for the link, at `now`.
    pub fn poll_frame(&mut self, now: Instant) -> Option<Frame> {
        let State::Up(link) = &mut self.state else {
            return None;
        };
        if !link.said_hello {
            link.said_hello = true;
            return Some(Frame::Hello(Hello {
                epoch: self.epoch,
                first: self.outbox.first(),
                of: self.theirs,
                received: self.received,
                rooms: true,
            }));
        }
        if !link.heard_hello {
            return None;
        }
        if link.acked != self.received {
            link.acked = self.received;
            return Some(Frame::Ack(self.received));
        }
        let (number, item) = self.outbox.next_to_send(now)?;
        Some(Frame::Item { number, item })
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn begin_calling(&mut self, now: Instant, call_at: Option<Instant>) {
        self.state = State::Calling {
            since: now,
            call_at,
        };
    }

    fn handle_hello(&mut self, now: Instant, hello: Hello) -> Result<(), Violation> {
        if hello.epoch != self.theirs {
            if self.theirs != 0 {
                tracing::debug!("the peer has restarted");
                self.events.push_back(Event::Restarted);
            }
            self.theirs = hello.epoch;
            self.received = hello.first;
        }
        self.rooms = Some(hello.rooms);
        self.events.push_back(Event::Greeted { rooms: hello.rooms });
        // What lies between what we have and what it still has, it gave up.
        self.received = self.received.max(hello.first);
        if let State::Up(link) = &mut self.state {
            link.acked = self.received;
        }
        if hello.of == self.epoch {
            return self.acknowledged(now, hello.received);
        }
        Ok(())
    }

    fn acknowledged(&mut self, now: Instant, received: u64) -> Result<(), Violation> {
        if received > self.outbox.next() {
            return Err(Violation::Ack);
        }
        tracing::trace!(received, waiting = self.outbox.len(), "items acknowledged");
        while let Some(waiting) = self.outbox.take_before(received) {
            self.events.push_back(Event::Delivered {
                number: waiting.number,
                item: waiting.item,
                after: now.saturating_duration_since(waiting.said),
            });
        }
        if let State::Up(link) = &mut self.state {
            link.suspect_at = None;
        }
        Ok(())
    }
}

/// When to suspect the path, if the oldest item is not acknowledged before.
fn suspect_at(link: &Link, oldest_sent: Option<Instant>) -> Option<Instant> {
    let sent = oldest_sent?;
    Some(link.suspect_at.unwrap_or(sent + SUSPECT_AFTER))
}

#[cfg(test)]
mod tests;
