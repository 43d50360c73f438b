//! Binding over TCP (RFC 8489 §6.2.2), for clients that want to know how their
//! NAT maps TCP. Nothing else is answered there: names belong to UDP addresses.

use std::net::SocketAddr;
use std::time::Instant;

use stun::{Builder, Class, Message, Method, code};

use super::{Inbound, Server};
use sansio::SocketId;

impl Server {
    /// A connection has been accepted; false: there is no room for it, and
    /// [`Self::stream_closed`] is not to be called.
    pub fn stream_opened(&mut self, from: SocketAddr) -> bool {
        let room = self.open.enter(from.ip());
        self.stats.limited += u64::from(!room);
        room
    }

    /// A connection has ended.
    pub fn stream_closed(&mut self, from: SocketAddr) {
        self.open.leave(from.ip());
    }

    /// One message of a connection to the address of `socket`, and the answer;
    /// `None`: the connection is to be closed.
    pub fn handle_stream(
        &mut self,
        now: Instant,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Option<Vec<u8>> {
        let message = match Message::parse(bytes) {
            Ok(message) if message.is(Class::Request, Method::Binding) => message,
            _ => {
                self.stats.garbage += 1;
                return None;
            }
        };
        if !self.limiter.allow(now, from.ip()) {
            self.stats.limited += 1;
            return None;
        }
        let mut unknown = message.unknown_required();
        // A connection answers from where it is, to where it is.
        unknown.extend(message.change_request().map(|_| 0x0003));
        unknown.extend(message.response_port().map(|_| 0x0027));
        if !unknown.is_empty() {
            self.stats.refused += 1;
            let answer = Builder::error(&message, code::UNKNOWN_ATTRIBUTE);
            return Some(answer.unknown_attributes(&unknown).finish());
        }
        let inbound = Inbound {
            now,
            socket,
            from,
            message,
        };
        Some(self.reflexive(&inbound, socket))
    }
}
