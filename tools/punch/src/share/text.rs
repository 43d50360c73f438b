//! What became of the packets between the two hosts, for people.

use std::fmt::Write;

use cli::stdout;
use journey::clock::Offset;
use journey::{Trace, ladder};

use crate::report::WIDTH;

/// All of it, without a line break at the end.
pub fn of(trace: &Trace, offset: Option<Offset>, alone: Option<&str>) -> String {
    let mut text = String::from("What became of the packets between the two hosts:\n");
    if let Some(alone) = alone {
        let said = format!("Only this side is shown: {alone}.");
        text.push_str(&textwrap::fill(&said, WIDTH));
        text.push('\n');
    }
    if let Some(offset) = offset {
        let error = offset.error_us as f64 / 1e3;
        let _ = writeln!(
            text,
            "The clocks of the two hosts are aligned to ±{error:.1} ms."
        );
    }
    text.push('\n');
    text.push_str(&ladder::render(trace, &options()));
    text.truncate(text.trim_end().len());
    text
}

/// As wide as the terminal, and in colour there.
fn options() -> ladder::Options {
    let usual = ladder::Options::default();
    ladder::Options {
        width: stdout::columns().unwrap_or(usual.width),
        colour: stdout::colours(),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_how_well_the_clocks_are_aligned_and_why_one_side_is_missing() {
        let offset = Offset {
            us: 5_000_000,
            error_us: 1_234,
        };
        let text = of(&Trace::default(), Some(offset), None);
        assert!(text.contains("aligned to ±1.2 ms."), "{text}");
        let text = of(&Trace::default(), None, Some("bob shares nothing"));
        assert!(
            text.contains("Only this side is shown: bob shares nothing."),
            "{text}"
        );
        assert!(!text.contains("clocks"), "{text}");
    }
}
