//! Mapping and filtering, from the tests, with notes on what the server does wrong.

use std::net::SocketAddr;

use super::report::{Note, NoteCode};
use super::server::Server;
use super::test::{Test, TestKind};
use super::test_set::TestSet;
use nat::{
    Behaviour,
    Dependence::{self, *},
};

/// The judgement of the two axes.
pub(super) struct Axes<'a> {
    tests: &'a TestSet,
    server: &'a Server,
    /// The share of round trips that are lost.
    loss: f64,
    /// The mapping socket's own address.
    local: SocketAddr,
    /// The chance that loss alone made a silence that was judged.
    pub(super) doubt: f64,
    pub(super) notes: Vec<Note>,
}

impl<'a> Axes<'a> {
    pub(super) fn new(
        tests: &'a TestSet,
        server: &'a Server,
        loss: f64,
        local: SocketAddr,
    ) -> Self {
        Self {
            tests,
            server,
            loss,
            local,
            doubt: 0.0,
            notes: Vec::new(),
        }
    }

    pub(super) fn behaviour(&mut self) -> Behaviour {
        self.check_sources();
        if !self.tests.is_answered_at(self.server.s1) {
            let text = format!(
                "{} does not answer, only the second server does: neither mapping nor filtering \
                 was tested",
                self.server.s1
            );
            self.note(NoteCode::ServerSilent, text);
        }
        let mapped = self.mapped();
        let nat = mapped.first().map(|&mapped| mapped != self.local);
        Behaviour {
            nat,
            mapping: self.mapping(),
            filtering: self.filtering(),
            udp_blocked: false,
        }
    }

    /// The reflexive addresses of the mapping socket, each once.
    pub(super) fn mapped(&self) -> Vec<SocketAddr> {
        let mut seen = Vec::new();
        let tests = self.tests.of_kind(TestKind::Mapping);
        for answer in tests.flat_map(|t| &t.answers) {
            if let Some(mapped) = answer.mapped
                && !seen.contains(&mapped)
            {
                seen.push(mapped);
            }
        }
        seen
    }

    /// RFC 5780 §4.3, with addresses and ports compared together.
    fn mapping(&mut self) -> Option<Dependence> {
        let s1 = self.server.s1;
        let mut tests = self.tests.of_kind(TestKind::Mapping);
        tests.find(|t| t.to == s1 && t.mapped().is_some())?;
        let other_port = self.same_at(|to| to.ip() == s1.ip() && to != s1);
        match (other_port, self.same_at(|to| to.ip() != s1.ip())) {
            (Some(false), _) => Some(AddressAndPortDependent),
            (_, Some(true)) => Some(EndpointIndependent),
            (Some(true), Some(false)) => Some(AddressDependent),
            (None, Some(false)) => {
                self.note(
                    NoteCode::AtLeast,
                    "the mapping depends on the address; whether it depends on the port as \
                     well was not tested, because the server has no second port"
                        .to_owned(),
                );
                Some(AddressDependent)
            }
            // The mapping for the other address may be different.
            (_, None) => {
                match self.server.s2.filter(|&s2| !self.tests.is_answered_at(s2)) {
                    Some(s2) => {
                        let text = format!("mapping was not tested: no answer from {s2}");
                        self.note(NoteCode::OtherAddressSilent, text);
                    }
                    None if other_port == Some(true) => self.note_missing_address(
                        "two ports of one address have the same mapping; that of another address",
                    ),
                    None => self.note_missing_address("mapping"),
                }
                None
            }
        }
    }

    /// Whether most sockets that asked there have the same mapping there as at the first address.
    /// One socket is not enough: in a small block, two remotes may be assigned the same port by
    /// chance, and a bare masquerade remaps the flows of a port to which an unsolicited packet was
    /// sent, whichever program had the port then.
    fn same_at(&self, there: impl Fn(SocketAddr) -> bool) -> Option<bool> {
        let asked = |t: &&Test| matches!(t.kind, TestKind::Mapping | TestKind::Allocation);
        let tests = || self.tests.iter().filter(asked);
        let same = tests().filter(|t| there(t.to)).filter_map(|t| {
            let mut at_first = tests().filter(|f| f.socket == t.socket && f.to == self.server.s1);
            Some(at_first.find_map(Test::mapped)? == t.mapped()?)
        });
        let same: Vec<bool> = same.collect();
        let most = 2 * same.iter().filter(|&&same| same).count() > same.len();
        (!same.is_empty()).then_some(most)
    }

    /// RFC 5780 §4.4, judged by the source address of each answer.
    fn filtering(&mut self) -> Option<Dependence> {
        if self.tests.let_in(TestKind::OtherAddress) {
            return Some(EndpointIndependent);
        }
        // If another port of the known address is not let in, that decides, whether or not the
        // server has another address.
        if !self.tests.let_in(TestKind::OtherPort) {
            let kept_out = self.kept_out(TestKind::OtherPort)?;
            return kept_out.then_some(AddressAndPortDependent);
        }
        if self.server.elsewhere().is_none() {
            let text = format!(
                "answers from another port of {} are let in, so the filtering does not depend on \
                 the port; whether it depends on the address was not tested, because the server \
                 has one address",
                self.server.s1.ip()
            );
            self.note(NoteCode::OneAddress, text);
            return None;
        }
        let kept_out = self.kept_out(TestKind::OtherAddress)?;
        kept_out.then_some(AddressDependent)
    }

    /// Whether the server's answer to this test was sent and filtered. `None`: not certain.
    fn kept_out(&mut self, kind: TestKind) -> Option<bool> {
        let s1 = self.server.s1;
        let Some(other) = self.server.other.filter(|other| match kind {
            TestKind::OtherPort => other.port() != s1.port(),
            _ => other.ip() != s1.ip(),
        }) else {
            self.note_missing_address("filtering");
            return None;
        };
        // If all are answered, then not from elsewhere: see `check_sources`.
        let silent = self.tests.of_kind(kind).filter(|t| !t.is_answered());
        let test = silent.max_by_key(|t| t.sent())?;
        // The server must have answered from there to a request that was sent there.
        let proof = match kind {
            TestKind::OtherPort => SocketAddr::new(s1.ip(), other.port()),
            _ => other,
        };
        let (loss, in_vain) = (self.loss, self.tests.in_vain(test));
        let counts = self.tests.silence_counts(test, loss);
        match (self.tests.is_answered_at(proof), counts) {
            (true, true) => {
                self.doubt = self.doubt.max(loss.powf(in_vain as f64));
                Some(true)
            }
            (false, _) => {
                let text = format!(
                    "filtering was not tested: the server reports {other} as its other address, \
                     but {proof} does not answer"
                );
                self.note(NoteCode::OtherAddressSilent, text);
                None
            }
            (true, false) => {
                let text = format!(
                    "filtering was not tested: about {:.0} % of the round trips are lost, which \
                     may be why {} requests were not answered",
                    loss * 100.0,
                    in_vain
                );
                self.note(NoteCode::TooMuchLoss, text);
                None
            }
        }
    }

    /// Notes where the server does not answer from the address that it was asked to answer from.
    fn check_sources(&mut self) {
        let tests = self.tests;
        // The early tests send the same requests as the filtering tests.
        for test in tests.iter().filter(|t| t.kind != TestKind::EarlyInbound) {
            let Some(first) = test.answers.first() else {
                continue;
            };
            let (to, from) = (test.to, first.from);
            let change = test.kind.change();
            let asked_for = change.map(|change| match change.ip {
                true => "its other address and port",
                false => "its other port",
            });
            let as_asked = change.map_or(from == to, |change| {
                (from.ip() != to.ip()) == change.ip && from.port() != to.port()
            });
            match (first.error, asked_for) {
                (Some(error), Some(asked)) => self.note(
                    NoteCode::Refuses,
                    format!("{to} answers error {error} when asked to answer from {asked}"),
                ),
                (Some(error), None) => {
                    self.note(NoteCode::Refuses, format!("{to} answers error {error}"));
                }
                (None, _) if as_asked => {}
                (None, Some(asked)) if from == to => self.note(
                    NoteCode::IgnoresChangeRequest,
                    format!("asked to answer from {asked}, {to} answers from {to}"),
                ),
                (None, Some(asked)) => self.note(
                    NoteCode::WrongSource,
                    format!("asked to answer from {asked}, {to} answers from {from}"),
                ),
                (None, None) => self.note(
                    NoteCode::WrongSource,
                    format!("asked at {to}, the server answers from {from}"),
                ),
            }
            if let Some(origin) = first.origin.filter(|&origin| origin != from) {
                let text = format!("an answer from {from} has RESPONSE-ORIGIN {origin}");
                self.note(NoteCode::OriginDiffers, text);
            }
            if let Some(unusable) = test.answers.iter().find_map(|a| a.unusable) {
                let text = format!(
                    "{from} reports the reflexive address {unusable}, which no host can have: \
                     it does not count"
                );
                self.note(NoteCode::UnusableAddress, text);
            }
            if test.answers.iter().any(|a| a.mapped != first.mapped) {
                let text = format!("{to} saw one socket from more than one reflexive address");
                self.note(NoteCode::Unstable, text);
            }
        }
    }

    fn note_missing_address(&mut self, axis: &str) {
        if !self.tests.is_answered_at(self.server.s1) {
            return; // Another note reports that.
        }
        let text = match self.server.other {
            None => format!("{axis} was not tested: the server reports no other address"),
            Some(other) => format!(
                "{axis} was not tested: the server's other address {other} does not answer, or \
                 does not differ from {}",
                self.server.s1
            ),
        };
        self.note(NoteCode::OneAddress, text);
    }

    fn note(&mut self, code: NoteCode, text: String) {
        let note = Note { code, text };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}
