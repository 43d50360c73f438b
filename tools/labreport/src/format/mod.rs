//! A matrix in each format, as text.

pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod table;

/// Escapes what has a meaning in XML and HTML, and drops what neither may hold.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\t' | '\n' => escaped.push(' '),
            character if character.is_control() => {}
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn markup_and_control_characters_are_harmless() {
        assert_eq!(
            super::escape("<b a='1'>&\"\u{1b}[1m\n</b>"),
            "&lt;b a=&#39;1&#39;&gt;&amp;&quot;[1m &lt;/b&gt;"
        );
    }
}
