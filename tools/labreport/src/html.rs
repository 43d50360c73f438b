//! The matrix as one page: no script, no network, no other file.
//!
//! Text is escaped by the macro: only the style sheet is passed as it is.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::answer::Answer;
use crate::cell::{Cell, Judgement, Outcome, milliseconds};
use crate::matrix::Matrix;

const STYLE: &str = include_str!("page.css");

/// A browser that loads this page loads nothing else.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// With more types, the columns have numbers, and a narrow screen shows letters.
const NAMES: usize = 6;

/// The page.
pub fn render(matrix: &Matrix) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                title { "NAT matrix: " (matrix.total()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "NAT matrix" }
                p.total.wrong[matrix.wrong() > 0] { (matrix.total()) "." }
                (problems(matrix))
                (legend(matrix))
                (grid(matrix))
                h2 { "Each pair" }
                @for a in &matrix.rows { (pairs(matrix, a)) }
                (causes(matrix))
                @if let Some(pairs) = matrix.with_openers() {
                    h2 { "Openers" }
                    p { (pairs) "." }
                }
                footer {
                    @if matrix.is_of_commands() {
                        "Expected is what the oracle says of plain punching between the two NAT types, "
                        "without openers; got is how the command ended: 0 is yes, 1 is no, all else is broken."
                    } @else {
                        "alice calls bob. Expected is what the oracle says of the two NAT types; "
                        "got is what happened; time is from the introduction to the path."
                    }
                }
            }
        }
    };
    page.into_string() + "\n"
}

fn problems(matrix: &Matrix) -> Markup {
    let lost = matrix.lost();
    html! {
        @if matrix.wrong() > 0 {
            h2 { "Not as expected" }
            ul.problems {
                @for line in matrix.surprises() { li { (line) } }
                @if lost > 0 { li { (matrix.lost_line()) } }
            }
        }
    }
}

fn legend(matrix: &Matrix) -> Markup {
    html! {
        ul.legend {
            @if matrix.is_of_commands() {
                li.direct { "Y yes" }
                li.failed { "N no, as expected" }
            } @else {
                li.direct { "D direct" }
                li.relay { "R relay" }
                li.failed { "F failed, as expected" }
            }
            @if matrix.wrong() > 0 { li.wrong { "! not as expected" } }
        }
    }
}

/// alice's types down, bob's across; each cell leads to its row further down.
fn grid(matrix: &Matrix) -> Markup {
    let many = matrix.columns.len() > NAMES;
    html! {
        div.scroll {
            table.grid.many[many] {
                thead {
                    tr {
                        th { "alice ╲ bob" }
                        @for (i, b) in matrix.columns.iter().enumerate() {
                            th scope="col" title=(b) { @if many { (i) } @else { (b) } }
                        }
                    }
                }
                tbody {
                    @for (i, a) in matrix.rows.iter().enumerate() {
                        tr {
                            th scope="row" { @if many { span.number { (i) } } (a) }
                            @for b in &matrix.columns { (square(matrix, a, b)) }
                        }
                    }
                }
            }
        }
    }
}

fn square(matrix: &Matrix, a: &str, b: &str) -> Markup {
    let Some(cell) = matrix.cell(a, b) else {
        return html! { td {} };
    };
    let name = format!("{a} × {b}: {}", cell.word());
    html! {
        td class=(class(cell)) {
            a href=(packets(cell).unwrap_or(format!("#{}", id(matrix, cell)))) title=(name) {
                i.letter { (letter(cell)) }
                span.word {
                    (cell.word())
                    @if let Some(how) = cell.notable_strategy() { small { (how) } }
                }
            }
        }
    }
}

/// The packets of the first run that did not end with yes, or else of the first.
fn packets(cell: &Cell) -> Option<String> {
    let no = |number: u32| {
        let mut runs = cell.runs.iter();
        runs.any(|run| run.number == number && run.got != Some(Outcome::Yes))
    };
    let mut of_a_no = cell.packets.iter().filter(|(number, _)| no(*number));
    let (_, path) = of_a_no.next().or(cell.packets.first())?;
    Some(link(path))
}

/// What a link keeps of a path: types have characters that an address does not.
const KEPT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b',')
    .remove(b'=')
    .remove(b'/');

/// A path as a link.
fn link(path: &str) -> String {
    utf8_percent_encode(path, KEPT).to_string()
}

/// A row for each of bob's types.
fn pairs(matrix: &Matrix, a: &str) -> Markup {
    let cells = matrix.cells.iter().filter(|cell| cell.a == a);
    html! {
        h3 { "alice behind " (a) }
        table.pairs {
            thead {
                tr {
                    th scope="col" { "bob behind" }
                    @for head in ["expected", "got", "how", "time"] { th scope="col" { (head) } }
                    th scope="col" { "cause" }
                }
            }
            tbody { @for cell in cells { (pair(matrix, cell)) } }
        }
    }
}

fn pair(matrix: &Matrix, cell: &Cell) -> Markup {
    let expected = cell.expected.map_or("not known".into(), |e| e.to_string());
    let why = cell.why.as_ref().map(|why| why.text.as_str());
    html! {
        tr id=(id(matrix, cell)) {
            th scope="row" { (cell.b) }
            (data("expected", Some(html! { span title=[why] { (expected) } })))
            td.result data-label="got" {
                span.got.(class(cell)) { (cell.word()) }
                @for (number, path) in &cell.packets {
                    " " a.packets href=(link(path)) {
                        @if cell.is_command() { "packets of run " (number) } @else { "packets" }
                    }
                }
            }
            (data("how", cell.how.as_deref().filter(|how| !how.is_empty()).map(|how| html! { (how) })))
            (data("time", cell.elapsed_ms.map(|ms| html! { (milliseconds(ms)) })))
            (cause(cell))
        }
    }
}

/// Why there is no path; for a path that was not expected, why not; and what is wrong with a NAT.
fn cause(cell: &Cell) -> Markup {
    let surprise = cell.judgement() == Judgement::Surprise;
    let why = cell.why.as_ref().filter(|_| surprise);
    let why = why.map(|why| format!("expected was otherwise because {}", why.text));
    let nats = match cell.as_asked {
        Some(Answer::No) => Some("natprobe measures another NAT than was asked".to_owned()),
        Some(Answer::CouldNotTell) => Some("natprobe could not measure the NAT".to_owned()),
        Some(Answer::Yes) | None => None,
    };
    let texts: Vec<_> = [cell.reason().or(why), nats]
        .into_iter()
        .flatten()
        .collect();
    html! {
        td.cause.quiet.empty[texts.is_empty()] data-label="cause" { (texts.join("; ")) }
    }
}

fn data(label: &str, text: Option<Markup>) -> Markup {
    html! {
        td.empty[text.is_none()] data-label=(label) { @if let Some(text) = text { (text) } }
    }
}

fn causes(matrix: &Matrix) -> Markup {
    let failures = matrix.failures();
    html! {
        @if !failures.is_empty() {
            h2 { "Failures that were expected" }
            ul.problems {
                @for (cause, cells) in failures {
                    li { (cause) ": " (cells.len()) " of " (matrix.cells.len()) " pairs" }
                }
            }
        }
    }
}

/// By position, since a type's name may have characters that an id cannot.
fn id(matrix: &Matrix, cell: &Cell) -> String {
    let place = matrix.cells.iter().position(|one| std::ptr::eq(one, cell));
    format!("pair-{}", place.unwrap_or_default())
}

fn letter(cell: &Cell) -> &'static str {
    match class(cell) {
        "direct" if cell.is_command() => "Y",
        "failed" if cell.is_command() => "N",
        "direct" => "D",
        "relay" => "R",
        "failed" => "F",
        _ => "!",
    }
}

fn class(cell: &Cell) -> &'static str {
    match cell.word().as_str() {
        _ if !cell.is_fine() => "wrong",
        "relay" => "relay",
        "direct" | "lan" | "yes" => "direct",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::tests::{mixed, ran, read};

    #[test]
    fn every_pair_is_in_the_grid_and_in_a_row() {
        let page = render(&mixed());
        for index in 0..4 {
            let (link, row) = (
                format!("href=\"#pair-{index}\""),
                format!("<tr id=\"pair-{index}\">"),
            );
            assert_eq!(page.matches(&link).count(), 1, "{link}");
            assert_eq!(page.matches(&row).count(), 1, "{row}");
        }
    }

    #[test]
    fn a_row_has_expected_got_how_time_and_cause() {
        let line = r#"{"a":"x","b":"y","expected":"direct","got":"failed","how":"spray","elapsed_ms":12,
            "cause":"ONE_WAY","punch":{"cause":{"code":"ONE_WAY","text":"the peer is heard"}}}"#;
        let page = render(&read(&[line.into()], ""));
        let row = &page[page.find("<tr id=\"pair-0\">").unwrap()..];
        let row = &row[..row.find("</tr>").unwrap()];
        for part in [
            ">y<",
            ">direct<",
            ">failed<",
            ">spray<",
            ">12 ms<",
            "ONE_WAY: the peer is heard",
        ] {
            assert!(row.contains(part), "{part} in {row}");
        }
        assert!(row.contains("class=\"got wrong\""));
    }

    #[test]
    fn a_command_is_yes_or_no_and_the_pairs_that_need_openers_are_named() {
        let plain = r#","plain":{"ice":{"outcome":"failed","why":{"code":"E","text":"t"}},
            "openers":{"outcome":"direct","why":{"code":"S","text":"t"}}}}"#;
        let lines = [
            ran("m", "m", "failed", 1, "no")
                .trim_end()
                .trim_end_matches('}')
                .to_owned()
                + plain,
            ran("m", "x", "direct", 1, "yes"),
        ];
        let page = render(&read(&lines, ""));
        assert!(
            page.contains("which an ICE agent does not send: m × m."),
            "{page}"
        );
        for letter in ["Y", "N"] {
            let square = format!("<i class=\"letter\">{letter}</i>");
            assert_eq!(page.matches(&square).count(), 1, "{letter}");
        }
        assert!(!render(&mixed()).contains("<h2>Openers</h2>"));
    }

    #[test]
    fn a_cell_leads_to_the_packets_of_its_run() {
        let mut matrix = mixed();
        matrix.cells[1].packets = vec![(1, "m.packets/a b--c<d/run-1.html".into())];
        let page = render(&matrix);
        let link = "href=\"m.packets/a%20b--c%3Cd/run-1.html\"";
        assert_eq!(
            page.matches(link).count(),
            2,
            "the cell and its row: {page}"
        );
        assert!(!page.contains("href=\"#pair-1\"") && page.contains("href=\"#pair-0\""));
    }

    #[test]
    fn of_several_runs_the_first_that_failed_is_shown() {
        let lines = [
            ran("m", "m", "direct", 1, "yes"),
            ran("m", "m", "direct", 2, "no"),
        ];
        let mut matrix = read(&lines, "");
        matrix.cells[0].packets = vec![(1, "one".into()), (2, "two".into())];
        let page = render(&matrix);
        assert_eq!(page.matches("href=\"two\"").count(), 2);
        assert_eq!(page.matches("href=\"one\"").count(), 1);
    }

    #[test]
    fn no_text_becomes_markup() {
        let page = render(&mixed());
        assert!(
            page.contains("no &lt;answer&gt; &amp; &quot;no&quot; ]]&gt;"),
            "{page}"
        );
        assert!(!page.contains("<b>") && !page.contains("<answer>"));
    }

    #[test]
    fn nothing_is_loaded_and_nothing_runs() {
        let page = render(&mixed());
        for part in [
            "<script", "http:", "https:", "src=", "@import", "url(", "<link",
        ] {
            assert!(!page.contains(part), "{part}");
        }
        assert!(page.contains("prefers-color-scheme: dark"));
        assert!(!STYLE.contains('<'), "the style sheet is not escaped");
    }
}
