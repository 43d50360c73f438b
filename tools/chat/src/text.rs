//! Text that peers wrote, made safe to show.

/// Replaces the characters that a terminal would act on, or that would change
/// the reading direction of what follows, by U+FFFD.
pub fn clean(text: &str) -> String {
    let safe = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c => c,
    };
    text.chars().map(safe).collect()
}

/// The same for text of several lines, which stay.
pub fn clean_lines(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| clean(line.trim_end_matches('\r')));
    lines.collect::<Vec<_>>().join("\n")
}

/// The same in one line, with its newlines shown.
pub fn one_line(text: &str) -> String {
    let lines = clean_lines(text);
    lines.replace('\n', "⏎")
}

/// The beginning of a message, for a notice about it.
pub fn beginning(text: &str) -> String {
    const MOST: usize = 40;
    let line = text.lines().next().unwrap_or_default();
    let clean = clean(line);
    match clean.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None if line.len() < text.len() => format!("{clean}…"),
        None => clean,
    }
}

/// As much of a text as has at most so many bytes.
pub fn cut(text: &str, most: usize) -> &str {
    let mut ends = (0..=most.min(text.len())).rev();
    let end = ends.find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// As much of a line as fits into `columns`. A character that may be wide counts
/// as wide.
pub fn clip(line: &str, columns: usize) -> &str {
    let mut left = columns;
    let mut fits = |c: char| {
        let narrow = c.is_ascii() || ('\u{2500}'..='\u{259f}').contains(&c);
        left = left.checked_sub(if narrow { 1 } else { 2 })?;
        Some(())
    };
    let end = line.char_indices().find(|(_, c)| fits(*c).is_none());
    end.map_or(line, |(end, _)| &line[..end])
}

/// Bytes, for people.
pub fn size(bytes: u64) -> String {
    indicatif::HumanBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        let nasty = "\u{1b}]0;title\u{7}\u{9b}31mred\r\nnext\u{202e}";
        let cleaned = clean(nasty);
        assert!(!cleaned.chars().any(char::is_control), "{cleaned:?}");
        assert!(!cleaned.contains('\u{202e}'));
        assert_eq!(clean("größe 👋🏽 ok"), "größe 👋🏽 ok");
    }

    #[test]
    fn a_message_of_several_lines_is_shown_in_one() {
        assert_eq!(one_line("one\r\ntwo\u{7}"), "one⏎two\u{fffd}");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!((cut("éé", 9), cut("éé", 3), cut("éé", 1)), ("éé", "é", ""));
    }

    #[test]
    fn a_line_is_clipped_to_the_width_of_the_terminal() {
        assert_eq!(clip("short", 5), "short");
        assert_eq!(clip("longer", 5), "longe");
        assert_eq!(clip("▕██▏ä", 5), "▕██▏");
        assert_eq!(clip("👋👋", 3), "👋");
    }

    #[test]
    fn the_beginning_of_a_long_message_has_forty_characters() {
        assert_eq!(beginning("short"), "short");
        assert_eq!(beginning("one\ntwo"), "one…");
        assert_eq!(beginning(&"é".repeat(100)).chars().count(), 41);
    }
}
