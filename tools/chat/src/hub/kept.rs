//! What is kept on disk, sealed to a key of ours: messages to peers that are not there, and what
//! was said.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cli::home::Home;

use super::Hub;
use crate::history::{History, Said};
use crate::notice::Notice;
use crate::pending::Pending;
use crate::sealed::Sealed;

/// How long a change may wait for the disk.
const SAVE: Duration = Duration::from_secs(2);

/// How often peers for which messages wait are called.
const CALL: Duration = Duration::from_secs(60);

/// Files of one name that are set aside.
const MOST_ASIDE: u32 = 100;

/// What is kept.
#[derive(Debug)]
pub struct Kept {
    pending: Pending,
    pending_file: File,
    history: History,
    history_file: File,
    save_at: Option<Instant>,
    call_at: Instant,
    /// Problems with the files, until they are told.
    problems: Vec<String>,
}

/// A file, and whether it has to be written.
#[derive(Debug)]
struct File {
    sealed: Sealed,
    changed: bool,
}

impl File {
    /// Writes it if it has to be. What cannot be written has to be later.
    fn save(&mut self, content: impl FnOnce() -> Vec<u8>) -> anyhow::Result<()> {
        if self.changed {
            self.sealed.save(&content())?;
            self.changed = false;
        }
        Ok(())
    }
}

impl Kept {
    /// What `name` has kept at that server. A file that does not open is set aside.
    ///
    /// # Errors
    /// When the key that the files are sealed to cannot be read or made.
    pub fn load(home: &Home, name: &str, server: SocketAddr) -> anyhow::Result<Kept> {
        let identity = home.disk_key()?;
        let file = |purpose| File {
            sealed: Sealed::new(
                home.kept_path(purpose, name, server),
                identity.clone(),
                purpose,
            ),
            changed: false,
        };
        let (pending_file, history_file) = (file("pending"), file("history"));
        let mut problems = Vec::new();
        let pending = read(&pending_file.sealed, Pending::decode, &mut problems);
        let history = read(&history_file.sealed, History::decode, &mut problems);
        Ok(Kept {
            pending: pending.unwrap_or_default(),
            pending_file,
            history: history.unwrap_or_default(),
            history_file,
            save_at: None,
            call_at: Instant::now(),
            problems,
        })
    }

    fn pending_changed(&mut self, now: Instant) {
        self.pending_file.changed = true;
        self.save_at = Some(self.save_at.unwrap_or(now + SAVE));
    }

    fn history_changed(&mut self, now: Instant) {
        self.history_file.changed = true;
        self.save_at = Some(self.save_at.unwrap_or(now + SAVE));
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.save_at = None;
        let pending = self.pending_file.save(|| self.pending.encode());
        let history = self.history_file.save(|| self.history.encode());
        pending.and(history)
    }

    /// When [`Hub::tend_kept`] has something to do. Nobody can be called before we are
    /// registered.
    pub fn poll_timeout(&self, registered: bool) -> Option<Instant> {
        let calls = registered && !self.pending.is_empty();
        let call_at = calls.then_some(self.call_at);
        [self.save_at, call_at].into_iter().flatten().min()
    }
}

impl Hub {
    /// Keeps on disk what was kept before, and what comes.
    #[must_use]
    pub fn with_kept(mut self, kept: Option<Kept>) -> Hub {
        self.kept = kept;
        self
    }

    /// Saves what has changed, and calls peers for which messages wait.
    pub(super) fn tend_kept(&mut self, now: Instant) {
        let registered = self.network.is_registered();
        let Some(kept) = &mut self.kept else { return };
        for problem in kept.problems.drain(..) {
            self.user.tell(Notice::Problem(problem));
        }
        let dropped = kept.pending.expire(unix());
        if !dropped.is_empty() {
            kept.pending_changed(now);
        }
        if kept.save_at.is_some_and(|at| at <= now)
            && let Err(error) = kept.save()
        {
            kept.save_at = Some(now + CALL);
            self.user.problem(format!("{error:#}"));
        }
        let mut waiting = Vec::new();
        if registered && kept.call_at <= now {
            kept.call_at = now + CALL;
            waiting = kept.pending.peers();
        }
        self.user.tell_dropped(dropped);
        for name in waiting {
            self.call_quietly(now, &name);
        }
    }

    /// Calls a peer, and does not tell if it is not there.
    fn call_quietly(&mut self, now: Instant, name: &str) {
        if let Some(peer) = self.entry(name)
            && peer.conversation.is_idle()
        {
            peer.parted = true;
            peer.contact.role = nat::plan::Role::Caller;
            peer.conversation.open(now);
        }
    }

    /// Keeps a message that was not delivered; gives it back if nothing is kept.
    pub(super) fn keep(&mut self, now: Instant, to: &str, text: String) -> Result<(), String> {
        let Some(kept) = &mut self.kept else {
            return Err(text);
        };
        let dropped = kept.pending.keep(unix(), to, text);
        kept.pending_changed(now);
        self.user.tell_dropped(dropped);
        Ok(())
    }

    /// Tells how many messages wait for that peer.
    pub(super) fn tell_kept(&mut self, to: &str) {
        if let Some(kept) = &self.kept {
            let waiting = kept.pending.iter().filter(|kept| kept.to == to).count();
            let to = to.to_owned();
            self.user.tell(Notice::Kept { to, waiting });
        }
    }

    /// Whether what is said to that peer has to wait behind what is kept for it.
    pub(super) fn waits_behind(&self, to: &str) -> bool {
        let Some(kept) = &self.kept else { return false };
        let is_up = |(name, peer): (&String, &super::Peer)| name == to && peer.conversation.is_up();
        kept.pending.iter().any(|kept| kept.to == to) && !self.peers.iter().any(is_up)
    }

    /// The peer is there.
    pub(super) fn send_kept(&mut self, now: Instant, to: &str) {
        let (Some(kept), Some(peer)) = (&mut self.kept, self.peers.get_mut(to)) else {
            return;
        };
        while peer.conversation.has_room()
            && let Some(text) = kept.pending.next_for(to)
        {
            let _ = peer.conversation.say(now, crate::frame::Item::Text(text));
        }
    }

    /// A message was delivered.
    pub(super) fn kept_delivered(&mut self, now: Instant, to: &str, text: &str) {
        if let Some(kept) = &mut self.kept
            && kept.pending.delivered(to, text)
        {
            kept.pending_changed(now);
        }
    }

    /// A message was said.
    pub(super) fn remember(&mut self, now: Instant, peer: &str, ours: bool, text: &str) {
        if let Some(kept) = &mut self.kept {
            kept.history.add(Said {
                peer: peer.to_owned(),
                ours,
                text: text.to_owned(),
                at: unix(),
            });
            kept.history_changed(now);
        }
    }

    /// `/pending`
    pub(super) fn list_pending(&mut self) {
        let kept = self.kept.as_ref();
        let pending = kept.map(|kept| kept.pending.iter().cloned().collect());
        let now = unix();
        self.user.tell(match pending {
            Some(kept) => Notice::Pending { kept, now },
            None => nothing_is_kept(),
        });
    }

    /// `/resend`
    pub(super) fn resend(&mut self, now: Instant) {
        let peers = self.kept.as_ref().map(|kept| kept.pending.peers());
        match peers {
            None => self.user.tell(nothing_is_kept()),
            Some(peers) if peers.is_empty() => self.user.problem("no message waits"),
            Some(peers) => {
                for name in peers {
                    self.call_quietly(now, &name);
                    if let Some(peer) = self.peers.get_mut(&name) {
                        peer.parted = false; // The user wants to know.
                    }
                }
            }
        }
    }

    /// `/history`
    pub(super) fn show_history(&mut self, count: usize) {
        let peer = self.user.chosen();
        let said = self.kept.as_ref();
        let said = said.map(|kept| kept.history.last(count, peer));
        let now = unix();
        self.user.tell(match said {
            Some(said) => Notice::History { said, now },
            None => nothing_is_kept(),
        });
    }

    /// Saves what is kept; messages that wait were not delivered.
    pub(super) fn close_kept(&mut self) {
        let Some(kept) = &mut self.kept else { return };
        if !kept.pending.is_empty() {
            self.user.fail();
        }
        if (kept.pending_file.changed || kept.history_file.changed)
            && let Err(error) = kept.save()
        {
            self.user.problem(format!("{error:#}"));
        }
    }
}

fn nothing_is_kept() -> Notice {
    Notice::Problem("nothing is kept on disk: start chat with --keep".into())
}

/// Reads a file; one that does not open is set aside.
fn read<T>(
    file: &Sealed,
    decode: fn(&[u8]) -> Result<T, serde_json::Error>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let read = file
        .load()
        .and_then(|bytes| Ok(bytes.as_deref().map(decode).transpose()?));
    read.unwrap_or_else(|error| {
        let path = file.path();
        let moved = match set_aside(path) {
            Ok(aside) => format!("it is {} now", aside.display()),
            Err(error) => format!("it cannot be set aside: {error}"),
        };
        problems.push(format!("cannot use {}: {error:#}; {moved}", path.display()));
        None
    })
}

/// Gives a file another name, which no file has.
fn set_aside(path: &Path) -> std::io::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    for number in 1..=MOST_ASIDE {
        let aside = path.with_file_name(format!(".{name}.unreadable-{number}"));
        // Unlike a rename, a link fails where there is something already.
        match std::fs::hard_link(path, &aside) {
            Ok(()) => return std::fs::remove_file(path).map(|()| aside),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    let problem = format!("there are {MOST_ASIDE} such files already");
    Err(std::io::Error::new(ErrorKind::AlreadyExists, problem))
}

/// Seconds since 1970.
fn unix() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(test: &str) -> Home {
        let path = std::env::temp_dir().join(format!("chat-kept-{test}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Home::at(path)
    }

    fn server(port: u16) -> SocketAddr {
        ([203, 0, 113, 1], port).into()
    }

    #[test]
    fn nothing_is_to_be_done_for_messages_that_wait_before_we_are_registered() {
        let home = home("idle");
        let mut kept = Kept::load(&home, "alice", server(1)).unwrap();
        kept.pending.keep(unix(), "bob", "hello".into());
        assert_eq!(kept.poll_timeout(false), None);
        assert_eq!(kept.poll_timeout(true), Some(kept.call_at));
        std::fs::remove_dir_all(home.path()).unwrap();
    }

    #[test]
    fn a_name_keeps_its_messages_at_each_server_apart() {
        let (home, now) = (home("apart"), Instant::now());
        for port in [1, 2] {
            let mut kept = Kept::load(&home, "alice", server(port)).unwrap();
            kept.pending.keep(unix(), "bob", format!("by {port}"));
            kept.pending_changed(now);
            kept.save().unwrap();
        }
        for port in [1, 2] {
            let kept = Kept::load(&home, "alice", server(port)).unwrap();
            let texts = Vec::from_iter(kept.pending.iter().map(|kept| kept.text.clone()));
            assert_eq!(texts, [format!("by {port}")]);
            assert!(!home.kept_path("history", "alice", server(port)).exists());
        }
        std::fs::remove_dir_all(home.path()).unwrap();
    }

    #[test]
    fn every_file_that_does_not_open_is_set_aside() {
        let home = home("aside");
        let path = home.kept_path("pending", "alice", server(1));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        for damaged in ["one", "two"] {
            std::fs::write(&path, damaged).unwrap();
            let kept = Kept::load(&home, "alice", server(1)).unwrap();
            assert_eq!(kept.problems.len(), 1);
            assert!(!path.exists());
        }
        let aside = |number| {
            let name = format!(".alice@203.0.113.1:1.unreadable-{number}");
            std::fs::read_to_string(path.with_file_name(name)).unwrap()
        };
        assert_eq!([aside(1), aside(2)], ["one", "two"]);
        std::fs::remove_dir_all(home.path()).unwrap();
    }
}
