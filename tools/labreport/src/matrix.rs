//! All cells together: read, put in order, summed up.

use std::path::Path;

use anyhow::Context;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::to_raw_value;

use crate::answer::Answer;
use crate::args::MatrixArgs;
use crate::cell::{Cell, Judgement};
use crate::input::{self, Raw};
use crate::{html, junit, markdown, output, runs, table};

/// Cells by the types of both sides.
#[derive(Debug, Default)]
pub struct Matrix {
    /// The types on alice's side, in their order.
    pub rows: Vec<String>,
    /// The types on bob's side, in their order.
    pub columns: Vec<String>,
    /// In the order in which they are shown.
    pub cells: Vec<Cell>,
    /// The same, as they were read.
    raw: Vec<Raw>,
}

/// What a matrix is to have, as far as it is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// The types on alice's side, separated by spaces, and on bob's if those
    /// are others: a pair without a cell is a lost lab. Empty: as the cells come.
    pub rows: &'a str,
    /// See [`Self::rows`].
    pub columns: Option<&'a str>,
    /// How many runs a cell of a command has; 0: as many as there are.
    pub runs: u32,
}

impl MatrixArgs {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            rows: &self.types,
            columns: self.columns.as_deref(),
            runs: self.runs,
        }
    }
}

/// What `--json` writes, which can be read again.
#[derive(Deserialize)]
struct Document {
    cells: Vec<Raw>,
}

impl Matrix {
    /// Reads cells, one after the other or as one document. Runs of a command
    /// between one pair become one cell.
    ///
    /// # Errors
    /// When something is not a cell.
    pub fn read(texts: &[String], wanted: &Wanted<'_>) -> anyhow::Result<Self> {
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
        let words = |text: &str| text.split_whitespace().map(Into::into).collect();
        let mut matrix = Self {
            rows: words(wanted.rows),
            columns: words(wanted.columns.unwrap_or(wanted.rows)),
            ..Self::default()
        };
        for raw in found {
            matrix.add(raw)?;
        }
        for (cell, raw) in matrix.cells.iter_mut().zip(&mut matrix.raw) {
            if !cell.is_command() {
                continue;
            }
            if let Some(all) = runs::completed(raw, &cell.runs, wanted.runs)? {
                (*cell, *raw) = (parsed(&all)?, all);
            }
        }
        matrix.complete(!wanted.rows.is_empty())?;
        Ok(matrix)
    }

    /// Adds a cell, or the runs of one to those of the same pair.
    fn add(&mut self, raw: Raw) -> anyhow::Result<()> {
        let cell = parsed(&raw)?;
        let same = |other: &Cell| other.is_command() && other.a == cell.a && other.b == cell.b;
        match self
            .cells
            .iter()
            .position(same)
            .filter(|_| cell.is_command())
        {
            Some(place) => {
                let runs = [self.cells[place].runs.as_slice(), &cell.runs].concat();
                self.raw[place] = runs::merged(&self.raw[place], &raw, runs)?;
                self.cells[place] = parsed(&self.raw[place])?;
            }
            None => {
                self.cells.push(cell);
                self.raw.push(raw);
            }
        }
        Ok(())
    }

    /// Finds the pages of packets in a folder beside the page of the matrix.
    fn find_packets(&mut self, page: &Path, folder: &Path) {
        let beside = page.parent().unwrap_or(Path::new(""));
        for cell in &mut self.cells {
            let runs = cell.runs.iter().map(|run| run.number);
            let numbers = if cell.is_command() {
                runs.collect()
            } else {
                vec![1]
            };
            let files = numbers.into_iter().map(|number| {
                let name = format!("{}--{}/run-{number}.html", cell.a, cell.b);
                (number, folder.join(name))
            });
            cell.packets = files
                .filter(|(_, file)| beside.join(file).is_file())
                .map(|(number, file)| (number, file.display().to_string()))
                .collect();
        }
    }

    /// Whether a command was run, and not punch.
    pub fn is_of_commands(&self) -> bool {
        self.cells.iter().any(Cell::is_command)
    }

    /// Finds the types, adds the cells that are missing, and sorts.
    fn complete(&mut self, all: bool) -> anyhow::Result<()> {
        for cell in &self.cells {
            // Without a list of types, rows and columns are the same.
            for side in [&cell.a, &cell.b] {
                for (is_own, types) in [
                    (side == &cell.a, &mut self.rows),
                    (side == &cell.b, &mut self.columns),
                ] {
                    if (is_own || !all) && !types.contains(side) {
                        types.push(side.clone());
                    }
                }
            }
        }
        if all {
            for a in &self.rows {
                for b in &self.columns {
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
        let place = |types: &[String], name: &String| types.iter().position(|known| known == name);
        let mut both: Vec<_> = self.cells.drain(..).zip(self.raw.drain(..)).collect();
        both.sort_by_key(|(cell, _)| (place(&self.rows, &cell.a), place(&self.columns, &cell.b)));
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

    /// All cells as one object (docs/reference/json.md).
    pub fn to_json(&self) -> String {
        output::list("cells", &self.written())
    }

    /// The JSON of each cell.
    pub(crate) fn written(&self) -> Vec<&str> {
        self.raw.iter().map(|raw| raw.get()).collect()
    }
}

/// A cell, from its JSON.
fn parsed(raw: &Raw) -> anyhow::Result<Cell> {
    serde_json::from_str(raw.get())
        .with_context(|| format!("this is not a cell of a matrix: {:.60}", raw.get()))
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
    let mut matrix = Matrix::read(&texts.collect::<Result<Vec<_>, _>>()?, &args.wanted())?;
    if let (Some(page), Some(folder)) = (&args.html, &args.packets) {
        matrix.find_packets(page, folder);
    }
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
    Ok(matrix.answer(args.want))
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::args::Want;

    /// A cell with what decides; `more` is further JSON.
    pub fn line(a: &str, b: &str, expected: &str, got: &str, more: &str) -> String {
        format!(
            "{{\"a\":\"{a}\",\"b\":\"{b}\",\"expected\":\"{expected}\",\"got\":{got},\
             \"how\":null,\"elapsed_ms\":null{more}}}\n"
        )
    }

    pub fn read(lines: &[String], types: &str) -> Matrix {
        let rows = types;
        Matrix::read(
            &[lines.concat()],
            &Wanted {
                rows,
                ..Wanted::default()
            },
        )
        .unwrap()
    }

    /// A cell of one run of a command.
    pub fn ran(a: &str, b: &str, expected: &str, run: u32, got: &str) -> String {
        format!(
            r#"{{"a":"{a}","b":"{b}","expected":"{expected}","why":{{"code":"WHY","text":"w"}},"got":"{got}","elapsed_ms":1,
            "cause":null,"runs":[{{"number":{run},"got":"{got}","logs":["out/{a}--{b}/run-{run}.log"]}}]}}"#
        )
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
        assert_eq!((&one.rows, &one.columns), (&one.columns, &one.rows));
        assert_eq!(one.rows, ["a", "b"]);
        assert_eq!(
            (one.cells.len(), one.answer(Want::Expected)),
            (1, Answer::Yes)
        );
    }

    #[test]
    fn the_document_reads_back_and_keeps_what_is_not_judged() {
        let matrix = read(
            &[line("a", "a", "direct", "\"direct\"", ",\"new\":{\"x\":1}")],
            "a b",
        );
        let json = matrix.to_json();
        assert!(json.contains(",\"new\":{\"x\":1}"));
        let again = Matrix::read(std::slice::from_ref(&json), &Wanted::default()).unwrap();
        assert_eq!(again.written(), matrix.written());
        assert_eq!(again.lost(), 3);
    }

    #[test]
    fn columns_may_be_others_than_rows() {
        let wanted = Wanted {
            rows: "a",
            columns: Some("b c"),
            runs: 1,
        };
        let matrix = Matrix::read(&[ran("a", "c", "direct", 1, "yes")], &wanted).unwrap();
        let pairs: Vec<_> = matrix
            .cells
            .iter()
            .map(|cell| (cell.b.as_str(), cell.word()))
            .collect();
        assert_eq!(pairs, [("b", "no lab".into()), ("c", "yes".into())]);
        assert_eq!(
            table::render(&matrix),
            "alice ╲ bob  b        c\n 0 a         no lab!  yes\n"
        );
    }

    #[test]
    fn merged_runs_read_back() {
        let lines = [
            ran("a", "a", "direct", 2, "no"),
            ran("a", "a", "direct", 1, "yes"),
        ];
        let matrix = read(&lines, "a");
        let again = Matrix::read(&[matrix.to_json()], &Wanted::default()).unwrap();
        assert_eq!(again.written(), matrix.written());
        assert_eq!(again.cells[0].runs.len(), 2);
    }

    #[test]
    fn what_is_not_a_cell_is_an_error() {
        for text in [
            "{\"a\":1}",
            "null",
            "[",
            "{\"a\":\"x\",\"b\":\"y\",\"got\":\"far\"}",
        ] {
            assert!(
                Matrix::read(&[text.into()], &Wanted::default()).is_err(),
                "{text}"
            );
        }
    }
}
