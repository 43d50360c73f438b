//! What a matrix comes to: what is not as expected, what failed as expected, and the exit code.

use crate::answer::Answer;
use crate::args::Want;
use crate::cell::{Cell, Judgement, without_name};
use crate::matrix::Matrix;

impl Matrix {
    /// A line for everything that is not as asked or as expected, but for the
    /// labs that did not come up.
    pub fn surprises(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for cell in &self.cells {
            let (a, b) = (&cell.a, &cell.b);
            let cause = cell.cause_code();
            let log = cell
                .log()
                .map_or(String::new(), |log| format!("; see {log}"));
            match (cell.judgement(), cell.got, cell.expected) {
                (Judgement::NoCall, ..) if cell.is_command() => {
                    match self.as_broken(cause).as_slice() {
                        [_] => lines.push(format!("BROKEN: {a} × {b}: {cause}{log}")),
                        // A program that does not even start breaks every cell.
                        [first, rest @ ..] if std::ptr::eq(*first, cell) => lines.push(format!(
                            "BROKEN: {a} × {b} and {} more: {cause}{log}",
                            rest.len()
                        )),
                        _ => {}
                    }
                }
                (Judgement::NoCall, ..) => lines.push(format!(
                    "NO CALL: {a} × {b}: alice's punch could not tell: {}",
                    without_name(cause)
                )),
                (Judgement::Surprise, Some(got), Some(expected)) => lines.push(format!(
                    "SURPRISE: {a} × {b}: {}, expected was {expected} ({cause}){log}",
                    match cell.is_command() {
                        true => cell.word(),
                        false => got.to_string(),
                    }
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

    /// The cells of a command that are broken for this reason.
    fn as_broken(&self, cause: &str) -> Vec<&Cell> {
        let broken = |cell: &&Cell| cell.judgement() == Judgement::NoCall && cell.is_command();
        let same = |cell: &&Cell| cell.cause_code() == cause;
        self.cells.iter().filter(broken).filter(same).collect()
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
            let cause = cell.cause_code();
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
        lines.extend(self.with_openers());
        match self.lost() {
            0 => {}
            _ => lines.push(self.lost_line()),
        }
        lines.push(self.total());
        lines.join("\n") + "\n"
    }

    /// The pairs that plain punching connects with openers, and not, or not always, without.
    pub fn with_openers(&self) -> Option<String> {
        let by_openers = self.cells.iter().filter(|cell| {
            let plain = cell.plain.as_ref();
            plain.is_some_and(|plain| plain.ice.outcome != plain.openers.outcome)
        });
        let pairs: Vec<_> = by_openers
            .map(|cell| format!("{} × {}", cell.a, cell.b))
            .collect();
        (!pairs.is_empty()).then(|| {
            format!(
                "plain punching needs openers, which an ICE agent does not send: {}",
                pairs.join(", ")
            )
        })
    }

    /// Whether the matrix is as it is wanted.
    pub fn answer(&self, want: Want) -> Answer {
        let told = |cell: &Cell| match cell.got {
            _ if cell.as_asked == Some(Answer::No) => Answer::No,
            None => Answer::CouldNotTell,
            Some(got) if want == Want::Yes && !got.connects() => Answer::No,
            Some(_) => Answer::Yes,
        };
        if want != Want::Expected && !self.cells.is_empty() {
            return Answer::all(self.cells.iter().map(told));
        }
        if self.is_of_commands() {
            // A surprise is a no, and a command that could not tell is none.
            let judged = |cell: &Cell| match cell.judgement() {
                Judgement::Surprise => Answer::No,
                _ => told(cell),
            };
            return Answer::all(self.cells.iter().map(judged));
        }
        match self.wrong() {
            _ if self.lost() == self.cells.len() => Answer::CouldNotTell,
            0 => Answer::Yes,
            _ => Answer::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Outcome;
    use crate::matrix::Wanted;
    use crate::matrix::tests::{line, mixed, ran, read};

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
        assert_eq!(mixed().answer(Want::Expected), Answer::No);
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
        assert_eq!(matrix.answer(Want::Expected), Answer::Yes);
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
        assert_eq!(matrix.answer(Want::Expected), Answer::No);
    }

    #[test]
    fn a_matrix_without_any_lab_could_not_tell() {
        assert_eq!(
            read(&[], "open").answer(Want::Expected),
            Answer::CouldNotTell
        );
        assert_eq!(read(&[], "").answer(Want::Expected), Answer::CouldNotTell);
    }

    #[test]
    fn a_command_is_judged_by_what_any_agent_is_expected_to_do() {
        let lines = [
            ran("a", "a", "direct", 1, "yes"),
            ran("a", "b", "failed", 1, "no"),
            ran("b", "a", "direct", 1, "no"),
            ran("b", "b", "unknown", 1, "yes"),
        ];
        let matrix = read(&lines, "a b");
        assert_eq!(
            matrix.summary(),
            "SURPRISE: b × a: no, expected was direct (WHY); see out/b--a/run-1.log\n\
             WHY, as expected: a × b\n\
             2 of 4 pairs connect; 1 not as expected\n"
        );
        let wants = [Want::Expected, Want::Told, Want::Yes].map(|want| matrix.answer(want));
        assert_eq!(wants, [Answer::No, Answer::Yes, Answer::No]);
        assert!(matrix.is_of_commands());
    }

    #[test]
    fn runs_of_one_pair_are_one_cell_and_a_missing_run_is_a_lost_lab() {
        let lines = [
            ran("a", "a", "direct", 2, "no"),
            ran("a", "a", "direct", 1, "yes"),
        ];
        let mut matrix = read(&lines, "a");
        assert_eq!((matrix.cells.len(), matrix.cells[0].runs.len()), (1, 2));
        assert_eq!(matrix.cells[0].got, Some(Outcome::Mixed));
        assert_eq!(
            matrix.surprises(),
            ["SURPRISE: a × a: 1 of 2 yes, expected was direct (WHY); see out/a--a/run-2.log"]
        );
        matrix = Matrix::read(
            &[lines.concat()],
            &Wanted {
                rows: "a",
                columns: None,
                runs: 3,
            },
        )
        .unwrap();
        assert_eq!(
            matrix.surprises(),
            ["BROKEN: a × a: NO_LAB: the lab of run 3 did not come up"]
        );
        assert_eq!(matrix.answer(Want::Told), Answer::CouldNotTell);
        assert_eq!(matrix.answer(Want::Expected), Answer::CouldNotTell);
    }

    #[test]
    fn what_breaks_many_cells_is_said_once() {
        let cell = |b| {
            let cell = ran("a", b, "direct", 1, "yes").replace("\"got\":\"yes\"", "\"got\":null");
            cell.replace("\"cause\":null", "\"cause\":\"exit code 127\"")
        };
        let lines = [cell("a"), cell("b"), ran("a", "c", "direct", 1, "yes")];
        let said = read(&lines, "").surprises();
        assert_eq!(
            said,
            ["BROKEN: a × a and 1 more: exit code 127; see out/a--a/run-1.log"]
        );
        assert_eq!(
            read(&lines[1..], "").surprises(),
            ["BROKEN: a × b: exit code 127; see out/a--b/run-1.log"]
        );
    }

    #[test]
    fn pairs_that_only_openers_connect_are_named() {
        let plain = r#","plain":{"ice":{"outcome":"failed","why":{"code":"E","text":"t"}},
            "openers":{"outcome":"direct","why":{"code":"S","text":"t"}}}"#;
        let cells = [
            line("m", "m", "direct", "\"direct\"", plain),
            line(
                "m",
                "x",
                "direct",
                "\"direct\"",
                &plain.replace("failed", "direct"),
            ),
        ];
        assert_eq!(
            read(&cells, "").summary(),
            "plain punching needs openers, which an ICE agent does not send: m × m\n\
             2 of 2 pairs connect; 0 not as expected\n"
        );
    }
}
