//! What an answer from elsewhere met: an ICMP error, or nothing that is known.

use std::time::Instant;

use sansio::IcmpError;
use stun::{Builder, IcmpReason, Transaction};

use super::{Inbound, Server};

impl Server {
    /// An ICMP error about what was sent. RFC 792 wants no byte of the
    /// datagram quoted, RFC 1812 §4.3.2.3 most.
    pub(super) fn undelivered(&mut self, now: Instant, error: IcmpError<'_>) {
        let unreachable = match error.reason() {
            // Both are about the packet, not about who may send.
            None | Some(IcmpReason::TimeExceeded | IcmpReason::TooBig) => false,
            // Time exceeded while fragments were awaited.
            Some(IcmpReason::Other) => error.icmp.kind == if error.to.is_ipv4() { 3 } else { 1 },
            Some(_) => true,
        };
        if unreachable && let Some(transaction) = answer_quoted(error.quoted) {
            self.bounces.note(now, error.to, transaction, error.icmp);
        }
    }

    /// Tells who asks what came back of its answers. It is told to the address
    /// that they were for alone, hence not to a RESPONSE-PORT, and takes no
    /// more bytes than the question did.
    pub(super) fn tell_bounced(&mut self, inbound: &Inbound<'_>, answer: Builder) -> Builder {
        let message = &inbound.message;
        let about = message.bounced().filter(|about| !about.is_empty());
        let Some(about) = about.filter(|_| message.response_port().is_none()) else {
            return answer;
        };
        match self.bounces.of(inbound.now, inbound.from, about) {
            None => answer,
            Some(None) => answer.bounced(&[]),
            Some(Some(icmp)) => answer.bounced(&[]).icmp(icmp),
        }
    }
}

/// The transaction of the Binding answer that is quoted, `Some(None)` if it is
/// not quoted that far; `None` for what is no Binding answer.
fn answer_quoted(quoted: &[u8]) -> Option<Option<Transaction>> {
    const ANSWER: [u8; 2] = [0x01, 0x01];
    let start = &quoted[..quoted.len().min(ANSWER.len())];
    if !ANSWER.starts_with(start) {
        return None;
    }
    let transaction = quoted.get(8..).and_then(<[u8]>::first_chunk);
    Some(transaction.copied())
}
