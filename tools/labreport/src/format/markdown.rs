//! A table for a page or a comment on a change.

use crate::matrix::{Cell, Grade, Matrix};

/// The table, and what was found under it.
pub fn write(matrix: &Matrix) -> String {
    let mut text = String::from("| alice ╲ bob |");
    for name in &matrix.types {
        text += &format!(" {} |", cell(name));
    }
    text += "\n|---|";
    text += &"---|".repeat(matrix.types.len());
    text += "\n";
    for (name, row) in matrix
        .types
        .iter()
        .zip(matrix.cells.chunks(matrix.types.len()))
    {
        text += &format!("| **{}** |", cell(name));
        for found in row {
            text += &format!(" {} |", describe(found));
        }
        text += "\n";
    }
    text += "\n";
    for finding in matrix.findings() {
        text += &format!("- {}\n", cell(&finding));
    }
    text
}

fn describe(found: &Cell) -> String {
    let outcome = match found.how() {
        Some(how) => format!("{}, {how}", found.outcome()),
        None => found.outcome().to_owned(),
    };
    match (found.grade(), found) {
        (Grade::Expected, _) => cell(&outcome),
        (_, Cell::Ran(pair)) => format!("**{}**, expected {}", cell(&outcome), pair.expected),
        (_, Cell::Lost) => format!("**{}**", cell(&outcome)),
    }
}

/// Text that a table's cell shows as it is.
fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' | '*' | '_' | '`' | '<' | '[' | '\\' => safe.extend(['\\', character]),
            character if character.is_control() => safe.push(' '),
            character => safe.push(character),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use crate::matrix::tests::matrix;

    #[test]
    fn a_surprise_stands_out_and_text_stays_text() {
        let text = super::write(&matrix());
        let rows = Vec::from_iter(text.lines());
        assert_eq!(rows[0], "| alice ╲ bob | full-cone | udp-blocked |");
        assert_eq!(
            rows[2],
            "| **full-cone** | direct | **no call**, expected failed |"
        );
        assert_eq!(
            rows[3],
            "| **udp-blocked** | **direct**, expected failed | **no lab** |"
        );
        assert!(rows[5].contains(r"it \<broke>"), "{}", rows[5]);
    }
}
