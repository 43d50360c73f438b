//! The matrix as a table for a terminal.

use tabled::builder::Builder;
use tabled::settings::{Padding, Style};

use crate::cell::Cell;
use crate::matrix::Matrix;

/// More columns than this have their names above each other, like stairs, and how a path came about below its outcome.
const NAMES: usize = 6;

/// alice's types are the rows, bob's the columns; "!" marks what is not as expected.
pub fn render(matrix: &Matrix) -> String {
    let many = matrix.columns.len() > NAMES;
    let mut table = Builder::new();
    let mut head = vec!["alice ╲ bob".to_owned()];
    head.extend(matrix.columns.iter().map(|name| match many {
        true => LANE.to_string(),
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
    let first = table.lines().next().filter(|_| many).unwrap_or_default();
    let stairs = stairs(first, &matrix.columns);
    let lines = stairs.iter().map(String::as_str).chain(table.lines());
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

/// Leads from a name down to its column.
const LANE: char = '│';

/// A line for each name, which begins above its column; the columns are where this line has lanes.
fn stairs(lanes: &str, names: &[String]) -> Vec<String> {
    let lane_or_space = |(at, c): (usize, char)| match (at, c) {
        (_, LANE) => LANE,
        _ => ' ',
    };
    let places = lanes.char_indices().filter(|(_, c)| *c == LANE);
    let step = |((at, _), name): ((usize, char), &String)| {
        let before: String = lanes[..at].char_indices().map(lane_or_space).collect();
        before + name
    };
    places.zip(names).map(step).collect()
}

/// The outcome, and how it came about where ports were guessed or mapped.
fn shown(cell: &Cell, many: bool) -> String {
    let how = match (cell.notable_strategy(), many) {
        (None, _) => String::new(),
        (Some(how), false) => format!(", {how}"),
        (Some(how), true) => format!(",\n{how}"),
    };
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
    fn many_columns_have_their_names_above_each_other() {
        let types = "a b c d e f longest";
        let spray = line("b", "longest", "direct", "\"direct\"", "")
            .replace("\"how\":null", "\"how\":\"spray\"");
        let relay = line("a", "longest", "relay", "\"relay\"", "");
        let page = render(&read(&[relay, spray], types));
        let lines: Vec<_> = page.lines().collect();
        assert_eq!(
            lines[..3],
            [
                "             a",
                "             │        b",
                "             │        │        c"
            ]
        );
        let longest = "             │        │        │        │        │        │        longest";
        assert_eq!(lines[6], longest);
        assert_eq!(
            lines[7],
            "alice ╲ bob  │        │        │        │        │        │        │"
        );
        assert!(lines[8].ends_with("no lab!  relay"), "{page}");
        let at = longest.find("longest").unwrap() - 6 * (LANE.len_utf8() - 1);
        assert!(lines[9].ends_with("no lab!  direct,"), "{page}");
        assert_eq!(lines[10], format!("{:at$}spray", ""), "{page}");
        assert_eq!(lines.len(), 16);
    }
}
