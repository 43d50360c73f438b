//! The peers that we want to reach and are not introduced to yet.

use nat::plan::Side;
use sansio::SocketId;

use crate::candidate::Candidates;
use crate::client::Callee;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) peer: String,
    /// The peer's key and nonce, once the server has sent them.
    pub(super) callee: Option<Callee>,
    /// The introduction has been asked for.
    pub(super) asked: bool,
    /// What the peer was told of our NAT.
    pub(super) told: Option<Side>,
    /// The peer was told where we are reached by TCP beside UDP.
    pub(super) told_tcp: bool,
    /// The first of the sockets that have a mapping towards the peer already.
    pub(super) reserved: Option<SocketId>,
    /// The last error code that the server has answered.
    pub(super) unavailable: Option<u16>,
}

impl Call {
    /// A call that nothing has been done for.
    pub(super) fn new(peer: &str) -> Self {
        Self {
            peer: peer.to_owned(),
            callee: None,
            asked: false,
            told: None,
            told_tcp: false,
            reserved: None,
            unavailable: None,
        }
    }
}

/// One call to each peer, at most.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
}

impl Calls {
    pub(super) fn add(&mut self, call: Call) {
        self.calls.push(call);
    }

    pub(super) fn remove(&mut self, peer: &str) {
        self.calls.retain(|call| call.peer != peer);
    }

    pub(super) fn get(&self, peer: &str) -> Option<&Call> {
        self.calls.iter().find(|call| call.peer == peer)
    }

    fn get_mut(&mut self, peer: &str) -> Option<&mut Call> {
        self.calls.iter_mut().find(|call| call.peer == peer)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Whether the introduction to that peer has been asked for.
    pub(super) fn is_asked(&self, peer: &str) -> bool {
        self.get(peer).is_some_and(|call| call.asked)
    }

    /// Whether an introduction has still to be asked for.
    pub(super) fn is_waiting(&self) -> bool {
        self.calls.iter().any(|call| !call.asked)
    }

    /// Whether an introduction can be asked for.
    pub(super) fn is_ready(&self) -> bool {
        let ready = |call: &Call| !call.asked && call.callee.is_some();
        self.calls.iter().any(ready)
    }

    /// The next call whose introduction can be asked for, and whom it is
    /// for. It counts as asked for, and the peer is told this of us.
    pub(super) fn ask_next(&mut self, told: &Candidates) -> Option<(String, Callee)> {
        let mut waiting = self.calls.iter_mut().filter(|call| !call.asked);
        let (callee, call) = waiting.find_map(|call| Some((call.callee?, call)))?;
        (call.asked, call.told) = (true, told.side);
        call.told_tcp = told.tcp_too.is_some();
        Some((call.peer.clone(), callee))
    }

    /// What peers were told of us has changed: introductions are asked for again.
    pub(super) fn ask_again(&mut self) {
        for call in &mut self.calls {
            call.asked = false;
        }
    }

    /// The server has told whom the call is for. If it has told another key before,
    /// the introduction is asked for again.
    pub(super) fn found(&mut self, peer: &str, callee: Callee) {
        if let Some(call) = self.get_mut(peer) {
            (call.callee, call.asked) = (Some(callee), false);
        }
    }

    pub(super) fn unavailable(&mut self, peer: &str, code: u16) {
        if let Some(call) = self.get_mut(peer) {
            call.unavailable = Some(code);
        }
    }

    /// The last error code of the server for this peer.
    pub(super) fn error(&self, peer: &str) -> Option<u16> {
        self.get(peer)?.unavailable
    }
}
