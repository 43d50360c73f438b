//! The matrix in Markdown, as GitHub and others render it.

use std::fmt::Write;

use crate::cell::{Cell, Judgement};
use crate::matrix::Matrix;

/// A table with alice's types down and bob's across, and a list under it.
pub fn render(matrix: &Matrix) -> String {
    let mut page = String::new();
    let mut row = |first: String, rest: Vec<String>| {
        let _ = writeln!(page, "| {first} | {} |", rest.join(" | "));
    };
    let types = || matrix.columns.iter();
    row(
        "alice ╲ bob".into(),
        types().map(|name| escape(name)).collect(),
    );
    row("---".into(), types().map(|_| "---".into()).collect());
    for a in &matrix.rows {
        let cells = types().map(|b| matrix.cell(a, b).map_or(String::new(), content));
        row(format!("**{}**", escape(a)), cells.collect());
    }
    page.push('\n');
    for line in matrix.summary().lines() {
        let _ = writeln!(page, "- {}", escape(line));
    }
    page
}

/// What was got and how; where it is not as expected, also what was.
fn content(cell: &Cell) -> String {
    let how = cell.notable_strategy();
    let how = how.map_or(String::new(), |how| format!(", {}", escape(how)));
    let text = cell.word() + &how;
    if cell.is_fine() {
        return text;
    }
    let is_same = cell.judgement() == Judgement::AsExpected;
    let expected = cell.expected.filter(|_| !is_same);
    let expected = expected.map_or(String::new(), |expected| format!(", expected {expected}"));
    format!("⚠ **{text}**{expected}")
}

/// Text that means nothing to Markdown, on one line.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '#' | '~' | '!' | '@' => {
                escaped.extend(['\\', char]);
            }
            char if char.is_control() => escaped.push(' '),
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::{line, mixed, read};

    #[test]
    fn a_row_has_what_was_got_and_how() {
        let line = line("a", "b", "direct", "\"direct\"", "");
        let line = line.replace("\"how\":null", "\"how\":\"spray\"");
        assert_eq!(
            render(&read(&[line], "")),
            "| alice ╲ bob | a | b |\n| --- | --- | --- |\n\
             | **a** |  | direct, spray |\n| **b** |  |  |\n\n\
             - 1 of 1 pairs connect; 0 not as expected\n"
        );
    }

    #[test]
    fn no_text_is_taken_for_markdown_or_html() {
        let page = render(&mixed());
        assert!(
            page.contains("| **nat,x** | ⚠ **direct** | ⚠ **failed**, expected direct |"),
            "{page}"
        );
        assert!(page.contains("| **&lt;b&gt;** | ⚠ **no call**, expected failed | ⚠ **no lab** |"));
        assert!(page.contains("no &lt;answer&gt; &amp; \"no\" \\]\\]&gt;\n"));
        assert!(!page.contains("<b>") && !page.contains('\u{1b}'));
        assert_eq!(escape("a|b`c*\n"), "a\\|b\\`c\\* ");
    }
}
