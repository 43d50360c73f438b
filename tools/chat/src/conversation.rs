//! A conversation with one peer: what is said arrives once and in order, over
//! as many links as it takes.
//!
//! A link is one connection over one path. Tell of its coming and going with
//! [`Conversation::link_up`] and [`Conversation::link_down`], feed what comes
//! over it to [`Conversation::handle_frame`], call
//! [`Conversation::handle_timeout`] when [`Conversation::poll_timeout`] says
//! so, send what [`Conversation::poll_frame`] yields over the link, and act on
//! [`Conversation::poll_event`].
//!
//! Both sides number their items. Each link begins with a hello in which both
//! say how far they have come; what the other has not got is sent again, what
//! it has got is not. A peer that starts anew has another epoch.

mod outbox;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::outbox::Outbox;

use crate::frame::{Frame, Hello, Item};

/// An item that is not acknowledged for so long raises doubts about the path:
/// another is made while this one may still recover.
const DOUBT: Duration = Duration::from_secs(3);

/// The doubts come again after this.
const DOUBT_AGAIN: Duration = Duration::from_secs(6);

/// After an attempt without success, the next.
const CALL_AGAIN: Duration = Duration::from_secs(1);

/// Which link; the hands number them.
pub type LinkId = u64;

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer has got it.
    Delivered {
        /// The item's number.
        number: u64,
        /// What it was.
        item: Item,
        /// After it was said.
        after: Duration,
    },
    /// The peer says this.
    Received(Item),
    /// The peer is another process than before: it has forgotten everything.
    Restarted,
    /// Make a path, or a new one.
    Call,
    /// No path for too long: nothing of this was delivered, and it will not be.
    GaveUp(Vec<Item>),
}

/// Too much is waiting already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much waits to be delivered")]
pub struct Full;

/// A peer that does not keep to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// An item or acknowledgement before the hello, or a second hello.
    #[error("no hello, or two")]
    Hello,
    /// An item that is not the next one.
    #[error("item {got} came in place of {expected}")]
    Gap {
        /// What should have come.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// An acknowledgement for what was never sent.
    #[error("an acknowledgement for what was not sent")]
    Ack,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    said_hello: bool,
    heard_hello: bool,
    /// What we last acknowledged on it.
    acked: u64,
    doubt_at: Option<Instant>,
}

#[derive(Debug)]
enum State {
    /// Nobody wants a path.
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
    events: VecDeque<Event>,
}

impl Conversation {
    /// With nobody yet. `epoch` is random; without a path for `patience` it
    /// gives up.
    pub fn new(epoch: u64, patience: Duration) -> Self {
        Conversation {
            epoch: epoch.max(1),
            patience,
            state: State::Idle,
            outbox: Outbox::default(),
            theirs: 0,
            received: 0,
            events: VecDeque::new(),
        }
    }

    /// Wants a path, if there is none.
    pub fn open(&mut self, now: Instant) {
        if matches!(self.state, State::Idle) {
            self.want(now, Some(now));
            self.handle_timeout(now);
        }
    }

    /// The peer makes a path: wait for it.
    pub fn expect(&mut self, now: Instant) {
        if matches!(self.state, State::Idle) {
            self.want(now, None);
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

    /// Whether there is neither a link nor the wish for one.
    pub fn is_idle(&self) -> bool {
        matches!(self.state, State::Idle)
    }

    /// How many items are not acknowledged.
    pub fn waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Whether everything that has arrived is acknowledged, as far as sending
    /// goes.
    pub fn owes_nothing(&self) -> bool {
        match &self.state {
            State::Up(link) => link.acked == self.received,
            _ => true,
        }
    }

    /// A new link; it takes the place of an older one.
    pub fn link_up(&mut self, id: LinkId) {
        self.state = State::Up(Link {
            id,
            said_hello: false,
            heard_hello: false,
            acked: self.received,
            doubt_at: None,
        });
        self.outbox.send_again();
    }

    /// Something has come over the link since the last item was sent: it is
    /// slow (a file fills the way, say), and not broken.
    pub fn reassure(&mut self, now: Instant) {
        if let State::Up(link) = &mut self.state {
            link.doubt_at = Some(now + DOUBT / 2);
        }
    }

    /// A link is gone.
    pub fn link_down(&mut self, now: Instant, id: LinkId) {
        if matches!(&self.state, State::Up(link) if link.id == id) {
            self.want(now, Some(now));
            self.handle_timeout(now);
        }
    }

    /// The peer has left for good.
    pub fn left(&mut self, id: LinkId) {
        if matches!(&self.state, State::Up(link) if link.id == id) {
            self.give_up();
        }
    }

    /// An attempt to make a path has come to nothing.
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
            return Ok(()); // Of a link that was replaced: the new one's hello says it all.
        }
        let first = matches!(frame, Frame::Hello(_));
        if first == link.heard_hello && frame != Frame::Bye {
            return Err(Violation::Hello);
        }
        match frame {
            Frame::Hello(hello) => {
                link.heard_hello = true;
                self.meet(now, hello)
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
            Frame::Verify(_) => Ok(()), // Not a part of what is said.
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
                let doubt = doubt(link, self.outbox.oldest_sent());
                if doubt.is_some_and(|at| at <= now) {
                    link.doubt_at = Some(now + DOUBT_AGAIN);
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
            State::Up(link) => doubt(link, self.outbox.oldest_sent()),
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

    /// The next thing to know.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn want(&mut self, now: Instant, call_at: Option<Instant>) {
        self.state = State::Calling {
            since: now,
            call_at,
        };
    }

    fn meet(&mut self, now: Instant, hello: Hello) -> Result<(), Violation> {
        if hello.epoch != self.theirs {
            if self.theirs != 0 {
                self.events.push_back(Event::Restarted);
            }
            self.theirs = hello.epoch;
            self.received = hello.first;
        }
        // Between what we have and what it still has lies what it gave up.
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
        while let Some(waiting) = self.outbox.take_before(received) {
            self.events.push_back(Event::Delivered {
                number: waiting.number,
                item: waiting.item,
                after: now.saturating_duration_since(waiting.said),
            });
        }
        if let State::Up(link) = &mut self.state {
            link.doubt_at = None;
        }
        Ok(())
    }
}

/// When to doubt the path, while the oldest item stays unacknowledged.
fn doubt(link: &Link, oldest_sent: Option<Instant>) -> Option<Instant> {
    let sent = oldest_sent?;
    Some(link.doubt_at.unwrap_or(sent + DOUBT))
}

#[cfg(test)]
mod tests;
