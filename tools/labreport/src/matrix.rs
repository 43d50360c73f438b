//! Every ordered pair of types, compared with the oracle.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::ensure;
use nat::plan::Limits;
use serde::Serialize;

use crate::args::Formats;
use crate::format::{html, json, junit, markdown, table};
use crate::pair::Pair;
use crate::record::{Record, read};
use crate::side::Asked;
use crate::{Verdict, cannot_write, say};

/// The cells, alice's types down and bob's across.
#[derive(Debug)]
pub struct Matrix {
    /// The types, in the order in which they were asked for.
    pub types: Vec<String>,
    /// Row by row.
    pub cells: Vec<Cell>,
}

/// One pair.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// Its lab ran.
    Ran(Box<Pair>),
    /// Its lab did not come up: null in JSON.
    Lost,
}

/// What a cell is, against what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grade {
    /// As expected, whatever that was.
    Expected,
    /// Another outcome.
    Surprise,
    /// Alice's punch could not tell.
    NoCall,
    /// A NAT is not what was asked.
    NotAsAsked,
    /// The lab did not come up.
    NoLab,
}

impl Cell {
    pub fn grade(&self) -> Grade {
        match self {
            Self::Lost => Grade::NoLab,
            Self::Ran(pair) if pair.as_asked == Some(false) => Grade::NotAsAsked,
            Self::Ran(pair) if pair.got.is_none() => Grade::NoCall,
            Self::Ran(pair) if pair.is_expected() => Grade::Expected,
            Self::Ran(_) => Grade::Surprise,
        }
    }

    /// The strategy, where it says more than the outcome: ports were guessed or
    /// mapped.
    pub fn how(&self) -> Option<&str> {
        match self {
            Self::Ran(pair) => Some(pair.how.as_str())
                .filter(|how| !matches!(*how, "" | "plain" | "lan" | "relay")),
            Self::Lost => None,
        }
    }

    /// What came, in a word or two.
    pub fn outcome(&self) -> &str {
        match self {
            Self::Lost => "no lab",
            Self::Ran(pair) => pair.got.as_deref().unwrap_or("no call"),
        }
    }
}

impl Matrix {
    /// From records: one for each type, then one for each pair.
    ///
    /// # Errors
    /// When a record is not readable, or the pairs are not those of the types.
    pub fn new(records: Vec<Record>, limits: Limits) -> anyhow::Result<Self> {
        let is_type = |record: &Record| !record.text("spec").is_empty();
        let (types, pairs): (Vec<_>, Vec<_>) = records.into_iter().partition(is_type);
        let types = types.into_iter().map(Asked::new);
        let types = types.collect::<anyhow::Result<Vec<_>>>()?;
        let wanted = types.len() * types.len();
        ensure!(
            wanted > 0 && wanted == pairs.len(),
            "{} types make {wanted} pairs, and there are {}",
            types.len(),
            pairs.len()
        );
        let sides = types.iter().flat_map(|a| types.iter().map(move |b| [a, b]));
        let cells = sides.zip(&pairs).map(|(sides, record)| {
            let [a, b] = sides.map(|side| side.spec.as_str());
            ensure!(
                [record.text("a"), record.text("b")] == [a, b],
                "a pair is {} × {}, where {a} × {b} belongs",
                record.text("a"),
                record.text("b")
            );
            if record.get("lost").as_bool() == Some(true) {
                return Ok(Cell::Lost);
            }
            Ok(Cell::Ran(Box::new(Pair::new(sides, record, limits)?)))
        });
        Ok(Self {
            cells: cells.collect::<anyhow::Result<_>>()?,
            types: types.into_iter().map(|side| side.spec).collect(),
        })
    }

    /// Alice's and bob's type of a cell.
    pub fn pair(&self, index: usize) -> [&str; 2] {
        let width = self.types.len();
        [index / width, index % width].map(|index| self.types[index].as_str())
    }

    /// A line for every surprise and for every cause of failure, and the sum.
    pub fn findings(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut failed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (index, cell) in self.cells.iter().enumerate() {
            let [a, b] = self.pair(index);
            let pair = format!("{a} × {b}");
            let Cell::Ran(ran) = cell else { continue };
            let cause = ran.cause.as_deref().unwrap_or("no cause");
            match cell.grade() {
                Grade::NotAsAsked => {
                    lines.push(format!(
                        "NOT AS ASKED: {a} measures otherwise; see: lab/netns.sh {a} {b}"
                    ));
                }
                Grade::NoCall => {
                    lines.push(format!(
                        "NO CALL: {pair}: alice's punch could not tell: {cause}"
                    ));
                }
                Grade::Surprise => lines.push(format!(
                    "SURPRISE: {pair}: {}, expected was {} ({cause})",
                    cell.outcome(),
                    ran.expected
                )),
                Grade::Expected if cell.outcome() == "failed" => {
                    failed.entry(cause).or_default().push(pair);
                }
                Grade::Expected | Grade::NoLab => {}
            }
        }
        for (cause, pairs) in failed {
            lines.push(format!("{cause}, as expected: {}", pairs.join(", ")));
        }
        let lost = self.count(|cell| cell.grade() == Grade::NoLab);
        if lost > 0 {
            lines.push(format!("{lost} labs did not come up"));
        }
        lines.push(self.sum());
        lines
    }

    /// How many connect, and how many are not as expected.
    pub fn sum(&self) -> String {
        let connected = self.count(|cell| matches!(cell, Cell::Ran(pair) if pair.connects()));
        let wrong = self.count(|cell| cell.grade() != Grade::Expected);
        let all = self.cells.len();
        format!("{connected} of {all} pairs connect; {wrong} not as expected")
    }

    /// Cells of which that is so.
    pub fn count(&self, is_so: impl Fn(&Cell) -> bool) -> usize {
        self.cells.iter().filter(|cell| is_so(cell)).count()
    }

    fn verdict(&self) -> Verdict {
        match self.count(|cell| cell.grade() == Grade::Expected) {
            _ if self.cells.iter().all(|cell| cell.grade() == Grade::NoLab) => Verdict::Unknown,
            good => (good == self.cells.len()).into(),
        }
    }
}

/// Shows the matrix on standard input.
///
/// # Errors
/// When a record is not readable or a file cannot be written.
pub fn run(formats: &Formats, limits: Limits) -> anyhow::Result<Verdict> {
    let matrix = Matrix::new(read()?, limits)?;
    let mut shown = false;
    for (file, write) in [
        (&formats.json, json::write as fn(&Matrix) -> String),
        (&formats.markdown, markdown::write),
        (&formats.junit, junit::write),
        (&formats.html, html::write),
    ] {
        if let Some(file) = file {
            shown |= put(file, &write(&matrix))?;
        }
    }
    let findings = matrix.findings().join("\n");
    match shown {
        true => cli::stderr::line(findings),
        false => say(&format!("{}\n{findings}\n", table::write(&matrix)))?,
    }
    Ok(matrix.verdict())
}

/// Writes to a file, or to standard output; whether it was the latter.
fn put(file: &Path, text: &str) -> anyhow::Result<bool> {
    if file == Path::new("-") {
        return say(text).map(|()| true);
    }
    let written = File::create(file).and_then(|mut file| file.write_all(text.as_bytes()));
    match written {
        Ok(()) => Ok(false),
        Err(error) => Err(cannot_write(file.display(), &error)),
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    const TYPES: &str =
        "spec=full-cone|class=full-cone|mapping=endpoint-independent|filtering=endpoint-independent
spec=udp-blocked|class=udp-blocked|mapping=none|filtering=none";

    /// One of each grade: as expected, a call that could not be made, a
    /// surprise, and a lab that is lost.
    pub fn matrix() -> Matrix {
        of(r#"a=full-cone|b=full-cone|punch:={"result":"direct","strategy":"plain","elapsed_ms":0.4}
a=full-cone|b=udp-blocked|punch:=|log=punch: it <broke> & "left"
a=udp-blocked|b=full-cone|punch:={"result":"direct","strategy":"plain","elapsed_ms":1}
a=udp-blocked|b=udp-blocked|lost:=true"#)
        .unwrap()
    }

    fn of(pairs: &str) -> anyhow::Result<Matrix> {
        let text = format!("{TYPES}\n{pairs}").replace('|', "\t");
        let records = text.lines().map(Record::parse);
        Matrix::new(records.collect::<anyhow::Result<_>>()?, Limits::POLITE)
    }

    #[test]
    fn every_grade_has_its_line() {
        let matrix = matrix();
        let grades = matrix.cells.iter().map(Cell::grade);
        let expected = [
            Grade::Expected,
            Grade::NoCall,
            Grade::Surprise,
            Grade::NoLab,
        ];
        assert_eq!(Vec::from_iter(grades), expected);
        assert_eq!(
            matrix.findings(),
            [
                "NO CALL: full-cone × udp-blocked: alice's punch could not tell: it <broke> & \"left\"",
                "SURPRISE: udp-blocked × full-cone: direct, expected was failed (no cause)",
                "1 labs did not come up",
                "2 of 4 pairs connect; 3 not as expected",
            ]
        );
        assert_eq!(matrix.verdict(), Verdict::No);
    }

    #[test]
    fn failures_that_were_expected_are_told_by_cause() {
        let pair = |a, b, result: &str| {
            let cause = if result == "failed" {
                r#"{"code":"UDP_BLOCKED"}"#
            } else {
                "null"
            };
            format!(r#"a={a}|b={b}|punch:={{"result":"{result}","cause":{cause}}}"#)
        };
        let lines = [
            pair("full-cone", "full-cone", "direct"),
            pair("full-cone", "udp-blocked", "failed"),
            pair("udp-blocked", "full-cone", "failed"),
            pair("udp-blocked", "udp-blocked", "failed"),
        ];
        let matrix = of(&lines.join("\n")).unwrap();
        assert_eq!(matrix.verdict(), Verdict::Yes);
        let told = "UDP_BLOCKED, as expected: full-cone × udp-blocked, udp-blocked × full-cone, udp-blocked × udp-blocked";
        assert_eq!(
            matrix.findings(),
            [told, "1 of 4 pairs connect; 0 not as expected"]
        );
    }

    #[test]
    fn no_lab_at_all_is_no_verdict() {
        let lost = |a, b| format!("a={a}|b={b}|lost:=true\n");
        let names = ["full-cone", "udp-blocked"];
        let pairs = names.map(|a| names.map(|b| lost(a, b)).concat()).concat();
        assert_eq!(of(&pairs).unwrap().verdict(), Verdict::Unknown);
    }

    #[test]
    fn a_pair_in_the_wrong_place_is_refused() {
        assert!(of("a=full-cone|b=full-cone|lost:=true").is_err());
        let error = of("a=udp-blocked|b=x|lost:=true\n".repeat(4).trim_end()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("where full-cone × full-cone belongs"),
            "{error}"
        );
    }
}
