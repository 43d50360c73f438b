//! JUnit XML, as continuous integration reads it: a test case for each pair.

use super::escape;
use crate::matrix::{Cell, Grade, Matrix};

/// The document. A surprise is a failure; what could not be told is an error.
pub fn write(matrix: &Matrix) -> String {
    let graded = |grades: &[Grade]| matrix.count(|cell| grades.contains(&cell.grade()));
    let failures = graded(&[Grade::Surprise, Grade::NotAsAsked]);
    let errors = graded(&[Grade::NoCall, Grade::NoLab]);
    let total: f64 = matrix.cells.iter().map(seconds).sum();
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n\
         <testsuite name=\"lab/netns.sh matrix\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{:.4}\">\n",
        matrix.cells.len(),
        total,
    );
    for (index, cell) in matrix.cells.iter().enumerate() {
        let [a, b] = matrix.pair(index).map(escape);
        text += &format!(
            "<testcase classname=\"{a}\" name=\"{a} × {b}\" time=\"{:.4}\"",
            seconds(cell)
        );
        text += &match problem(cell) {
            None => "/>\n".to_owned(),
            Some((kind, message)) => {
                format!("><{kind} message=\"{}\"/></testcase>\n", escape(&message))
            }
        };
    }
    text + "</testsuite>\n</testsuites>\n"
}

fn seconds(cell: &Cell) -> f64 {
    match cell {
        Cell::Ran(pair) => pair.elapsed_ms / 1000.0,
        Cell::Lost => 0.0,
    }
}

fn problem(cell: &Cell) -> Option<(&'static str, String)> {
    let Cell::Ran(pair) = cell else {
        return Some(("error", "the lab did not come up".into()));
    };
    let cause = pair.cause.as_deref().unwrap_or("no cause");
    Some(match cell.grade() {
        Grade::Expected | Grade::NoLab => return None,
        Grade::Surprise => (
            "failure",
            format!(
                "{}, expected was {} ({cause})",
                cell.outcome(),
                pair.expected
            ),
        ),
        Grade::NotAsAsked => ("failure", "a NAT is not what was asked".into()),
        Grade::NoCall => ("error", format!("alice's punch could not tell: {cause}")),
    })
}

#[cfg(test)]
mod tests {
    use crate::matrix::tests::matrix;

    #[test]
    fn failures_and_errors_are_counted_and_escaped() {
        let text = super::write(&matrix());
        assert!(
            text.contains(r#"tests="4" failures="1" errors="2" time="0.0014""#),
            "{text}"
        );
        assert!(
            text.contains("it &lt;broke&gt; &amp; &quot;left&quot;"),
            "{text}"
        );
        assert_eq!(text.matches("<testcase ").count(), 4);
    }
}
