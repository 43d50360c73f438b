//! What the user types: commands begin with a slash, everything else is said.

use std::path::PathBuf;

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Say this to the chosen peer.
    Say(String),
    /// Who is known, and who is connected.
    Peers,
    /// Open a conversation, and choose it.
    Connect(String),
    /// Choose a peer.
    To(String),
    /// Who we are, and to whom lines go.
    Who,
    /// Offer a file to the chosen peer.
    Send(PathBuf),
    /// Take a file on offer: the one of that number, else the oldest.
    Accept(Option<u64>),
    /// Do not.
    Decline(Option<u64>),
    /// How each peer is reached.
    Path,
    /// The words to compare with a peer.
    Verify(String),
    /// Believe a changed key.
    Trust(String),
    /// Leave.
    Quit,
    /// What there is to type.
    Help,
}

/// Every command, what it takes, what it does.
pub const COMMANDS: [(&str, &str, &str); 12] = [
    (
        "/connect",
        "NAME",
        "open a conversation with NAME and choose it",
    ),
    ("/to", "NAME", "what you type goes to NAME from now on"),
    ("/peers", "", "who is known, and who is connected"),
    ("/who", "", "who you are, and to whom you talk"),
    ("/path", "", "how each peer is reached, and why so"),
    ("/send", "FILE", "offer a file"),
    ("/accept", "[N]", "take a file that is on offer"),
    ("/decline", "[N]", "do not"),
    (
        "/verify",
        "NAME",
        "digits to compare with NAME over another channel",
    ),
    ("/trust", "NAME", "believe the key that NAME has now"),
    ("/quit", "", "leave"),
    (
        "/help",
        "",
        "this; a line that begins with // is said with one /",
    ),
];

/// Understands a line; `None` if there is nothing on it.
///
/// # Errors
/// What is wrong with it, for the user.
pub fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim_end_matches(['\r', '\n']);
    if line.trim().is_empty() {
        return Ok(None);
    }
    if let Some(said) = line.strip_prefix("//") {
        return Ok(Some(Command::Say(format!("/{said}"))));
    }
    if !line.starts_with('/') {
        return Ok(Some(Command::Say(line.to_owned())));
    }
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let name = |make: fn(String) -> Command| match rest {
        "" => Err(format!("{word} wants a name")),
        name if name.contains(char::is_whitespace) => Err(format!("{word} wants one name")),
        name => Ok(make(name.to_owned())),
    };
    let number = |make: fn(Option<u64>) -> Command| match rest {
        "" => Ok(make(None)),
        number => match number.parse() {
            Ok(number) => Ok(make(Some(number))),
            Err(_) => Err(format!("{word} wants a number, not {rest:?}")),
        },
    };
    let alone = |command: Command| match rest {
        "" => Ok(command),
        _ => Err(format!("{word} takes nothing")),
    };
    let command = match word {
        "/connect" => name(Command::Connect),
        "/to" => name(Command::To),
        "/verify" => name(Command::Verify),
        "/trust" => name(Command::Trust),
        "/accept" => number(Command::Accept),
        "/decline" => number(Command::Decline),
        "/send" if rest.is_empty() => Err("/send wants a file".into()),
        "/send" => Ok(Command::Send(PathBuf::from(rest))),
        "/peers" => alone(Command::Peers),
        "/who" => alone(Command::Who),
        "/path" => alone(Command::Path),
        "/quit" | "/exit" => alone(Command::Quit),
        "/help" => alone(Command::Help),
        _ => Err(format!("there is no {word}; /help says what there is")),
    };
    command.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn said_or_done() {
        let say = |text: &str| Ok(Some(Command::Say(text.into())));
        assert_eq!(parse("hello  there "), say("hello  there "));
        assert_eq!(parse("//etc"), say("/etc"));
        assert_eq!(parse("  "), Ok(None));
        assert_eq!(parse("\r\n"), Ok(None));
        assert_eq!(
            parse("/send a file.txt"),
            Ok(Some(Command::Send("a file.txt".into())))
        );
        assert_eq!(parse("/accept"), Ok(Some(Command::Accept(None))));
        assert_eq!(parse("/accept 2"), Ok(Some(Command::Accept(Some(2)))));
        assert_eq!(parse("/to bob"), Ok(Some(Command::To("bob".into()))));
        for wrong in [
            "/to",
            "/to a b",
            "/accept x",
            "/send",
            "/nonsense",
            "/who am i",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_command_is_understood() {
        for (word, takes, _) in COMMANDS {
            let line = format!("{word} {takes}").replace("[N]", "1");
            assert!(parse(&line).is_ok(), "{line}");
        }
    }
}
