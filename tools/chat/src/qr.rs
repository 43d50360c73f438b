//! A QR code, drawn with half blocks: two rows of it in a line.

use qrcode::{Color, EcLevel, QrCode};

/// The light margin around the code (ISO/IEC 18004 §6.3.8 wants four modules).
const MARGIN: usize = 4;

/// Black on white, whatever the terminal's colours are: readers do not all take the
/// inverse.
const COLOURS: &str = "\x1b[30;107m";
const PLAIN: &str = "\x1b[0m";

/// The lines that show that text; `None` if it does not fit into so many columns.
pub fn draw(text: &str, columns: usize) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let width = code.width() + 2 * MARGIN;
    if width > columns {
        return None;
    }
    let dark = |x: usize, y: usize| {
        let inside = |n: usize| (MARGIN..MARGIN + code.width()).contains(&n);
        inside(x) && inside(y) && code[(x - MARGIN, y - MARGIN)] == Color::Dark
    };
    let mut lines = String::new();
    for y in (0..width).step_by(2) {
        lines.push_str(COLOURS);
        lines.extend((0..width).map(|x| match (dark(x, y), dark(x, y + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        }));
        lines.push_str(PLAIN);
        lines.push('\n');
    }
    Some(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The address of the longest name.
    fn longest() -> String {
        format!("{}#{}", "n".repeat(32), "0a".repeat(32))
    }

    #[test]
    fn every_address_fits_into_a_terminal_of_eighty_columns_and_not_into_a_narrow_one() {
        let drawn = draw(&longest(), 80).unwrap();
        let widths = drawn.lines().map(|line| {
            let line = line.strip_prefix(COLOURS).unwrap();
            line.strip_suffix(PLAIN).unwrap().chars().count()
        });
        let widths: Vec<usize> = widths.collect();
        assert!(
            widths
                .iter()
                .all(|width| *width == widths[0] && *width <= 80)
        );
        assert_eq!(widths.len(), widths[0].div_ceil(2), "square");
        assert_eq!(draw(&longest(), widths[0] - 1), None);
        assert!(draw(&longest(), widths[0]).is_some());
    }

    #[test]
    fn what_is_drawn_is_the_code_module_by_module() {
        let code = QrCode::with_error_correction_level(longest(), EcLevel::L).unwrap();
        let drawn = draw(&longest(), 80).unwrap();
        let rows: Vec<Vec<char>> = drawn
            .lines()
            .map(|line| {
                line[COLOURS.len()..line.len() - PLAIN.len()]
                    .chars()
                    .collect()
            })
            .collect();
        for y in 0..code.width() {
            for x in 0..code.width() {
                let (row, half) = ((y + MARGIN) / 2, (y + MARGIN) % 2);
                let halves = match rows[row][x + MARGIN] {
                    '█' => [true, true],
                    '▀' => [true, false],
                    '▄' => [false, true],
                    _ => [false, false],
                };
                assert_eq!(halves[half], code[(x, y)] == Color::Dark, "{x} {y}");
            }
        }
    }
}
