//! What the user types: a line that begins with a slash is a command, any other
//! is a message.

use std::path::PathBuf;

use crate::typed_path;

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Say this to the chosen peer.
    Say(String),
    /// List the peers.
    Peers,
    /// Open a conversation, and choose it.
    Connect(String),
    /// Choose a peer.
    To(String),
    /// Who we are, and to whom lines go.
    Who,
    /// Offer a file to the chosen peer: the first of these paths that there is.
    Send(Vec<PathBuf>),
    /// Accept the file on offer with that number, else the oldest; or a caller.
    Accept(Which),
    /// Ignore a caller.
    Reject(String),
    /// Decline it.
    Decline(Option<u64>),
    /// How each peer is reached.
    Path,
    /// Enter a room, and tell these peers; or list its members.
    Room(Option<(String, Vec<String>)>),
    /// Leave the room.
    Leave,
    /// List the messages that wait for peers that are not there.
    Pending,
    /// Call these peers now.
    Resend,
    /// Show the last messages with the chosen peer.
    History(Option<u64>),
    /// Compare digits with a peer.
    Verify(String),
    /// Trust a changed key.
    Trust(String),
    /// Leave.
    Quit,
    /// List the commands.
    Help,
}

/// What is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The file that was offered first.
    Oldest,
    /// The file with this number.
    Offer(u64),
    /// The caller of this name.
    Caller(String),
}

/// A line of /help.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// The command.
    pub word: &'static str,
    /// What follows it.
    pub takes: &'static str,
    /// What it does.
    pub does: &'static str,
}

/// Every command.
pub const COMMANDS: [Usage; 18] = [
    usage("/connect", "NAME", "talk to NAME"),
    usage("/to", "NAME", "send your lines to NAME"),
    usage("/peers", "", "list the peers"),
    usage("/who", "", "show how peers reach you"),
    usage("/path", "", "show how you reach each peer"),
    usage(
        "/room",
        "[NAME]",
        "enter the room NAME, or list who is in it",
    ),
    usage("/leave", "", "leave the room"),
    usage("/send", "FILE", "offer a file"),
    usage("/accept", "[N|NAME]", "accept file N, or caller NAME"),
    usage("/decline", "[N]", "decline file N"),
    usage("/reject", "NAME", "ignore a caller until you leave"),
    usage("/verify", "NAME", "compare digits with NAME"),
    usage("/pending", "", "list the messages that wait"),
    usage("/resend", "", "call their peers now"),
    usage("/history", "[N]", "show the last N messages"),
    usage("/trust", "NAME", "trust the new key of NAME"),
    usage("/quit", "", "leave, as Ctrl-D does"),
    usage("/help", "", "show this list"),
];

const fn usage(word: &'static str, takes: &'static str, does: &'static str) -> Usage {
    Usage { word, takes, does }
}

/// What /help shows.
pub fn help() -> String {
    let line = |Usage { word, takes, does }: Usage| {
        let typed = format!("{word} {takes}");
        format!("{typed:<16} {does}\n")
    };
    let all: String = COMMANDS.map(line).concat();
    format!(
        "{all}//TEXT           send /TEXT as a message\nTab completes, ↑ recalls, Alt-Enter begins a line"
    )
}

/// Understands a line; `None` if there is nothing on it.
///
/// # Errors
/// A sentence for the user that says what is wrong.
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
    let (word, typed) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = typed.trim();
    let name = |make: fn(String) -> Command| match rest {
        "" => Err(format!("{word} needs a name: {word} NAME")),
        name if name.contains(char::is_whitespace) => Err(format!("{word} takes one name")),
        name => Ok(make(name.to_owned())),
    };
    let number = |make: fn(Option<u64>) -> Command| match rest {
        "" => Ok(make(None)),
        number => match number.parse() {
            Ok(number) => Ok(make(Some(number))),
            Err(_) => Err(format!("{word} takes a number, not {rest:?}")),
        },
    };
    let alone = |command: Command| match rest {
        "" => Ok(command),
        _ => Err(format!("{word} takes no argument")),
    };
    let command = match word {
        "/connect" => name(Command::Connect),
        "/to" => name(Command::To),
        "/verify" => name(Command::Verify),
        "/trust" => name(Command::Trust),
        "/accept" => match (rest, rest.parse()) {
            ("", _) => Ok(Command::Accept(Which::Oldest)),
            (_, Ok(number)) => Ok(Command::Accept(Which::Offer(number))),
            _ => name(|name| Command::Accept(Which::Caller(name))),
        },
        "/reject" => name(Command::Reject),
        "/decline" => number(Command::Decline),
        "/send" if rest.is_empty() => Err("/send needs a file: /send FILE".into()),
        "/send" => Ok(Command::Send(typed_path::meanings(typed))),
        "/peers" => alone(Command::Peers),
        "/who" => alone(Command::Who),
        "/path" => alone(Command::Path),
        "/room" => {
            // What may be a name is decided where names are known.
            let mut words = rest.split_whitespace().map(str::to_owned);
            let room = words.next();
            Ok(Command::Room(room.map(|room| (room, words.collect()))))
        }
        "/leave" => alone(Command::Leave),
        "/pending" => alone(Command::Pending),
        "/resend" => alone(Command::Resend),
        "/history" => number(Command::History),
        "/quit" | "/exit" => alone(Command::Quit),
        "/help" => alone(Command::Help),
        _ => Err(format!("unknown command {word}; /help lists the commands")),
    };
    command.map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_messages_or_commands() {
        let say = |text: &str| Ok(Some(Command::Say(text.into())));
        assert_eq!(parse("hello  there "), say("hello  there "));
        assert_eq!(parse("//etc"), say("/etc"));
        assert_eq!(parse("  "), Ok(None));
        assert_eq!(parse("\r\n"), Ok(None));
        let path = vec!["a file.txt".into()];
        assert_eq!(parse("/send a file.txt"), Ok(Some(Command::Send(path))));
        let accept = |which| Ok(Some(Command::Accept(which)));
        assert_eq!(parse("/accept"), accept(Which::Oldest));
        assert_eq!(parse("/accept 2"), accept(Which::Offer(2)));
        let carol = || "carol".to_owned();
        assert_eq!(parse("/accept carol"), accept(Which::Caller(carol())));
        assert_eq!(parse("/reject carol"), Ok(Some(Command::Reject(carol()))));
        assert_eq!(parse("/decline 2"), Ok(Some(Command::Decline(Some(2)))));
        assert_eq!(parse("/to bob"), Ok(Some(Command::To("bob".into()))));
        assert_eq!(parse("/room"), Ok(Some(Command::Room(None))));
        let room = Command::Room(Some(("tea".into(), vec!["bob".into(), carol()])));
        assert_eq!(parse("/room tea  bob carol"), Ok(Some(room)));
        for wrong in [
            "/leave tea",
            "/to",
            "/to a b",
            "/accept a b",
            "/reject",
            "/decline x",
            "/send",
            "/nonsense",
            "/who am i",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_command_in_the_help_is_understood() {
        for Usage { word, takes, .. } in COMMANDS {
            let line = format!("{word} {takes}")
                .replace("[N]", "1")
                .replace("[N|NAME]", "1");
            assert!(parse(&line).is_ok(), "{line}");
        }
    }
}
