//! What the components make of their input: datagrams, events and counts.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use sansio::Transmit;
use stun::{Builder, Message, Method, code};

use crate::types::{Event, FiveTuple, Stats};

/// A request that has passed the rate limit.
pub(crate) struct Request<'a> {
    pub(crate) now: Instant,
    pub(crate) from: FiveTuple,
    pub(crate) message: Message<'a>,
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Drop {
    Garbage,
    Ignored,
    OverRate,
    TooShort,
}

#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) transmits: VecDeque<Transmit>,
    pub(crate) events: VecDeque<Event>,
    pub(crate) stats: Stats,
}

impl Output {
    pub(crate) fn send(&mut self, to: FiveTuple, payload: Vec<u8>) {
        let transmit = Transmit::new(to.socket, to.client, payload);
        self.transmits.push_back(transmit);
    }

    /// Answers a request, unless the answer is longer than the request: a
    /// forged source address gains nothing by it. Whether it was sent.
    pub(crate) fn answer(&mut self, request: &Request<'_>, answer: Builder) -> bool {
        let answer = answer.finish();
        let fits = answer.len() <= request.message.as_bytes().len();
        if fits {
            self.send(request.from, answer);
        } else {
            self.dropped(request.from.client, Drop::TooShort);
        }
        fits
    }

    pub(crate) fn refuse(&mut self, request: &Request<'_>, code: u16, answer: Builder) {
        if self.answer(request, answer) {
            self.refused(request, code);
        }
    }

    /// A request with attributes that are required and unknown.
    pub(crate) fn refuse_unknown(&mut self, request: &Request<'_>, unknown: &[u16]) {
        let answer = Builder::error(&request.message, code::UNKNOWN_ATTRIBUTE);
        self.refuse_form(
            request,
            code::UNKNOWN_ATTRIBUTE,
            answer.unknown_attributes(unknown),
        );
    }

    /// A request with an attribute of a wrong length.
    pub(crate) fn refuse_malformed(&mut self, request: &Request<'_>) {
        self.refuse_form(
            request,
            code::BAD_REQUEST,
            Builder::short_error(&request.message, code::BAD_REQUEST),
        );
    }

    /// Clients of plain STUN do not pad, and RFC 8489 §6.3 wants an answer: like
    /// its success answer, this answer to a Binding may be longer than the request.
    fn refuse_form(&mut self, request: &Request<'_>, code: u16, answer: Builder) {
        if request.message.method() == Method::Binding {
            self.send(request.from, answer.finish());
            self.refused(request, code);
        } else {
            self.refuse(request, code, answer);
        }
    }

    fn refused(&mut self, request: &Request<'_>, code: u16) {
        self.stats.refused += 1;
        let (client, method) = (request.from.client, request.message.method());
        tracing::trace!(%client, ?method, code, reason = code::reason(code), "request refused");
    }

    pub(crate) fn dropped(&mut self, client: SocketAddr, why: Drop) {
        let counter = match why {
            Drop::Garbage => &mut self.stats.garbage,
            Drop::Ignored => &mut self.stats.ignored,
            Drop::OverRate => &mut self.stats.limited,
            Drop::TooShort => &mut self.stats.too_short,
        };
        *counter += 1;
        tracing::trace!(%client, ?why, "datagram dropped");
    }
}
