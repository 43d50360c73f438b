//! The matrix as JUnit's XML, which CI systems read.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::answer::Answer;
use crate::cell::{Cell, Judgement};
use crate::matrix::Matrix;

/// A test case for each pair, and one for each cell whose NATs were measured.
/// What could not be told is an error, and what is otherwise a failure.
pub fn render(matrix: &Matrix) -> String {
    let mut pairs = TestSuite::new("pairs");
    let mut nats = TestSuite::new("nats");
    for cell in &matrix.cells {
        pairs.add_test_case(pair(cell));
        nats.add_test_cases(cell.as_asked.map(|answer| nat(cell, answer)));
    }
    let mut report = Report::new("pinhole matrix");
    report.add_test_suites([pairs, nats].into_iter().filter(|suite| suite.tests > 0));
    report.to_string().expect("writing to memory does not fail")
}

fn pair(cell: &Cell) -> TestCase {
    let expected = cell.expected.map_or("a result".into(), |e| e.to_string());
    let reason = cell.reason();
    let status = match cell.judgement() {
        Judgement::AsExpected => TestCaseStatus::success(),
        Judgement::Surprise => problem(
            NonSuccessKind::Failure,
            "SURPRISE",
            format!("{}, expected was {expected}", cell.word()),
            reason.clone(),
        ),
        Judgement::NoCall => problem(
            NonSuccessKind::Error,
            "NO_CALL",
            match cell.is_command() {
                true => "the command could not tell".into(),
                false => "alice's punch could not tell".into(),
            },
            reason.clone(),
        ),
        Judgement::NoLab => problem(
            NonSuccessKind::Error,
            "NO_LAB",
            "the lab did not come up".into(),
            None,
        ),
    };
    let mut case = TestCase::new(format!("{} × {}", cell.a, cell.b), status);
    case.set_classname(format!("pair.{}", cell.a));
    case.set_time(Duration::from_secs_f64(
        cell.elapsed_ms.unwrap_or(0.0).max(0.0) / 1000.0,
    ));
    let how = cell.how.as_deref().map(|how| format!("how: {how}"));
    let cause = reason.map(|reason| format!("cause: {reason}"));
    let why = cell
        .why
        .as_ref()
        .map(|why| format!("why: {}: {}", why.code, why.text));
    let log = cell.log().filter(|_| !cell.is_fine());
    let log = log.map(|log| format!("output: {log}"));
    let lines = [
        Some(format!("expected: {expected}")),
        why,
        Some(format!("got: {}", cell.word())),
    ];
    let lines: Vec<_> = lines
        .into_iter()
        .chain([how, cause, log])
        .flatten()
        .collect();
    case.set_system_out(lines.join("\n"));
    case
}

fn nat(cell: &Cell, answer: Answer) -> TestCase {
    let hint = || Some(format!("see: lab/netns.sh {} {}", cell.a, cell.b));
    let status = match answer {
        Answer::Yes => TestCaseStatus::success(),
        Answer::No => problem(
            NonSuccessKind::Failure,
            "NOT_AS_ASKED",
            "natprobe measures another NAT than was asked".into(),
            hint(),
        ),
        Answer::CouldNotTell => problem(
            NonSuccessKind::Error,
            "NOT_MEASURED",
            "natprobe could not measure the NAT".into(),
            hint(),
        ),
    };
    let mut case = TestCase::new(cell.sides(), status);
    case.set_classname("nat");
    case
}

fn problem(
    kind: NonSuccessKind,
    code: &str,
    message: String,
    details: Option<String>,
) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(code).set_message(message);
    if let Some(details) = details {
        status.set_description(details);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::{line, mixed, read};

    #[test]
    fn failures_and_errors_are_counted() {
        let report = render(&mixed());
        let head =
            r#"<testsuites name="pinhole matrix" tests="5" skipped="0" failures="2" errors="2">"#;
        assert!(report.contains(head), "{report}");
        for part in [
            r#"<failure message="failed, expected was direct" type="SURPRISE">"#,
            r#"<error message="alice&apos;s punch could not tell" type="NO_CALL">"#,
            r#"<error message="the lab did not come up" type="NO_LAB"/>"#,
            r#"type="NOT_AS_ASKED">"#,
        ] {
            assert!(report.contains(part), "{part} in {report}");
        }
    }

    #[test]
    fn text_cannot_end_an_element_and_control_characters_are_left_out() {
        let report = render(&mixed());
        assert!(report.contains("no &lt;answer&gt; &amp;"), "{report}");
        assert!(!report.contains("<answer>") && !report.contains("]]>"));
        assert!(report.contains(r#"name="&lt;b&gt; × nat,x""#));
        assert!(!report.contains('\u{1b}'));
    }

    #[test]
    fn a_pair_that_is_as_expected_passes_with_its_time() {
        let line = line("a", "b", "direct", "\"direct\"", "")
            .replace("\"elapsed_ms\":null", "\"elapsed_ms\":12");
        let report = render(&read(&[line], ""));
        assert!(report.contains(r#"failures="0" errors="0""#), "{report}");
        assert!(
            report.contains(r#"<testcase name="a × b" classname="pair.a" time="0.012">"#),
            "{report}"
        );
    }
}
