//! The table for a terminal.

use tabled::builder::Builder;
use tabled::settings::{Padding, Style};

use crate::matrix::{Cell, Grade, Matrix};

/// More columns than this have numbers in place of names.
const NAMED: usize = 6;

/// Alice's types down, bob's across; `!` marks what was not expected.
pub fn write(matrix: &Matrix) -> String {
    let width = matrix.types.len();
    let numbered = width > NAMED;
    let mut table = Builder::default();
    let across = matrix.types.iter().enumerate();
    let across = across.map(|(number, name)| match numbered {
        true => number.to_string(),
        false => name.clone(),
    });
    table.push_record(["alice ╲ bob".to_owned()].into_iter().chain(across));
    for (number, row) in matrix.cells.chunks(width).enumerate() {
        let name = &matrix.types[number];
        let head = match numbered {
            true => format!("{number:>2} {name}"),
            false => name.clone(),
        };
        table.push_record([head].into_iter().chain(row.iter().map(shown)));
    }
    let mut table = table.build();
    table.with(Style::empty()).with(Padding::new(0, 2, 0, 0));
    let lines = table.to_string();
    let lines = lines.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

/// The outcome, and how where ports were guessed or mapped.
fn shown(cell: &Cell) -> String {
    let mark = if cell.grade() == Grade::Expected {
        ""
    } else {
        "!"
    };
    match cell.how() {
        Some(how) => format!("{}, {how}{mark}", cell.outcome()),
        None => format!("{}{mark}", cell.outcome()),
    }
}

#[cfg(test)]
mod tests {
    use crate::matrix::tests::matrix;

    #[test]
    fn what_was_not_expected_is_marked() {
        let expected = "alice ╲ bob  full-cone  udp-blocked
full-cone    direct     no call!
udp-blocked  direct!    no lab!
";
        assert_eq!(super::write(&matrix()), expected);
    }

    #[test]
    fn many_columns_have_numbers() {
        let mut matrix = matrix();
        let cell = matrix.cells.remove(0);
        matrix.types = (0..7).map(|n| format!("type-{n}")).collect();
        matrix.cells = vec![cell];
        matrix
            .cells
            .extend((1..49).map(|_| crate::matrix::Cell::Lost));
        let table = super::write(&matrix);
        let head = table.lines().next().unwrap().split_whitespace().skip(3);
        assert!(head.eq(["0", "1", "2", "3", "4", "5", "6"]), "{table}");
        assert!(
            table.lines().nth(7).unwrap().starts_with(" 6 type-6 "),
            "{table}"
        );
    }
}
