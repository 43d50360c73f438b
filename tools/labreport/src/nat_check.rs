//! The NAT that was asked for against the one that natprobe measured.

use std::fmt::Display;
use std::path::Path;

use anyhow::Context;
use nat::Behaviour;
use serde::Serialize;
use serde_json::Value;

use crate::answer::Answer;
use crate::args::NatArgs;
use crate::asked::Asked;
use crate::input::{self, Raw};
use crate::output;

/// One node's comparison; in JSON, a line of `measured` (docs/reference/json.md).
#[derive(Debug, Serialize)]
pub struct NatCheck {
    /// The host that measured.
    pub node: String,
    asked: Value,
    /// natprobe's report, if there is one.
    measured: Option<Raw>,
    /// Whether the class and both axes are as asked.
    pub as_asked: Answer,
    #[serde(skip)]
    spec: String,
    #[serde(skip)]
    found: Behaviour,
}

impl NatCheck {
    /// Compares what was asked of `node` with a report.
    ///
    /// # Errors
    /// When the report is there and cannot be read.
    pub fn of(node: &str, asked: &Asked, report: &Path) -> anyhow::Result<Self> {
        let measured = input::report(report)?;
        let found = match &measured {
            Some(raw) => serde_json::from_str(raw.get())
                .with_context(|| format!("{} is not a natprobe report", report.display()))?,
            None => Behaviour::default(),
        };
        Ok(Self {
            node: node.into(),
            asked: asked.to_json(),
            measured,
            as_asked: compare(asked, &found),
            spec: asked.spec.clone(),
            found,
        })
    }

    /// For people. A brief line has the two axes only where not all is as asked.
    fn line(&self, brief: bool) -> String {
        let Behaviour {
            mapping, filtering, ..
        } = self.found;
        let class = known(self.found.class());
        let line = format!("{:<6} asked {:<22} measured ", self.node, self.spec);
        if brief && self.as_asked == Answer::Yes {
            return line + &class;
        }
        let verdict = match self.as_asked {
            Answer::Yes => "",
            Answer::No => "   NOT AS ASKED",
            Answer::CouldNotTell => "   COULD NOT BE MEASURED",
        };
        let (mapping, filtering) = (known(mapping), known(filtering));
        format!("{line}{class:<16} {mapping} mapping, {filtering} filtering{verdict}")
    }
}

/// The class and both axes, where the type has them.
fn compare(asked: &Asked, found: &Behaviour) -> Answer {
    let (class, mapping, filtering) = asked.axes();
    let mapping = mapping.map(|asked| Answer::same(asked, found.mapping));
    let filtering = filtering.map(|asked| Answer::same(asked, found.filtering));
    let class = Answer::same(class, found.class());
    Answer::all([Some(class), mapping, filtering].into_iter().flatten())
}

fn known(found: Option<impl Display>) -> String {
    found.map_or("unknown".into(), |found| found.to_string())
}

/// Prints a line for each node.
///
/// # Errors
/// When a report cannot be read, or stdout not written.
pub fn run(args: &NatArgs) -> anyhow::Result<Answer> {
    let mut text = String::new();
    let mut answer = Answer::Yes;
    let (checks, rest) = args.checks.as_chunks::<3>();
    anyhow::ensure!(rest.is_empty(), "each NODE needs ASKED and REPORT");
    for [node, asked, report] in checks {
        let asked: Asked = asked.parse().map_err(anyhow::Error::msg)?;
        let check = NatCheck::of(node, &asked, Path::new(report))?;
        answer = answer.and(check.as_asked);
        let line = match args.json {
            true => output::report(&check)?,
            false => check.line(args.brief) + "\n",
        };
        text += &line;
    }
    output::print(&text)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use nat::Dependence::*;

    use super::*;
    use crate::asked::tests::{BLOCKED, CONE, OPEN, SYMMETRIC, asked};

    #[test]
    fn a_nat_is_as_asked_when_class_and_both_axes_are() {
        for (words, found, answer) in [
            (
                CONE,
                Behaviour::translated(EndpointIndependent, EndpointIndependent),
                Answer::Yes,
            ),
            (
                CONE,
                Behaviour::translated(EndpointIndependent, AddressDependent),
                Answer::No,
            ),
            // The class is open and not full-cone, though both axes agree.
            (
                CONE,
                Behaviour::untranslated(EndpointIndependent),
                Answer::No,
            ),
            // Both are symmetric; the mapping is not the one that was asked.
            (
                SYMMETRIC,
                Behaviour::translated(AddressDependent, AddressAndPortDependent),
                Answer::No,
            ),
            // Both are symmetric, and the filtering is another.
            (
                SYMMETRIC,
                Behaviour::translated(AddressAndPortDependent, AddressDependent),
                Answer::No,
            ),
            (
                OPEN,
                Behaviour::untranslated(EndpointIndependent),
                Answer::Yes,
            ),
            (BLOCKED, Behaviour::blocked(), Answer::Yes),
            (CONE, Behaviour::blocked(), Answer::No),
        ] {
            assert_eq!(compare(&asked(words), &found), answer, "{words} {found:?}");
        }
    }

    #[test]
    fn an_axis_that_was_not_measured_is_not_a_no() {
        let nothing = Behaviour::default();
        assert_eq!(compare(&asked(CONE), &nothing), Answer::CouldNotTell);
        let mut half = Behaviour::translated(EndpointIndependent, EndpointIndependent);
        half.filtering = None;
        assert_eq!(compare(&asked(CONE), &half), Answer::CouldNotTell);
        half.mapping = Some(AddressDependent);
        assert_eq!(compare(&asked(CONE), &half), Answer::No);
    }

    #[test]
    fn a_line_has_asked_and_measured_side_by_side() {
        let check = |found: Behaviour| NatCheck {
            node: "bob".into(),
            asked: Value::Null,
            measured: None,
            as_asked: compare(&asked(CONE), &found),
            spec: "full-cone".into(),
            found,
        };
        let found = Behaviour::translated(EndpointIndependent, AddressDependent);
        assert_eq!(
            check(found).line(false),
            "bob    asked full-cone              measured restricted       \
             endpoint-independent mapping, address-dependent filtering   NOT AS ASKED"
        );
        assert_eq!(check(found).line(true), check(found).line(false));
        let as_asked = Behaviour::translated(EndpointIndependent, EndpointIndependent);
        assert_eq!(
            check(as_asked).line(true),
            "bob    asked full-cone              measured full-cone"
        );
        let line = check(Behaviour::default()).line(true);
        assert!(line.ends_with("unknown filtering   COULD NOT BE MEASURED"));
    }

    #[test]
    fn json_says_null_where_nothing_was_measured() {
        let missing = Path::new("/nonexistent/report.json");
        let check = NatCheck::of("alice", &asked(CONE), missing).unwrap();
        let json: Value = serde_json::to_value(&check).unwrap();
        assert_eq!(json["node"], "alice");
        assert_eq!(json["asked"]["class"], "full-cone");
        assert!(json["measured"].is_null() && json["as_asked"].is_null());
    }
}
