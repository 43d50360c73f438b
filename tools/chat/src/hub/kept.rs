//! What is kept on disk, sealed to our key: messages to peers that are not there, and what was
//! said.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use session::identity::Identity;

use super::Hub;
use crate::history::{History, Said};
use crate::notice::Notice;
use crate::pending::Pending;
use crate::sealed::Sealed;

/// How long a change may wait for the disk.
const SAVE: Duration = Duration::from_secs(2);

/// How often peers for which messages wait are called.
const CALL: Duration = Duration::from_secs(60);

/// What is kept.
#[derive(Debug)]
pub struct Kept {
    pending: Pending,
    pending_file: Sealed,
    history: History,
    history_file: Sealed,
    save_at: Option<Instant>,
    call_at: Option<Instant>,
    /// Problems with the files, until they are told.
    problems: Vec<String>,
}

impl Kept {
    /// What `name` has kept in the folder `home`. A file that does not open is set aside.
    pub fn load(home: &Path, name: &str, identity: &Identity) -> Kept {
        let file = |purpose| Sealed::new(home.join(purpose).join(name), identity.clone(), purpose);
        let (pending_file, history_file) = (file("pending"), file("history"));
        let mut problems = Vec::new();
        let pending = read(&pending_file, Pending::decode, &mut problems);
        let history = read(&history_file, History::decode, &mut problems);
        Kept {
            pending: pending.unwrap_or_default(),
            pending_file,
            history: history.unwrap_or_default(),
            history_file,
            save_at: None,
            call_at: Some(Instant::now()),
            problems,
        }
    }

    fn changed(&mut self, now: Instant) {
        self.save_at = Some(self.save_at.unwrap_or(now + SAVE));
    }

    fn save(&mut self) -> anyhow::Result<()> {
        self.save_at = None;
        self.pending_file.save(&self.pending.encode())?;
        self.history_file.save(&self.history.encode())
    }

    /// When [`Hub::tend_kept`] has something to do.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let call_at = self.call_at.filter(|_| !self.pending.is_empty());
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
            kept.changed(now);
        }
        if kept.save_at.is_some_and(|at| at <= now)
            && let Err(error) = kept.save()
        {
            self.user.problem(format!("{error:#}"));
        }
        let mut waiting = Vec::new();
        if registered && kept.call_at.is_some_and(|at| at <= now) {
            kept.call_at = Some(now + CALL);
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
        kept.changed(now);
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
            kept.changed(now);
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
            kept.changed(now);
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
        if kept.save_at.is_some()
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
        let aside = path.with_file_name(format!(
            ".{}.unreadable",
            path.file_name().unwrap_or_default().to_string_lossy()
        ));
        let moved = match std::fs::rename(path, &aside) {
            Ok(()) => format!("it is {} now", aside.display()),
            Err(error) => format!("it cannot be set aside: {error}"),
        };
        problems.push(format!("cannot use {}: {error:#}; {moved}", path.display()));
        None
    })
}

/// Seconds since 1970.
fn unix() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
