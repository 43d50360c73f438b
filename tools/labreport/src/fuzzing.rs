//! What the crate `fuzzing` calls: text from files and from standard input.

use crate::lines::{Field, objects};
use crate::matrix::{Matrix, Wanted};
use crate::{figure, html, junit, markdown, profile, table};

/// Reads cells of a matrix, and writes every format of it. The document that it
/// writes can be read again, and is then the same.
pub fn matrix(text: &str, types: &str) {
    let Ok(matrix) = Matrix::read(
        &[text.to_owned()],
        &Wanted {
            rows: types,
            ..Wanted::default()
        },
    ) else {
        return;
    };
    for render in [
        html::render,
        junit::render,
        markdown::render,
        table::render,
        Matrix::summary,
    ] {
        render(&matrix);
    }
    let json = matrix.to_json();
    let again =
        Matrix::read(std::slice::from_ref(&json), &Wanted::default()).expect("what was written");
    assert_eq!(again.written(), matrix.written());
}

/// Reads a report of natprobe, writes the type that rebuilds the NAT, and draws it.
pub fn report(text: &str) {
    if let Ok(report) = serde_json::from_str(text) {
        let _ = profile::lab_type(&report);
    }
    if let Ok(report) = serde_json::from_str(text) {
        figure::draw(&report, "a report");
    }
}

/// Reads tab-separated lines of these columns.
pub fn lines(text: &str, columns: &str) {
    let fields: Result<Vec<Field>, _> = columns.split(' ').map(str::parse).collect();
    if let Ok(fields) = fields
        && let Ok(written) = objects(text, &fields, None)
    {
        for line in written.lines() {
            serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
        }
    }
}
