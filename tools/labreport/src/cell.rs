//! A cell of the matrix: what was expected of two NAT types, and what happened.

use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::answer::Answer;

/// The cause of a cell whose lab did not come up.
pub const NO_LAB: &str = "NO_LAB";

/// A cell as it is read; what is not here is passed on and not looked at.
#[derive(Clone, Debug, Deserialize)]
pub struct Cell {
    /// The type of alice's NAT; she calls.
    pub a: String,
    /// The type of bob's NAT.
    pub b: String,
    /// `None`: there was no lab.
    pub expected: Option<Outcome>,
    /// Why that is expected.
    #[serde(default)]
    pub why: Option<Reason>,
    /// `None`: alice's punch could not tell.
    pub got: Option<Outcome>,
    /// The strategy of the path, if there is one.
    #[serde(default)]
    pub how: Option<String>,
    /// From the introduction to the path, in milliseconds.
    #[serde(default)]
    pub elapsed_ms: Option<f64>,
    /// A code; the last line of alice's log where her punch could not tell.
    #[serde(default)]
    pub cause: Option<String>,
    /// alice's report.
    #[serde(default)]
    pub punch: Option<Punch>,
    /// Whether the NATs were measured as asked. `None`: no measurement was asked
    /// for. `CouldNotTell`: one was tried, and failed.
    #[serde(default, deserialize_with = "there")]
    pub as_asked: Option<Answer>,
    #[serde(default, rename = "measured")]
    _measured: IgnoredAny,
}

/// A null that is present means "could not tell"; a key that is missing means
/// "not tried".
fn there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Answer>, D::Error> {
    Answer::deserialize(deserializer).map(Some)
}

/// punch's report, as far as it is judged.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Punch {
    /// How it ended.
    pub result: Option<Outcome>,
    /// How the path was found.
    pub strategy: Option<String>,
    /// From the introduction to the end, in milliseconds.
    pub elapsed_ms: Option<f64>,
    /// Why there is no path.
    pub cause: Option<Reason>,
    /// All of it in a sentence.
    pub text: Option<String>,
}

/// A code, and its explanation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// For programs.
    pub code: String,
    /// For people.
    pub text: String,
}

/// How a punch ends, or is expected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A path within a LAN.
    Lan,
    /// A path from NAT to NAT.
    Direct,
    /// A path through the relay.
    Relay,
    /// No path.
    Failed,
    /// Not to be foreseen: a NAT was not measured.
    Unknown,
}

impl Outcome {
    /// Whether there is a path.
    pub fn connects(self) -> bool {
        matches!(self, Self::Lan | Self::Direct | Self::Relay)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Lan => "lan",
            Self::Direct => "direct",
            Self::Relay => "relay",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        })
    }
}

/// The judgement of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It ended as expected.
    AsExpected,
    /// It ended in another way.
    Surprise,
    /// alice's punch could not tell.
    NoCall,
    /// There was no lab.
    NoLab,
}

impl Cell {
    /// The cell of a lab that did not come up.
    pub fn lost(a: &str, b: &str) -> Self {
        Self {
            a: a.into(),
            b: b.into(),
            expected: None,
            why: None,
            got: None,
            how: None,
            elapsed_ms: None,
            cause: Some(NO_LAB.into()),
            punch: None,
            as_asked: None,
            _measured: IgnoredAny,
        }
    }

    /// Expected against got.
    pub fn judgement(&self) -> Judgement {
        match (self.got, self.expected) {
            (None, _) if self.cause.as_deref() == Some(NO_LAB) => Judgement::NoLab,
            (None, _) => Judgement::NoCall,
            (got, expected) if got == expected => Judgement::AsExpected,
            _ => Judgement::Surprise,
        }
    }

    /// Whether the cell is as asked and as expected.
    pub fn is_fine(&self) -> bool {
        let as_asked = self.as_asked.unwrap_or(Answer::Yes);
        self.judgement() == Judgement::AsExpected && as_asked == Answer::Yes
    }

    /// The strategy, where it says more than the outcome does.
    pub fn notable_strategy(&self) -> Option<&str> {
        let how = self.how.as_deref();
        how.filter(|how| !matches!(*how, "" | "plain" | "lan" | "relay"))
    }

    /// The outcome in a word or two.
    pub fn word(&self) -> String {
        match (self.judgement(), self.got) {
            (Judgement::NoLab, _) => "no lab".into(),
            (_, None) => "no call".into(),
            (_, Some(got)) => got.to_string(),
        }
    }

    /// Its types, or the one that both sides have.
    pub fn sides(&self) -> String {
        match self.a == self.b {
            true => self.a.clone(),
            false => format!("{} × {}", self.a, self.b),
        }
    }

    /// Why there is no path, or no result, for people.
    pub fn reason(&self) -> Option<String> {
        let cause = self.cause.as_deref().map(without_name)?;
        let text = self.punch.as_ref().and_then(|punch| punch.cause.as_ref());
        Some(match (self.judgement(), text) {
            (Judgement::NoLab, _) => "the lab did not come up".into(),
            (_, Some(reason)) if reason.code == cause => format!("{cause}: {}", reason.text),
            _ => cause.into(),
        })
    }
}

/// A line of a log, without the name of the tool that every line begins with.
pub fn without_name(line: &str) -> &str {
    line.strip_prefix("punch: ").unwrap_or(line)
}

/// Milliseconds, with as many digits as say something.
pub fn milliseconds(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn cell(json: &str) -> Cell {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn expected_against_got() {
        for (expected, got, cause, judgement) in [
            ("\"direct\"", "\"direct\"", "null", Judgement::AsExpected),
            (
                "\"failed\"",
                "\"failed\"",
                "\"SYM_SYM\"",
                Judgement::AsExpected,
            ),
            ("\"failed\"", "\"direct\"", "null", Judgement::Surprise),
            ("\"direct\"", "\"lan\"", "null", Judgement::Surprise),
            ("\"failed\"", "null", "\"no answer\"", Judgement::NoCall),
            ("null", "null", "\"NO_LAB\"", Judgement::NoLab),
        ] {
            let json = format!(
                r#"{{"a":"open","b":"open","expected":{expected},"got":{got},"cause":{cause}}}"#
            );
            let found = cell(&json).judgement();
            assert_eq!(found, judgement, "{json}");
        }
        assert_eq!(Cell::lost("a", "b").judgement(), Judgement::NoLab);
    }

    #[test]
    fn null_is_another_thing_than_not_there() {
        let json = |more: &str| {
            format!(r#"{{"a":"open","b":"open","expected":"direct","got":"direct"{more}}}"#)
        };
        assert_eq!(cell(&json("")).as_asked, None);
        assert!(cell(&json("")).is_fine());
        let unknown = cell(&json(r#","as_asked":null,"measured":[]"#));
        assert_eq!(unknown.as_asked, Some(Answer::CouldNotTell));
        assert!(!unknown.is_fine());
        assert!(!cell(&json(r#","as_asked":false"#)).is_fine());
        assert!(cell(&json(r#","as_asked":true"#)).is_fine());
    }

    #[test]
    fn the_cause_is_that_of_punch() {
        let json = r#"{"a":"open","b":"open","expected":"failed","got":"failed","how":null,
            "elapsed_ms":1,"cause":"SYM_SYM","punch":{"cause":{"code":"SYM_SYM","text":"both"}},
            "measured":[{"cause":{"code":"SILENT","text":"x"}}]}"#;
        assert_eq!(cell(json).reason().unwrap(), "SYM_SYM: both");
    }
}
