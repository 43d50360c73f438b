//! All cells together: read, put in order, summed up.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::answer::Answer;
use crate::args::MatrixArgs;
use crate::cell::{Cell, Judgement, without_name};
use crate::input::{self, Raw};
use crate::{html, junit, markdown, output, table};

/// Cells by the types of both sides.
#[derive(Debug, Default)]
pub struct Matrix {
    /// The types, in the order of rows and columns.
    pub types: Vec<String>,
    /// In the order in which they are shown.
    pub cells: Vec<Cell>,
    /// The same, as they were read.
    raw: Vec<Raw>,
}

/// What `--json` writes, which can be read again.
#[derive(Deserialize)]
struct Document {
    cells: Vec<Raw>,
}

impl Matrix {
    /// Reads cells, one after the other or as one document. With `types`, these
    /// are the rows and columns, and a pair without a cell is a lost lab.
    ///
    /// # Errors
    /// When something is not a cell.
    pub fn read(texts: &[String], types: &str) -> anyhow::Result<Self> {
        let mut found = Vec::new();
        for text in texts {
            for value in serde_json::Deserializer::from_str(text).into_iter::<Raw>() {
                let value = value.context("the input is not JSON")?;
                match serde_json::from_str::<Document>(value.get()) {
                    Ok(document) => found.extend(document.cells),
                    Err(_) => found.push(value),
                }
            }
        }
        let mut matrix = Self {
            types: types.split_whitespace().map(Into::into).collect(),
            ..Self::default()
        };
        for raw in found {
            let cell: Cell = serde_json::from_str(raw.get())
                .with_context(|| format!("this is not a cell of a matrix: {:.60}", raw.get()))?;
            matrix.cells.push(cell);
            matrix.raw.push(raw);
        }
        matrix.complete(!types.is_empty())?;
        Ok(matrix)
    }

    /// Finds the types, adds the cells that are missing, and sorts.
    fn complete(&mut self, all: bool) -> anyhow::Result<()> {
        for cell in &self.cells {
            for side in [&cell.a, &cell.b] {
                if !self.types.contains(side) {
                    self.types.push(side.clone());
                }
            }
        }
        if all {
            for a in &self.types {
                for b in &self.types {
                    if self.cells.iter().all(|cell| (&cell.a, &cell.b) != (a, b)) {
                        let lost = Cell::lost(a, b);
                        self.raw.push(to_raw_value(&json!({
                            "a": a, "b": b, "expected": null, "got": null, "how": null,
                            "elapsed_ms": null, "cause": lost.cause, "punch": null,
                        }))?);
                        self.cells.push(lost);
                    }
                }
            }
        }
        let place = |name: &String| self.types.iter().position(|known| known == name);
        let mut both: Vec<_> = self.cells.drain(..).zip(self.raw.drain(..)).collect();
        both.sort_by_key(|(cell, _)| (place(&cell.a), place(&cell.b)));
        (self.cells, self.raw) = both.into_iter().unzip();
        Ok(())
    }

    /// The cell of this pair, if there is one.
    pub fn cell(&self, a: &str, b: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.a == a && cell.b == b)
    }

    /// How many cells have a path.
    pub fn connected(&self) -> usize {
        let got = self.cells.iter().filter_map(|cell| cell.got);
        got.filter(|got| got.connects()).count()
    }

    /// How many cells are not as asked or not as expected.
    pub fn wrong(&self) -> usize {
        self.cells.iter().filter(|cell| !cell.is_fine()).count()
    }

    /// How many labs did not come up.
    pub fn lost(&self) -> usize {
        self.count(Judgement::NoLab)
    }

    /// How many labs did not come up, in words.
    pub fn lost_line(&self) -> String {
        match self.lost() {
            1 => "1 lab did not come up".into(),
            lost => format!("{lost} labs did not come up"),
        }
    }

    /// How many cells come to this.
    pub fn count(&self, judgement: Judgement) -> usize {
        let cells = self.cells.iter();
        cells.filter(|cell| cell.judgement() == judgement).count()
    }

    /// A line for everything that is not as asked or as expected, but for the
    /// labs that did not come up.
    pub fn surprises(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for cell in &self.cells {
            let (a, b) = (&cell.a, &cell.b);
            let cause = cell.cause.as_deref().unwrap_or("no cause");
            match (cell.judgement(), cell.got, cell.expected) {
                (Judgement::NoCall, ..) => lines.push(format!(
                    "NO CALL: {a} × {b}: alice's punch could not tell: {}",
                    without_name(cause)
                )),
                (Judgement::Surprise, Some(got), Some(expected)) => lines.push(format!(
                    "SURPRISE: {a} × {b}: {got}, expected was {expected} ({cause})"
                )),
                (Judgement::Surprise, ..) => {
                    lines.push(format!("SURPRISE: {a} × {b}: nothing was expected"));
                }
                (Judgement::AsExpected | Judgement::NoLab, ..) => {}
            }
            let nats = match cell.as_asked {
                Some(Answer::No) => "NOT AS ASKED",
                Some(Answer::CouldNotTell) => "COULD NOT BE MEASURED",
                Some(Answer::Yes) | None => continue,
            };
            lines.push(format!(
                "{nats}: {}; see: lab/netns.sh {a} {b}",
                cell.sides()
            ));
        }
        lines
    }

    /// The causes of the failures that were expected, each with its pairs, in
    /// the order in which they come.
    pub fn failures(&self) -> Vec<(&str, Vec<&Cell>)> {
        let mut causes: Vec<(&str, Vec<&Cell>)> = Vec::new();
        for cell in &self.cells {
            let connects = cell.got.is_none_or(|got| got.connects());
            if connects || cell.judgement() != Judgement::AsExpected {
                continue;
            }
            let cause = cell.cause.as_deref().unwrap_or("no cause");
            match causes.iter_mut().find(|(known, _)| *known == cause) {
                Some((_, cells)) => cells.push(cell),
                None => causes.push((cause, vec![cell])),
            }
        }
        causes
    }

    /// How many pairs connect, and how many are not as asked or as expected.
    pub fn total(&self) -> String {
        format!(
            "{} of {} pairs connect; {} not as expected",
            self.connected(),
            self.cells.len(),
            self.wrong()
        )
    }

    /// The lines under the table.
    pub fn summary(&self) -> String {
        let mut lines = self.surprises();
        for (cause, cells) in self.failures() {
            let pairs = cells.iter().map(|cell| format!("{} × {}", cell.a, cell.b));
            let pairs = pairs.collect::<Vec<_>>().join(", ");
            lines.push(format!("{cause}, as expected: {pairs}"));
        }
        match self.lost() {
            0 => {}
            _ => lines.push(self.lost_line()),
        }
        lines.push(self.total());
        lines.join("\n") + "\n"
    }

    /// Yes if every cell is as asked and as expected.
    pub fn answer(&self) -> Answer {
        match self.wrong() {
            _ if self.lost() == self.cells.len() => Answer::CouldNotTell,
            0 => Answer::Yes,
            _ => Answer::No,
        }
    }

    /// All cells as one object (docs/reference/json.md).
    pub fn to_json(&self) -> String {
        let cells: Vec<_> = self.raw.iter().map(|raw| raw.get()).collect();
        format!(
            "{{\"format\": {}, \"cells\": [\n{}\n]}}\n",
            nat::Format::VERSION,
            cells.join(",\n")
        )
    }
}

/// Writes every output that was asked for; a table if none goes to stdout.
///
/// # Errors
/// When the cells cannot be read, or an output not written.
pub fn run(args: &MatrixArgs) -> anyhow::Result<Answer> {
    let stdin = [Path::new("-").to_owned()];
    let files = match args.files.as_slice() {
        [] => &stdin,
        files => files,
    };
    let texts = files.iter().map(|file| input::text(file));
    let matrix = Matrix::read(&texts.collect::<Result<Vec<_>, _>>()?, &args.types)?;
    let mut printed = false;
    for (file, render) in [
        (&args.json, Matrix::to_json as fn(&Matrix) -> String),
        (&args.markdown, markdown::render),
        (&args.junit, junit::render),
        (&args.html, html::render),
    ] {
        if let Some(file) = file {
            output::write(file, &render(&matrix))?;
            printed |= file == Path::new("-");
        }
    }
    match printed {
        true => cli::stderr::line(matrix.summary().trim_end()),
        false => output::print(&format!("{}\n{}", table::render(&matrix), matrix.summary()))?,
    }
    Ok(matrix.answer())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A cell with what decides; `more` is further JSON.
    pub fn line(a: &str, b: &str, expected: &str, got: &str, more: &str) -> String {
        format!(
            "{{\"a\":\"{a}\",\"b\":\"{b}\",\"expected\":\"{expected}\",\"got\":{got},\
             \"how\":null,\"elapsed_ms\":null{more}}}\n"
        )
    }

    pub fn read(lines: &[String], types: &str) -> Matrix {
        Matrix::read(&[lines.concat()], types).unwrap()
    }

    /// Two types: one pair as expected, one not, one without a call, one lost.
    pub fn mixed() -> Matrix {
        let lines = [
            line(
                "nat,x",
                "nat,x",
                "direct",
                "\"direct\"",
                r#","cause":null,"as_asked":false"#,
            ),
            line(
                "<b>",
                "nat,x",
                "failed",
                "null",
                r#","cause":"punch: no <answer> & \"no\" ]]>""#,
            ),
            line(
                "nat,x",
                "<b>",
                "direct",
                "\"failed\"",
                r#","cause":"ONE_WAY","punch":{"cause":{"code":"ONE_WAY","text":"one | two\u001b[1m"}}"#,
            ),
        ];
        read(&lines, "nat,x <b>")
    }

    #[test]
    fn cells_are_ordered_by_type_and_missing_ones_are_lost() {
        let matrix = mixed();
        let pairs: Vec<_> = matrix
            .cells
            .iter()
            .map(|c| (c.a.as_str(), c.b.as_str()))
            .collect();
        let wanted = [
            ("nat,x", "nat,x"),
            ("nat,x", "<b>"),
            ("<b>", "nat,x"),
            ("<b>", "<b>"),
        ];
        assert_eq!(pairs, wanted);
        assert_eq!(matrix.cells[3].judgement(), Judgement::NoLab);
        // Without a list of types, nothing is missing.
        let one = read(&[line("a", "b", "direct", "\"direct\"", "")], "");
        assert_eq!(one.types, ["a", "b"]);
        assert_eq!((one.cells.len(), one.answer()), (1, Answer::Yes));
    }

    #[test]
    fn everything_that_is_not_as_expected_has_a_line() {
        assert_eq!(
            mixed().summary(),
            "NOT AS ASKED: nat,x; see: lab/netns.sh nat,x nat,x\n\
             SURPRISE: nat,x × <b>: failed, expected was direct (ONE_WAY)\n\
             NO CALL: <b> × nat,x: alice's punch could not tell: no <answer> & \"no\" ]]>\n\
             1 lab did not come up\n\
             1 of 4 pairs connect; 4 not as expected\n"
        );
        assert_eq!(mixed().answer(), Answer::No);
    }

    #[test]
    fn failures_that_were_expected_are_listed_by_cause() {
        let failed = |a, cause| {
            line(
                a,
                "udp-blocked",
                "failed",
                "\"failed\"",
                &format!(",\"cause\":\"{cause}\""),
            )
        };
        let lines = [
            failed("open", "UDP_BLOCKED"),
            failed("basic", "UDP_BLOCKED"),
            failed("cgnat", "SYM_SYM"),
        ];
        let matrix = read(&lines, "");
        assert_eq!(
            matrix.summary(),
            "UDP_BLOCKED, as expected: open × udp-blocked, basic × udp-blocked\n\
             SYM_SYM, as expected: cgnat × udp-blocked\n\
             0 of 3 pairs connect; 0 not as expected\n"
        );
        assert_eq!(matrix.answer(), Answer::Yes);
    }

    #[test]
    fn a_nat_that_could_not_be_measured_is_told_apart() {
        let matrix = read(
            &[line("a", "a", "direct", "\"direct\"", ",\"as_asked\":null")],
            "",
        );
        assert!(
            matrix
                .summary()
                .starts_with("COULD NOT BE MEASURED: a; see: lab/netns.sh a a\n")
        );
        assert_eq!(matrix.answer(), Answer::No);
    }

    #[test]
    fn a_matrix_without_any_lab_could_not_tell() {
        assert_eq!(read(&[], "open").answer(), Answer::CouldNotTell);
        assert_eq!(read(&[], "").answer(), Answer::CouldNotTell);
    }

    #[test]
    fn the_document_reads_back_and_keeps_what_is_not_judged() {
        let matrix = read(
            &[line("a", "a", "direct", "\"direct\"", ",\"new\":{\"x\":1}")],
            "a b",
        );
        let json = matrix.to_json();
        assert!(json.contains(",\"new\":{\"x\":1}"));
        let again = Matrix::read(std::slice::from_ref(&json), "").unwrap();
        assert_eq!(again.to_json(), json);
        assert_eq!(again.lost(), 3);
    }

    #[test]
    fn what_is_not_a_cell_is_an_error() {
        for text in [
            "{\"a\":1}",
            "null",
            "[",
            "{\"a\":\"x\",\"b\":\"y\",\"got\":\"far\"}",
        ] {
            assert!(Matrix::read(&[text.into()], "").is_err(), "{text}");
        }
    }
}
