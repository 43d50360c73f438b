//! Two NATs and one punch between them: what the oracle expects, and what came.

use anyhow::{Context, bail};
use nat::oracle;
use nat::plan::{Limits, Side, between};
use serde::Serialize;
use serde_json::Value;

use crate::record::{Record, read};
use crate::side::{Asked, Measured};
use crate::{Verdict, say};

/// A punch and what was expected of it, as docs/reference/json.md has it.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// Alice's type.
    pub a: String,
    /// Bob's type.
    pub b: String,
    /// `direct`, `relay`, `failed` or `unknown`.
    pub expected: &'static str,
    /// `lan`, `direct`, `relay` or `failed`; null if alice's punch could not tell.
    pub got: Option<String>,
    /// Alice's strategy.
    pub how: String,
    /// From the introduction to the path.
    pub elapsed_ms: f64,
    /// Alice's cause of failure; her log's last line if she could not tell.
    pub cause: Option<String>,
    /// Alice's report.
    pub punch: Value,
    /// Whether both NATs measured as asked, where they were measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_asked: Option<bool>,
    /// Both NATs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub measured: Option<[Measured; 2]>,
    /// What nat-alice holds, as nattrace tells it.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub nat_alice: Value,
    /// What nat-bob holds.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub nat_bob: Value,
    /// Why it was expected.
    #[serde(skip)]
    why: String,
}

impl Pair {
    /// From the record of an outcome: `punch`, `log` and, where the NATs were
    /// measured, `measured_alice` and `measured_bob`.
    ///
    /// # Errors
    /// When the types are not readable.
    pub fn new(sides: [&Asked; 2], outcome: &Record, limits: Limits) -> anyhow::Result<Self> {
        let [a, b] = [sides[0].side(limits)?, sides[1].side(limits)?];
        let punch = outcome.get("punch").clone();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let got = text(&punch["result"]);
        let cause = match got {
            Some(_) => text(&punch["cause"]["code"]),
            None => Some(outcome.text("log").trim_start_matches("punch: ").to_owned()),
        };
        let measured = match (outcome.get("measured_alice"), outcome.get("measured_bob")) {
            (Value::Null, Value::Null) => None,
            (alice, bob) => Some([
                sides[0].compare("alice", alice),
                sides[1].compare("bob", bob),
            ]),
        };
        Ok(Self {
            a: sides[0].spec.clone(),
            b: sides[1].spec.clone(),
            expected: expected(&a, &b),
            got,
            how: text(&punch["strategy"]).unwrap_or_default(),
            elapsed_ms: punch["elapsed_ms"].as_f64().unwrap_or_default(),
            cause,
            as_asked: measured
                .as_ref()
                .map(|sides| sides.iter().all(Measured::is_as_asked)),
            measured,
            nat_alice: outcome.get("nat_alice").clone(),
            nat_bob: outcome.get("nat_bob").clone(),
            why: oracle::expected(&a.behaviour, &b.behaviour).why.to_string(),
            punch,
        })
    }

    /// Did it end as expected?
    pub fn is_expected(&self) -> bool {
        self.got.as_deref() == Some(self.expected)
    }

    /// Is there a path?
    pub fn connects(&self) -> bool {
        matches!(self.got.as_deref(), Some("lan" | "direct" | "relay"))
    }

    fn verdict(&self) -> Verdict {
        match self.got {
            _ if self.as_asked == Some(false) => Verdict::No,
            None => Verdict::Unknown,
            Some(_) => self.is_expected().into(),
        }
    }

    /// What came, and what was expected, in a line.
    fn sentence(&self) -> String {
        let outcome = match (&self.got, self.punch["text"].as_str(), &self.cause) {
            (Some(_), Some(text), _) => text.to_owned(),
            (_, _, cause) => {
                let cause = cause.as_deref().filter(|cause| !cause.is_empty());
                let cause = cause.unwrap_or("it wrote nothing");
                let stop = if cause.ends_with(['.', '?', '!']) {
                    ""
                } else {
                    "."
                };
                format!("failed: alice's punch could not tell: {cause}{stop}")
            }
        };
        format!("{outcome} Expected was {}: {}.", self.expected, self.why)
    }
}

/// What the plan of two NATs leads to.
pub fn expected(a: &Side, b: &Side) -> &'static str {
    between(a, b).strategy.outcome()
}

/// Judges the pair on standard input.
///
/// # Errors
/// When a record is not readable.
pub fn run(json: bool, limits: Limits) -> anyhow::Result<Verdict> {
    let [a, b, outcome] = <[Record; 3]>::try_from(read()?)
        .or_else(|records| bail!("a pair is three records, not {}", records.len()))?;
    let [a, b] = [
        Asked::new(a).context("alice")?,
        Asked::new(b).context("bob")?,
    ];
    let pair = Pair::new([&a, &b], &outcome, limits)?;
    match json {
        true => say(&format!("{}\n", serde_json::to_string(&pair)?))?,
        false => say(&format!("{}\n", pair.sentence()))?,
    }
    Ok(pair.verdict())
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::side::tests::asked;

    pub fn cone() -> Asked {
        asked(
            "spec=full-cone class=full-cone mapping=endpoint-independent filtering=endpoint-independent",
        )
    }

    pub fn symmetric() -> Asked {
        asked(
            "spec=symmetric class=symmetric mapping=address-and-port-dependent \
             filtering=address-and-port-dependent ports=random",
        )
    }

    pub fn blocked() -> Asked {
        asked("spec=udp-blocked class=udp-blocked mapping=none filtering=none")
    }

    pub fn pair(a: &Asked, b: &Asked, outcome: &str) -> Pair {
        let outcome = Record::parse(&outcome.replace('|', "\t")).unwrap();
        Pair::new([a, b], &outcome, Limits::POLITE).unwrap()
    }

    #[test]
    fn an_outcome_is_compared_with_the_oracle() {
        let direct = r#"punch:={"result":"direct","strategy":"plain","elapsed_ms":0.5,"cause":null,"text":"direct: alice reaches bob."}"#;
        let good = pair(&cone(), &symmetric(), direct);
        assert_eq!((good.verdict(), good.expected), (Verdict::Yes, "direct"));
        assert!(
            good.sentence()
                .starts_with("direct: alice reaches bob. Expected was direct: ")
        );
        let surprise = pair(&symmetric(), &symmetric(), direct);
        assert_eq!(
            (surprise.verdict(), surprise.expected),
            (Verdict::No, "relay")
        );
        let failed = r#"punch:={"result":"failed","cause":{"code":"UDP_BLOCKED","text":"x"}}"#;
        let failed = pair(&blocked(), &cone(), failed);
        assert_eq!(
            (failed.verdict(), failed.cause.as_deref()),
            (Verdict::Yes, Some("UDP_BLOCKED"))
        );
        assert!(!failed.connects());
    }

    #[test]
    fn a_call_that_could_not_be_made_is_neither_yes_nor_no() {
        let lost = pair(
            &cone(),
            &cone(),
            "punch:=|log=punch: no answer from 203.0.113.1:8848",
        );
        assert_eq!((lost.verdict(), &lost.got), (Verdict::Unknown, &None));
        let says = "failed: alice's punch could not tell: no answer from 203.0.113.1:8848. Expected was direct: ";
        assert!(lost.sentence().starts_with(says), "{}", lost.sentence());
        // It is no success either where a failure was expected.
        assert_eq!(
            pair(&blocked(), &cone(), "punch:=|log=").verdict(),
            Verdict::Unknown
        );
    }

    #[test]
    fn a_nat_that_is_not_as_asked_is_a_no_whatever_came() {
        let outcome = r#"punch:={"result":"direct"}|measured_alice:={"class":"restricted"}|measured_bob:={"class":"full-cone","mapping":"endpoint-independent","filtering":"endpoint-independent"}"#;
        let pair = pair(&cone(), &cone(), outcome);
        assert_eq!((pair.verdict(), pair.as_asked), (Verdict::No, Some(false)));
    }

    #[test]
    fn the_cause_is_of_the_punch_and_of_nothing_else() {
        let outcome = r#"punch:={"result":"direct","cause":null}|measured_alice:={"cause":{"code":"SILENT"}}"#;
        assert_eq!(pair(&cone(), &cone(), outcome).cause, None);
    }
}
