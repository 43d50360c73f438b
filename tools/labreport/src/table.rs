//! The matrix as a table for a terminal.

use tabled::builder::Builder;
use tabled::settings::{Padding, Style};

use crate::cell::Cell;
use crate::matrix::Matrix;

/// More columns than this have numbers in place of names, and outcomes alone.
const NAMES: usize = 6;

/// alice's types are the rows, bob's the columns; "!" marks what is not as expected.
pub fn render(matrix: &Matrix) -> String {
    let many = matrix.columns.len() > NAMES;
    let mut table = Builder::new();
    let columns = matrix.columns.iter().enumerate();
    let mut head = vec!["alice ╲ bob".to_owned()];
    head.extend(columns.map(|(i, name)| match many {
        true => i.to_string(),
        false => name.clone(),
    }));
    table.push_record(head);
    for (i, a) in matrix.rows.iter().enumerate() {
        let types = matrix.columns.iter();
        let mut row = vec![format!("{i:2} {a}")];
        row.extend(types.map(|b| {
            matrix
                .cell(a, b)
                .map_or(String::new(), |cell| shown(cell, many))
        }));
        table.push_record(row);
    }
    let mut table = table.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
    let table = table.to_string();
    table
        .lines()
        .map(|line| format!("{}\n", line.trim_end()))
        .collect()
}

/// The outcome, and how it came about where ports were guessed or mapped.
fn shown(cell: &Cell, many: bool) -> String {
    let how = cell.notable_strategy().filter(|_| !many);
    let how = how.map_or(String::new(), |how| format!(", {how}"));
    let mark = if cell.is_fine() { "" } else { "!" };
    format!("{}{how}{mark}", cell.word())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::{line, mixed, read};

    #[test]
    fn a_surprise_has_a_mark() {
        assert_eq!(
            render(&mixed()),
            "alice ╲ bob  nat,x     <b>\n \
             0 nat,x     direct!   failed!\n \
             1 <b>       no call!  no lab!\n"
        );
    }

    #[test]
    fn many_columns_have_numbers() {
        let types = "a b c d e f longest";
        let page = render(&read(
            &[line("a", "longest", "relay", "\"relay\"", "")],
            types,
        ));
        let lines: Vec<_> = page.lines().collect();
        assert!(lines[0].starts_with("alice ╲ bob  0        1        2"));
        assert!(lines[1].ends_with("no lab!  relay"), "{page}");
        assert_eq!(lines.len(), 8);
    }
}
