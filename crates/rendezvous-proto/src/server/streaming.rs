//! TCP connections to the server: messages in a stream, one after the other.

use std::net::SocketAddr;
use std::time::Instant;

use sansio::SocketId;
use stun::{Class, Message, Method};

use super::Server;
use crate::output::{Drop, Request};
use crate::streams::StreamId;
use crate::types::FiveTuple;

impl Server {
    /// A TCP connection to the address of `socket` was accepted. Another one may have ended to make
    /// room for it: call [`Self::poll_closed_stream`].
    pub fn stream_opened(&mut self, now: Instant, socket: SocketId, from: SocketAddr) -> StreamId {
        let (id, made_room) = self.streams.open(now, socket, from);
        self.output.stats.made_room += u64::from(made_room);
        id
    }

    /// What a TCP connection has received, and the answers to the messages in it
    /// (RFC 8489 §6.2.2); `None`: it has ended. By TCP, a client asks how its NAT maps TCP. Only
    /// Binding is answered, since names belong to UDP addresses.
    pub fn stream_received(&mut self, now: Instant, id: StreamId, bytes: &[u8]) -> Option<Vec<u8>> {
        let stream = self.streams.get(id)?;
        let from = FiveTuple {
            socket: stream.socket,
            client: stream.from,
        };
        let messages = self.streams.receive(now, id, bytes).ok();
        let answers = messages.and_then(|messages| {
            let answers = messages.iter().map(|bytes| self.stream(now, from, bytes));
            answers.collect::<Option<Vec<_>>>()
        });
        if answers.is_none() {
            self.streams.end(id);
        }
        answers.map(|answers| answers.concat())
    }

    /// The answer to one message; `None` ends the connection.
    fn stream(&mut self, now: Instant, from: FiveTuple, bytes: &[u8]) -> Option<Vec<u8>> {
        let message = match Message::parse(bytes) {
            Ok(message) if message.is(Class::Request, Method::Binding) => message,
            _ => {
                self.output.dropped(from.client, Drop::Garbage);
                return None;
            }
        };
        // The handshake of TCP has shown that it receives at its source address.
        if !self.proved.allow(now, from.client.ip()) {
            self.output.dropped(from.client, Drop::OverRate);
            return None;
        }
        let request = Request { now, from, message };
        Some(self.discovery.stream(&request, &mut self.output))
    }

    /// A TCP connection has ended.
    pub fn stream_closed(&mut self, id: StreamId) {
        self.streams.end(id);
    }

    /// The next TCP connection that has ended. The driver closes it, if it has not yet.
    pub fn poll_closed_stream(&mut self) -> Option<StreamId> {
        self.streams.poll_closed()
    }
}
