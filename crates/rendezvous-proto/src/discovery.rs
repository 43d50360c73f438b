//! STUN Binding with NAT behaviour discovery (RFC 8489 §3, RFC 5780), by UDP and
//! TCP, in the dialect of RFC 3489 as well, and with the attribute BOUNCED of
//! docs/reference/protocol.md: which ICMP errors answers have met.

use std::net::SocketAddr;
use std::time::Instant;

use sansio::{IcmpError, SocketId};
use stun::{Attribute, Builder, Change, ClassicRequest, IcmpReason, Transaction, code};

use crate::icmp_errors::{IcmpErrors, Outcome};
use crate::output::{Output, Request};
use crate::types::FiveTuple;

#[derive(Debug)]
pub(crate) struct Discovery {
    /// By socket: two ports of one address, or of each of two.
    addresses: Vec<SocketAddr>,
    errors: IcmpErrors,
}

impl Discovery {
    pub(crate) fn new(addresses: Vec<SocketAddr>) -> Self {
        Discovery {
            addresses,
            errors: IcmpErrors::default(),
        }
    }

    /// Answers a Binding request, from the socket that it asks for.
    pub(crate) fn binding(&mut self, request: &Request<'_>, output: &mut Output) {
        let FiveTuple { socket, mut client } = request.from;
        let change = request.message.change_request().unwrap_or_default();
        let Some(socket) = self.changed(socket, change) else {
            // With one address the attribute is unknown (RFC 5780 §6.1).
            return output.refuse_unknown(request, &[Attribute::ChangeRequest as u16]);
        };
        if let Some(port) = request.message.response_port() {
            client.set_port(port);
        }
        let answer = self.answer(request, socket);
        output.stats.bindings += 1;
        output.send(FiveTuple { socket, client }, answer);
    }

    /// The answer to a Binding request that came by TCP.
    pub(crate) fn stream(&mut self, request: &Request<'_>, output: &mut Output) -> Vec<u8> {
        let message = &request.message;
        let mut unknown = message.unknown_required();
        // The answer can only take the connection that the request took. A CHANGE-REQUEST without
        // flags asks for nothing else; stuntman's client sends one with each request.
        let change = message.change_request();
        let change = change.filter(|change| *change != Change::default());
        unknown.extend(change.map(|_| Attribute::ChangeRequest as u16));
        let port = message.response_port();
        unknown.extend(port.map(|_| Attribute::ResponsePort as u16));
        if !unknown.is_empty() {
            output.stats.refused += 1;
            let answer = Builder::error(message, code::UNKNOWN_ATTRIBUTE);
            return answer.unknown_attributes(&unknown).finish();
        }
        if !message.has_right_lengths() {
            output.stats.refused += 1;
            return Builder::short_error(message, code::BAD_REQUEST).finish();
        }
        output.stats.bindings += 1;
        self.answer(request, request.from.socket)
    }

    /// Answers a Binding request of RFC 3489.
    pub(crate) fn classic(&self, from: FiveTuple, request: &ClassicRequest, output: &mut Output) {
        let FiveTuple { socket, client } = from;
        let refused = |unknown: &[u16]| (from, request.refusal(unknown));
        let (to, answer) = match self.changed(socket, request.change()) {
            Some(changed) if request.unknown().is_empty() => {
                let source = self.address(changed);
                let answer = request.answer(client, source, self.other_address(socket));
                output.stats.bindings += 1;
                let socket = changed;
                return output.send(FiveTuple { socket, client }, answer);
            }
            Some(_) => refused(request.unknown()),
            // As in RFC 5780: with one address the attribute is unknown.
            None => refused(&[Attribute::ChangeRequest as u16]),
        };
        output.stats.refused += 1;
        output.send(to, answer);
    }

    /// Remembers an ICMP error about a Binding answer that was refused or found
    /// no route. RFC 792 lets an error quote 8 bytes of the datagram's UDP
    /// header and none of its payload; RFC 1812 §4.3.2.3 wants it to quote more.
    pub(crate) fn icmp_error(&mut self, now: Instant, error: IcmpError<'_>) {
        let unreachable = match error.reason() {
            // These are about the packet, not about its source and destination.
            None | Some(IcmpReason::TimeExceeded | IcmpReason::TooBig) => false,
            // Not time exceeded in reassembly, which is also Other.
            Some(IcmpReason::Other) => error.icmp.kind == if error.to.is_ipv4() { 3 } else { 1 },
            Some(_) => true,
        };
        let quoted = QuotedAnswer::read(error.quoted);
        tracing::trace!(to = %error.to, offender = %error.offender, icmp = ?error.icmp,
            noted = unreachable && quoted.is_some(), "ICMP error");
        if let Some(quoted) = quoted.filter(|_| unreachable) {
            self.errors
                .note(now, error.to, quoted.transaction, error.icmp);
        }
    }

    /// The address that differs from that of `socket` in IP address and port.
    pub(crate) fn other_address(&self, socket: SocketId) -> Option<SocketAddr> {
        self.address(socket ^ 3)
    }

    /// The success answer to a Binding request, to be sent from `socket`.
    fn answer(&mut self, request: &Request<'_>, socket: SocketId) -> Vec<u8> {
        let client = request.from.client;
        let mut answer = Builder::success(&request.message)
            .xor_mapped(client)
            .mapped(client);
        if let Some(origin) = self.address(socket) {
            answer = answer.response_origin(origin);
        }
        if let Some(other) = self.other_address(request.from.socket) {
            answer = answer.other_address(other);
        }
        self.add_icmp_error(request, answer).finish()
    }

    /// Adds the ICMP error that earlier answers have met, if the request asks
    /// for it in BOUNCED. It is reported to no address but the one that they were sent to:
    /// an answer to another RESPONSE-PORT holds nothing of it. It adds no more bytes
    /// than BOUNCED takes in the request.
    fn add_icmp_error(&mut self, request: &Request<'_>, answer: Builder) -> Builder {
        let message = &request.message;
        let answers = message.bounced().filter(|answers| !answers.is_empty());
        let Some(answers) = answers.filter(|_| message.response_port().is_none()) else {
            return answer;
        };
        match self.errors.about(request.now, request.from.client, answers) {
            Outcome::Unknown => answer,
            Outcome::NoError => answer.bounced(&[]),
            Outcome::Error(icmp) => answer.bounced(&[]).icmp(icmp),
        }
    }

    /// The socket that a CHANGE-REQUEST leads to from `socket`.
    fn changed(&self, socket: SocketId, change: Change) -> Option<SocketId> {
        let changed = socket ^ (usize::from(change.ip) << 1) ^ usize::from(change.port);
        (changed < self.addresses.len()).then_some(changed)
    }

    /// The address of a socket, unless it is unspecified.
    fn address(&self, socket: SocketId) -> Option<SocketAddr> {
        let address = self.addresses.get(socket).copied();
        address.filter(|address| !address.ip().is_unspecified())
    }
}

/// A Binding answer, as an ICMP error quotes it.
struct QuotedAnswer {
    /// Unless too little is quoted.
    transaction: Option<Transaction>,
}

impl QuotedAnswer {
    /// `None` if something else is quoted.
    fn read(quoted: &[u8]) -> Option<Self> {
        const TYPE: [u8; 2] = [0x01, 0x01];
        let start = &quoted[..quoted.len().min(TYPE.len())];
        TYPE.starts_with(start).then(|| QuotedAnswer {
            transaction: quoted.get(8..).and_then(|rest| rest.first_chunk()).copied(),
        })
    }
}
