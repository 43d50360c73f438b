//! One NAT: what was asked, what natprobe measured, and whether they agree.

use anyhow::{Context, ensure};
use nat::plan::{Limits, Side};
use serde::Serialize;
use serde_json::{Value, json};

use crate::record::{Record, read};
use crate::{Verdict, say};

/// The axes that are compared.
const AXES: [&str; 3] = ["class", "mapping", "filtering"];

/// One side of a lab.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The type with its overrides, as it was typed.
    pub spec: String,
    record: Record,
}

/// A side that has been measured, as docs/reference/json.md has it.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    node: String,
    asked: Value,
    measured: Value,
    as_asked: bool,
}

impl Asked {
    /// From the record of a type's head.
    ///
    /// # Errors
    /// When it is not one.
    pub fn new(record: Record) -> anyhow::Result<Self> {
        let spec = record.text("spec").to_owned();
        ensure!(!spec.is_empty(), "the record of a NAT has no spec");
        Ok(Self { spec, record })
    }

    /// What natprobe would report of it, as far as the oracle needs it.
    pub fn report(&self) -> Value {
        let head = |key| self.record.text(key);
        let none = |axis: &str| (axis != "none").then(|| json!(axis));
        let filtering = none(head("filtering"));
        // Without a NAT an address stays what it is, whomever it sends to.
        let mapping = none(head("mapping")).or(Some(json!("endpoint-independent")));
        let mut report = json!({
            "class": head("class"),
            "mapping": filtering.as_ref().and(mapping),
            "filtering": filtering,
            "nat": head("hosts") != "public",
            "remaps_after_early_inbound": head("name") == "masquerade",
            "port_mapping": {"agrees": head("upnp") == "on"},
        });
        let range = [40000, 40511];
        match head("ports") {
            "sequential" => {
                report["allocation"] = json!({"policy": "sequential", "step": 1, "range": range});
            }
            "block" => report["allocation"] = json!({"policy": "block", "range": range}),
            _ => {}
        }
        report
    }

    /// The same for a plan.
    ///
    /// # Errors
    /// When the head has words that no report has.
    pub fn side(&self, limits: Limits) -> anyhow::Result<Side> {
        let side: Side = serde_json::from_value(self.report())
            .with_context(|| format!("the head of {}", self.spec))?;
        Ok(Side { limits, ..side })
    }

    /// Compares it with natprobe's report, which is null where there is none.
    pub fn compare(&self, node: &str, measured: &Value) -> Measured {
        let agrees = |axis: &str| {
            let asked = self.record.text(axis);
            asked == "none" || measured[axis] == asked
        };
        Measured {
            node: node.into(),
            asked: self.report(),
            measured: measured.clone(),
            as_asked: AXES.iter().all(|axis| agrees(axis)),
        }
    }
}

impl Measured {
    /// Is it what was asked?
    pub fn is_as_asked(&self) -> bool {
        self.as_asked
    }

    /// One line for people.
    fn line(&self, spec: &str) -> String {
        let [class, mapping, filtering] =
            AXES.map(|axis| self.measured[axis].as_str().unwrap_or("unknown"));
        let verdict = if self.as_asked { "" } else { "   NOT AS ASKED" };
        format!(
            "{:<6} asked {spec:<22} measured {class:<16} {mapping} mapping, {filtering} filtering{verdict}\n",
            self.node
        )
    }
}

/// Judges the sides on standard input: `node`, `measured`, the head's keys, and
/// `said`, what natprobe wrote to its log.
///
/// # Errors
/// When a record is not readable.
pub fn run(json: bool) -> anyhow::Result<Verdict> {
    let mut all = true;
    for record in read()? {
        let asked = Asked::new(record.clone())?;
        let side = asked.compare(record.text("node"), record.get("measured"));
        all &= side.is_as_asked();
        if json {
            say(&format!("{}\n", serde_json::to_string(&side)?))?;
            continue;
        }
        say(&side.line(&asked.spec))?;
        if !side.is_as_asked() && !record.text("said").is_empty() {
            say(&format!("       {}\n", record.text("said")))?;
        }
    }
    Ok(all.into())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn asked(line: &str) -> Asked {
        Asked::new(Record::parse(&line.replace(' ', "\t")).unwrap()).unwrap()
    }

    const CONE: &str = "spec=full-cone name=full-cone class=full-cone \
         mapping=endpoint-independent filtering=endpoint-independent ports=preserve upnp=off";

    #[test]
    fn each_axis_is_compared_and_none_is_not() {
        let good = json!({"class": "full-cone", "mapping": "endpoint-independent",
            "filtering": "endpoint-independent"});
        let cone = asked(CONE);
        assert!(cone.compare("alice", &good).is_as_asked());
        for axis in AXES {
            let mut bad = good.clone();
            bad[axis] = json!("symmetric");
            assert!(!cone.compare("alice", &bad).is_as_asked(), "{axis}");
            bad[axis] = Value::Null;
            assert!(
                !cone.compare("alice", &bad).is_as_asked(),
                "{axis} untested"
            );
        }
        assert!(!cone.compare("alice", &Value::Null).is_as_asked());
        let open = asked(
            "spec=open name=open class=open mapping=none filtering=endpoint-independent hosts=public",
        );
        let report = json!({"class": "open", "filtering": "endpoint-independent"});
        assert!(open.compare("bob", &report).is_as_asked());
    }

    #[test]
    fn a_head_becomes_the_report_that_natprobe_would_make() {
        let open =
            asked("spec=open class=open mapping=none filtering=endpoint-independent hosts=public");
        let report = open.report();
        assert_eq!(
            (&report["nat"], &report["mapping"]),
            (&json!(false), &json!("endpoint-independent"))
        );
        let blocked =
            asked("spec=udp-blocked class=udp-blocked mapping=none filtering=none").report();
        assert_eq!(
            (&blocked["mapping"], &blocked["filtering"]),
            (&Value::Null, &Value::Null)
        );
        let blocks = asked(
            "spec=x class=symmetric mapping=address-and-port-dependent filtering=address-and-port-dependent ports=block upnp=on",
        );
        assert_eq!(blocks.report()["allocation"]["policy"], "block");
        assert!(blocks.side(Limits::POLITE).unwrap().mapped);
        assert!(
            asked("spec=x mapping=odd filtering=none2")
                .side(Limits::POLITE)
                .is_err()
        );
    }

    #[test]
    fn the_line_says_what_was_asked_and_what_was_measured() {
        let line = asked(CONE)
            .compare("alice", &json!({"class": "restricted"}))
            .line("full-cone");
        assert_eq!(
            line,
            "alice  asked full-cone              measured restricted       unknown mapping, unknown filtering   NOT AS ASKED\n"
        );
    }
}
