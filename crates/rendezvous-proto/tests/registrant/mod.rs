//! A client with a key and a name.
#![allow(dead_code)] // each test file needs another part of it

use std::time::Instant;

use rendezvous_proto::server::Server;
use session::identity::Identity;
use stun::{Builder, Message, Method, code};

use crate::client::{ask, error_of};

/// The nonce that each of them registers with, and binds its offers to.
pub const FRESH: [u8; 8] = [4; 8];

pub struct Registrant {
    pub name: &'static str,
    pub from: &'static str,
    pub key: Identity,
    pub sequence: u64,
    pub cookie: Vec<u8>,
}

impl Registrant {
    pub fn new(server: &mut Server, now: Instant, name: &'static str, from: &'static str) -> Self {
        let hello = Builder::request(Method::Register, [1; 12])
            .pad_to(300)
            .finish();
        let answer = ask(server, now, from, &hello);
        let answer = Message::parse(&answer.payload).unwrap();
        assert_eq!(answer.error(), Some(code::UNAUTHENTICATED));
        Registrant {
            name,
            from,
            key: Identity::from_secret(&[name.len() as u8; 32]),
            sequence: 0,
            cookie: answer.nonce().unwrap().to_vec(),
        }
    }

    pub fn signed(&mut self, method: Method, fill: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
        self.sequence += 1;
        let request = Builder::request(method, [self.sequence as u8; 12])
            .nonce(&self.cookie)
            .name(self.name)
            .public_key(&self.key.public())
            .sequence(self.sequence)
            .fresh(&FRESH);
        fill(request)
            .sign(|part| self.key.sign(part))
            .pad_to(640)
            .finish()
    }

    pub fn register_request(&mut self, lifetime: u32) -> Vec<u8> {
        self.signed(Method::Register, |request| request.lifetime(lifetime))
    }

    pub fn register(&mut self, server: &mut Server, now: Instant) -> Option<u16> {
        let request = self.register_request(90);
        error_of(&ask(server, now, self.from, &request))
    }
}
