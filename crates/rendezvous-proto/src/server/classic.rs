//! The clients of before 2008: RFC 3489.

use std::net::SocketAddr;
use std::time::Instant;

use stun::{Attribute, ClassicRequest};

use super::Server;
use sansio::SocketId;

impl Server {
    /// A datagram that is not STUN as RFC 8489 has it.
    pub(super) fn classic(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let Ok(request) = ClassicRequest::parse(bytes) else {
            self.stats.garbage += 1;
            return;
        };
        if !self.limiter.allow(now, from.ip()) {
            self.stats.limited += 1;
            return;
        }
        let answer = match self.via(socket, request.change()) {
            Some(via) if request.unknown().is_empty() => {
                let own = self.addresses[via];
                let told = (!own.ip().is_unspecified()).then_some(own);
                self.stats.bindings += 1;
                (via, request.answer(from, told, self.other(socket)))
            }
            found => {
                // One address alone cannot change it: the same answer as to RFC 5780.
                let change = [Attribute::ChangeRequest as u16];
                let unknown = match found {
                    Some(_) => request.unknown(),
                    None => &change,
                };
                self.stats.refused += 1;
                (socket, request.refusal(unknown))
            }
        };
        self.push(answer.0, from, answer.1);
    }
}
