//! Which answers of the server the state machine is to see. It knows nothing of
//! some ways to fail, waits for ever in others, and reports no error code.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use stun::{Class, Message, Method, Transaction, code};

/// Requests that are remembered, at most.
const MOST: usize = 128;

/// A request that was sent and not answered yet, as a answer must be to one.
#[derive(Debug, PartialEq)]
struct Request {
    transaction: Transaction,
    /// It brings credentials.
    authenticated: bool,
}

/// What is to be done with a answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Pass,
    Ignore,
    /// The allocation is lost, or is not to be had: with this error code.
    Lost(u16),
}

#[derive(Debug, Default)]
pub(super) struct Answers {
    requests: VecDeque<Request>,
    /// The server has sent its nonce.
    challenged: bool,
    /// Of the last answer, until the event that it leads to is reported.
    pub(super) mapped: Option<SocketAddr>,
    pub(super) lifetime: Duration,
}

impl Answers {
    pub(super) fn note_sent(&mut self, bytes: &[u8]) {
        let Ok(message) = Message::parse(bytes) else {
            return;
        };
        let request = Request {
            transaction: message.transaction(),
            authenticated: message.username().is_some(),
        };
        if message.class() == Class::Request && !self.requests.contains(&request) {
            self.requests.push_back(request);
            if self.requests.len() > MOST {
                self.requests.pop_front();
            }
        }
    }

    pub(super) fn judge(&mut self, message: &Message<'_>) -> Judgement {
        if !matches!(message.class(), Class::Success | Class::Error) {
            return Judgement::Pass;
        }
        let mut requests = self.requests.iter();
        let request = requests.find(|request| request.transaction == message.transaction());
        let Some(&Request { authenticated, .. }) = request else {
            return Judgement::Ignore;
        };
        self.mapped = message.mapped();
        self.lifetime = Duration::from_secs(message.lifetime().unwrap_or(0).into());
        match (message.method(), message.error()) {
            (_, None | Some(code::STALE_NONCE)) => Judgement::Pass,
            (_, Some(code)) if code == code::UNAUTHENTICATED && !authenticated => {
                // The first request may have been sent twice. The nonce of the second
                // answer would start everything over, and the server would find us
                // there already.
                match std::mem::replace(&mut self.challenged, true) {
                    true => Judgement::Ignore,
                    false => Judgement::Pass,
                }
            }
            (_, Some(code @ (code::UNAUTHENTICATED | code::ALLOCATION_MISMATCH)))
            | (Method::Allocate, Some(code)) => Judgement::Lost(code),
            _ => Judgement::Pass,
        }
    }
}
