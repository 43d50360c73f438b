//! A cell of the matrix: what was expected of two NAT types, and what happened.

use std::fmt;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};

use crate::answer::Answer;
use crate::plain::Plain;
use crate::runs::Run;

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
    /// What the oracle says of plain punching alone.
    #[serde(default)]
    pub plain: Option<Plain>,
    /// `None`: alice's punch, or a run of the command, could not tell.
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
    /// The runs of the command; empty where punch was run.
    #[serde(default)]
    pub runs: Vec<Run>,
    /// alice's report.
    #[serde(default)]
    pub punch: Option<Punch>,
    /// Whether the NATs were measured as asked. `None`: no measurement was asked
    /// for. `CouldNotTell`: one was tried, and failed.
    #[serde(default, deserialize_with = "there")]
    pub as_asked: Option<Answer>,
    #[serde(default, rename = "measured")]
    _measured: IgnoredAny,
    /// The number of a run, and the page of its packets, as a path from the page of the matrix.
    #[serde(skip)]
    pub packets: Vec<(u32, String)>,
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
    /// Not to be foreseen: a NAT was not measured, or it depends on which peer sends first.
    Unknown,
    /// The command ended with exit code 0.
    Yes,
    /// The command ended with exit code 1.
    No,
    /// Some runs of the command ended with 0, some with 1.
    Mixed,
}

impl Outcome {
    /// Whether there is a path.
    pub fn connects(self) -> bool {
        matches!(self, Self::Lan | Self::Direct | Self::Relay | Self::Yes)
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
            Self::Yes => "yes",
            Self::No => "no",
            Self::Mixed => "mixed",
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
    /// alice's punch, or the command, could not tell.
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
            plain: None,
            got: None,
            how: None,
            elapsed_ms: None,
            cause: Some(NO_LAB.into()),
            runs: Vec::new(),
            punch: None,
            as_asked: None,
            _measured: IgnoredAny,
            packets: Vec::new(),
        }
    }

    /// Whether a command was run in it, and not punch.
    pub fn is_command(&self) -> bool {
        !self.runs.is_empty()
    }

    /// Expected against got.
    pub fn judgement(&self) -> Judgement {
        use Outcome::{Direct, Failed, Mixed, No, Unknown, Yes};
        match (self.got, self.expected) {
            (None, _) if self.cause.as_deref() == Some(NO_LAB) => Judgement::NoLab,
            (None, _) => Judgement::NoCall,
            (Some(Yes), Some(Direct))
            | (Some(No), Some(Failed))
            | (Some(Yes | No | Mixed), Some(Unknown)) => Judgement::AsExpected,
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
            (_, None) if self.is_command() => "broken".into(),
            (_, None) => "no call".into(),
            (_, Some(Outcome::Mixed)) => {
                let yes = self.runs.iter().filter(|run| run.got == Some(Outcome::Yes));
                format!("{} of {} yes", yes.count(), self.runs.len())
            }
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

    /// What the failures of this cell are listed under: punch's cause, or the oracle's.
    pub fn cause_code(&self) -> &str {
        let why = self.why.as_ref().filter(|_| self.is_command());
        let why = why.map(|why| why.code.as_str());
        self.cause.as_deref().or(why).unwrap_or("no cause")
    }

    /// The output of the run that decided: of the first that could not tell or was not as expected.
    pub fn log(&self) -> Option<&str> {
        let fine = match self.expected {
            Some(Outcome::Direct) => Some(Outcome::Yes),
            _ => Some(Outcome::No),
        };
        let run = self.runs.iter().find(|run| run.got.is_none());
        let run = run.or_else(|| self.runs.iter().find(|run| run.got != fine));
        run?.logs.first().map(String::as_str)
    }

    /// Why there is no path, or no result, for people.
    pub fn reason(&self) -> Option<String> {
        if self.is_command() && self.got == Some(Outcome::No) {
            let why = self.why.as_ref();
            let why = why.filter(|_| self.judgement() == Judgement::AsExpected);
            return why.map(|why| format!("{}: {}", why.code, why.text));
        }
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
