//! Text in files.

use cli::address::{PeerAddress, ServerAddress};
use cli::keylist::KeyList;
use cli::options::Options;

use crate::input::Choices;

/// The files in a peer's folder, `config.toml` and `known-peers`, and addresses with keys.
pub(crate) fn home_files(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Options::parse(&text);
    let _ = (text.parse::<ServerAddress>(), text.parse::<PeerAddress>());
    if let Some(known) = KeyList::parse(&text) {
        let hex = |key: &[u8; 32]| {
            key.iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
        };
        let lines = known
            .iter()
            .map(|(name, key)| format!("{name} {}\n", hex(key)));
        let again = KeyList::parse(&lines.collect::<String>());
        // A name that begins with "#" would be a comment.
        if known.keys().all(|name| !name.starts_with('#')) {
            assert_eq!(again.as_ref(), Some(&known));
        }
    }
}

/// The input of labreport: cells of a matrix, a report of natprobe, lines of a table.
pub(crate) fn labreport(data: &[u8]) {
    let mut choices = Choices::new(data);
    let columns = choices.of(&["name", "name pid:number up:truth", "a:number b:truth c"]);
    let types = choices.of(&["", "open full-cone"]);
    let text = String::from_utf8_lossy(choices.rest());
    labreport::fuzzing::matrix(&text, types);
    labreport::fuzzing::report(&text);
    labreport::fuzzing::lines(&text, columns);
}
