use std::num::NonZeroU16;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::terminal::entry::Mark;

fn size(cells: u16) -> NonZeroU16 {
    NonZeroU16::new(cells).unwrap()
}

/// A surface and a terminal that shows it.
struct Shown {
    surface: Surface,
    terminal: vt100::Parser,
    inputs: Vec<Input>,
}

impl Shown {
    fn new(columns: u16, rows: u16) -> Shown {
        let display = Display::new(columns.into(), rows.into(), false);
        let names = Names::default();
        names.lock().unwrap().extend(["bob".into(), "bobby".into()]);
        let mut shown = Shown {
            surface: Surface::new(display, names),
            terminal: vt100::Parser::new(size(rows), size(columns), 10_000),
            inputs: Vec::new(),
        };
        shown.surface.display.set_prompt("bob> ".into());
        shown
    }

    fn type_in(&mut self, text: &str) {
        let typed = self.surface.type_in(text.as_bytes(), "12:03");
        self.inputs.extend(typed.inputs);
        self.draw();
    }

    fn tell(&mut self, body: &str) {
        self.surface.tell("12:03", Head::Notice, body.into());
        self.draw();
    }

    fn say(&mut self, number: u64, body: &str) {
        let entry = Entry {
            time: "12:03".into(),
            head: Head::To("bob".into(), Mark::Waits),
            body: body.into(),
        };
        self.surface.display.said(entry, number);
        self.draw();
    }

    fn delivered(&mut self, number: u64) -> bool {
        let mark = Mark::Delivered(Duration::ZERO);
        self.surface.display.delivered("12:03", "bob", number, mark)
    }

    fn draw(&mut self) {
        let text = self.surface.display.render();
        self.terminal.process(text.as_bytes());
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.terminal
            .screen_mut()
            .set_size(size(rows), size(columns));
        self.surface.display.resize(columns.into(), rows.into());
        self.draw();
    }

    /// The rows, and a bar where the cursor is.
    fn rows(&self) -> Vec<String> {
        let screen = self.terminal.screen();
        let ((rows, columns), cursor) = (screen.size(), screen.cursor_position());
        let mut shown = Vec::new();
        for row in 0..rows.get() {
            let mut text = String::new();
            for column in 0..columns.get() {
                if (row, column) == cursor {
                    text.push('|');
                }
                match screen.cell(row, column) {
                    Some(cell) if cell.is_wide_continuation() => {}
                    Some(cell) if cell.has_contents() => text.push_str(cell.contents()),
                    _ => text.push(' '),
                }
            }
            shown.push(text.trim_end().to_owned());
        }
        while shown.last().is_some_and(String::is_empty) {
            shown.pop();
        }
        shown
    }
}

#[test]
fn a_message_to_a_room_tells_how_many_have_it() {
    let mut shown = Shown::new(40, 12);
    let mut say = |number, body: &str| {
        let entry = Entry {
            time: "12:03".into(),
            head: Head::To("#tea".into(), Mark::Part { has: 0, of: 3 }),
            body: body.into(),
        };
        shown.surface.display.said(entry, number);
    };
    say(1, "all");
    say(2, "some");
    let mut mark = |number, mark, row: &str| {
        let display = &mut shown.surface.display;
        assert!(display.delivered("12:04", "#tea", number, mark));
        shown.draw();
        let rows = shown.rows();
        assert!(rows.iter().any(|shown| shown == row), "{row}: {rows:?}");
    };
    let part = |has| Mark::Part { has, of: 3 };
    mark(1, part(1), "12:03 → #tea: all … 1/3");
    mark(2, part(2), "12:03 → #tea: some … 2/3");
    mark(1, Mark::All(3, Duration::ZERO), "12:03 → #tea: all ✓ 3/3");
    mark(2, Mark::Short { has: 2, of: 3 }, "12:03 → #tea: some ✗ 2/3");
}

#[test]
fn a_message_to_a_room_that_was_drawn_for_good_is_told_where_somebody_has_not_got_it() {
    let mut shown = Shown::new(40, 8);
    let part = |has| Mark::Part { has, of: 2 };
    for number in 1..6 {
        let entry = Entry {
            time: "12:03".into(),
            head: Head::To("#tea".into(), part(0)),
            body: format!("line {number}"),
        };
        shown.surface.display.said(entry, number);
        shown.draw();
    }
    let display = &mut shown.surface.display;
    let mut mark = |number, mark| display.delivered("12:04", "#tea", number, mark);
    assert!(mark(1, part(1)), "nothing of it is told yet");
    assert!(!mark(1, Mark::Short { has: 1, of: 2 }));
    assert!(mark(2, Mark::All(2, Duration::ZERO)), "it is counted");
}

#[test]
fn a_message_that_is_kept_waits_for_no_mark() {
    let mut shown = Shown::new(40, 8);
    for number in 0..4 {
        shown.say(number, &format!("line {number}"));
    }
    shown.surface.display.kept("bob");
    shown.draw();
    let marked = |n| format!("12:03 → bob: line {n} (kept)");
    assert!(shown.rows().contains(&marked(2)) && shown.rows().contains(&marked(3)));
    assert!(
        !shown.delivered(0),
        "no mark of it is waited for: it has to be told"
    );
    // What is said from now on has marks as before.
    shown.say(4, "again");
    assert!(shown.delivered(4));
}

#[test]
fn the_prompt_is_below_what_is_told_and_the_cursor_is_in_it() {
    let mut shown = Shown::new(40, 10);
    shown.draw();
    assert_eq!(shown.rows(), ["bob> |"]);
    shown.type_in("half a li");
    shown.tell("carol is connected");
    assert_eq!(
        shown.rows(),
        ["12:03 * carol is connected", "bob> half a li|"]
    );
    shown.type_in("ne\x1b[D\x1b[D");
    assert_eq!(shown.rows()[1], "bob> half a li|ne");
    shown.surface.display.set_prompt("carol> ".into());
    shown.draw();
    assert_eq!(shown.rows()[1], "carol> half a li|ne");
    shown.type_in("\r");
    assert_eq!(shown.inputs, [Input::Line("half a line".into())]);
    assert_eq!(shown.rows(), ["12:03 * carol is connected", "carol> |"]);
}

#[test]
fn a_message_is_marked_where_it_stands() {
    let mut shown = Shown::new(40, 20);
    shown.say(1, "one");
    shown.say(2, "two");
    shown.tell("a notice");
    let third = "12:03 * a notice";
    assert_eq!(
        shown.rows(),
        ["12:03 → bob: one …", "12:03 → bob: two …", third, "bob> |"]
    );
    assert!(shown.delivered(1));
    shown.draw();
    let waits = "12:03 → bob: two …";
    assert_eq!(shown.rows(), ["12:03 → bob: one ✓", waits, third, "bob> |"]);
    assert!(shown.surface.display.lost("bob", "two"));
    shown.draw();
    let lost = "12:03 → bob: two ✗";
    assert_eq!(shown.rows(), ["12:03 → bob: one ✓", lost, third, "bob> |"]);
    assert!(!shown.delivered(1), "it is drawn for good");
    // Many wait: the first ones are drawn as they are, and counted when all are there.
    for number in 10..30 {
        shown.say(number, "more");
    }
    for number in 10..30 {
        assert!(shown.delivered(number));
    }
    shown.draw();
    let rows = shown.rows().join("\n");
    let counted = "12:03 * ✓ bob has the 15 messages above\n        that had no mark\nbob> |";
    assert!(rows.ends_with(counted), "{rows}");
    // One alone is named by the caller.
    for number in 40..46 {
        shown.say(number, "more");
    }
    assert!(!shown.delivered(40));
}

#[test]
fn bars_stand_above_the_prompt_and_go_without_a_trace() {
    let mut shown = Shown::new(20, 20);
    let bars = |bars: &[&str]| bars.iter().map(ToString::to_string).collect();
    shown.surface.display.set_bars(bars(&["one 1", "two 1"]));
    shown.tell("a");
    assert_eq!(shown.rows(), ["12:03 * a", "one 1", "two 1", "bob> |"]);
    shown
        .surface
        .display
        .set_bars(bars(&["a bar that is wider than the terminal"]));
    shown.type_in("x");
    assert_eq!(
        shown.rows(),
        ["12:03 * a", "a bar that is wider", "bob> x|"]
    );
    shown.surface.display.set_bars(Vec::new());
    shown.tell("b");
    assert_eq!(shown.rows(), ["12:03 * a", "12:03 * b", "bob> x|"]);
}

#[test]
fn a_long_line_wraps_and_only_the_part_around_the_cursor_is_shown() {
    let mut shown = Shown::new(11, 8);
    shown.type_in("0123456789abcdef");
    assert_eq!(shown.rows(), ["bob> 01234", "56789abcde", "f|"]);
    shown.type_in(&"x".repeat(100));
    assert_eq!(shown.rows().len(), 4);
    shown.type_in("\x01");
    assert_eq!(shown.rows()[0], "bob> |01234");
    shown.type_in("\x03");
    assert_eq!(shown.rows(), ["bob> |"]);
    shown.type_in("👋👋👋");
    assert_eq!(shown.rows(), ["bob> 👋👋", "👋|"]);
}

#[test]
fn another_width_leaves_no_remains() {
    let mut shown = Shown::new(40, 10);
    shown.tell("above");
    shown.type_in("some words that fill most of a row");
    shown.resize(60, 12);
    assert_eq!(
        shown.rows(),
        ["12:03 * above", "bob> some words that fill most of a row|"]
    );
    shown.type_in("\x03");
    assert_eq!(shown.rows(), ["12:03 * above", "bob> |"]);
}

#[test]
fn tab_completes_and_then_shows_the_choices() {
    let mut shown = Shown::new(40, 10);
    shown.type_in("/conn\tbobb\t\r");
    assert_eq!(shown.inputs, [Input::Line("/connect bobby ".into())]);
    shown.type_in("/to b\t");
    assert_eq!(shown.rows().last().unwrap(), "bob> /to bob|");
    shown.type_in("\t");
    assert!(shown.rows().contains(&"12:03 * bob  bobby".to_owned()));
}

#[test]
fn pasted_lines_are_lines_or_one_message_and_none_is_lost() {
    let lines: Vec<String> = (0..40).map(|n| format!("line {n}")).collect();
    let input = |line: &String| Input::Line(line.clone());
    let mut plain = Shown::new(80, 24);
    plain.type_in(&(lines.join("\r") + "\r"));
    assert_eq!(plain.inputs, lines.iter().map(input).collect::<Vec<_>>());
    let mut bracketed = Shown::new(80, 24);
    bracketed.type_in(&format!("\x1b[200~{}\r\x1b[201~", lines.join("\r")));
    assert!(bracketed.inputs.is_empty(), "it can be edited first");
    assert!(bracketed.rows().iter().any(|row| row.contains("line 38⏎")));
    bracketed.type_in("\r");
    assert_eq!(bracketed.inputs, [Input::Line(lines.join("\n"))]);
    let mut commands = Shown::new(80, 24);
    commands.type_in("\x1b[200~/connect bob\rhello\x1b[201~\r");
    let expected = ["/connect bob", "hello"].map(|line| Input::Line(line.into()));
    assert_eq!(commands.inputs, expected);
}

#[test]
fn text_that_is_longer_than_a_message_is_several() {
    let lines = format!("{}\n", "x".repeat(999)).repeat(200);
    let entered = inputs(lines.clone());
    let text = |input: &Input| match input {
        Input::Line(line) => line.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(entered.len(), 4);
    let joined = entered.iter().map(text).collect::<Vec<_>>().join("\n");
    assert!(joined == lines.trim_end());
    assert_eq!(inputs("y".repeat(MOST_TEXT + 1)), [Input::TooLong]);
}

#[test]
fn what_a_stopped_terminal_does_not_take_is_counted() {
    let mut shown = Shown::new(80, 24);
    for n in 0..5000 {
        shown
            .surface
            .tell("12:03", Head::Notice, format!("notice {n}"));
    }
    shown.draw();
    shown.tell("later");
    let rows = shown.rows();
    assert_eq!(rows[rows.len() - 2], "12:03 * later");
    assert_eq!(
        rows[rows.len() - 3],
        "12:03 * the terminal took nothing: 904 notices dropped"
    );
}

proptest! {
    /// Whatever happens in whatever order, the screen is as one would draw it at once.
    #[test]
    fn drawing_step_by_step_is_drawing_at_once(
        steps in prop::collection::vec((0..7u8, "[a-z 👋é]{0,60}", 0..6u64), 1..40),
        columns in 12..60u16,
    ) {
        let mut shown = Shown::new(columns, 24);
        for (what, text, number) in steps {
            match what {
                0 => shown.type_in(&text),
                1 => shown.type_in("\x1b[D\x1b[D"),
                2 => shown.type_in("\r"),
                3 => shown.tell(&text),
                4 => shown.say(number, &text),
                5 => { shown.delivered(number); shown.draw(); }
                _ => shown.surface.display.set_bars(vec![text; number as usize % 3]),
            }
        }
        shown.draw();
        let step_by_step = shown.rows();
        shown.surface.display.redraw();
        shown.draw();
        prop_assert_eq!(shown.rows(), step_by_step);
    }
}
