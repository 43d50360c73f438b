//! The terminal: a prompt with a line being edited, and what is told above it.
//!
//! [`keys`] understands the bytes that come, [`editor`] has the line, [`complete`] knows
//! what Tab may mean, [`entry`] lays out one thing to tell, [`display`] knows what stands
//! where. [`surface`] joins them, and none of them has a file, a clock or a thread.
//!
//! Here are the hands: a thread reads, and a thread writes, so that a terminal that takes
//! nothing stops neither the conversation nor the reader. The terminal is raw from the
//! start to the end, so nothing that is typed ahead is lost.

mod complete;
mod display;
mod editor;
pub mod entry;
mod keys;
mod surface;

use std::io::{self, BufRead, Write};
use std::os::fd::AsFd;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, raise};
use nix::sys::termios::{
    InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr,
    tcsetattr,
};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::clock;
use crate::input::{Input, Names};
use display::Display;
use entry::{Entry, Mark};
use surface::Surface;

/// How long the end waits for a terminal that takes nothing.
const FLUSH: Duration = Duration::from_millis(500);

/// How long Escape waits for the rest of a sequence, in milliseconds.
const ESCAPE: u8 = 50;

/// Pasted text is told from typed text.
const BRACKETED: &str = "\x1b[?2004h";
const NOT_BRACKETED: &str = "\x1b[?2004l";

/// The terminal, until it is dropped.
pub struct Terminal {
    shared: Arc<Shared>,
    /// Disconnected when all is written.
    written: Receiver<()>,
    before: Termios,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The settings of the terminal, before and now.
struct Modes {
    before: Termios,
    raw: Termios,
}

struct State {
    surface: Surface,
    changed: bool,
    ended: bool,
    /// Nothing can be written any more.
    gone: bool,
}

impl Terminal {
    /// Takes the terminal over; returns what is typed.
    ///
    /// # Errors
    /// When this is no terminal.
    pub fn start(names: Names, colours: bool) -> io::Result<(Terminal, mpsc::Receiver<Input>)> {
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.input_flags &= !(InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IGNCR);
        raw.local_flags &=
            !(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        raw.output_flags |= OutputFlags::OPOST | OutputFlags::ONLCR;
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        // What was typed ahead stays.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        let (columns, rows) = size();
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                surface: Surface::new(Display::new(columns, rows, colours), names),
                changed: true,
                ended: false,
                gone: false,
            }),
            changed: Condvar::new(),
        });
        let mut resized = signal(SignalKind::window_change())?;
        let told = Arc::clone(&shared);
        tokio::spawn(async move {
            while resized.recv().await.is_some() {
                let (columns, rows) = size();
                told.change(|surface| surface.display.resize(columns, rows));
            }
        });
        let (writing, written) = sync_channel(0);
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || {
            let _writing = writing;
            if writer.write().is_err() {
                writer.lock().gone = true;
            }
        });
        let (typed, lines) = mpsc::channel(1);
        let reader = Arc::clone(&shared);
        let modes = Modes {
            before: before.clone(),
            raw,
        };
        std::thread::spawn(move || reader.read(&typed, &modes));
        let terminal = Terminal {
            shared,
            written,
            before,
        };
        Ok((terminal, lines))
    }

    /// Shows an entry.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn tell(&self, entry: Entry) -> io::Result<()> {
        self.change(|surface| surface.display.tell(entry))
    }

    /// Shows a message of ours, which has that number.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn said(&self, entry: Entry, number: u64) -> io::Result<()> {
        self.change(|surface| surface.display.said(entry, number))
    }

    /// Marks a message of ours that was delivered, or that some in a room have; false if a notice has to say so.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn delivered(&self, to: &str, number: u64, mark: Mark) -> io::Result<bool> {
        let time = clock::time();
        self.change(|surface| surface.display.delivered(&time, to, number, mark))
    }

    /// Marks a message of ours that was not delivered; false if a notice has to say so.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn lost(&self, to: &str, text: &str) -> io::Result<bool> {
        self.change(|surface| surface.display.lost(to, text))
    }

    /// Marks every message to that peer that waits as kept on disk.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn kept(&self, to: &str) -> io::Result<()> {
        self.change(|surface| surface.display.kept(to))
    }

    /// Shows this prompt.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn set_prompt(&self, prompt: String) -> io::Result<()> {
        self.change(|surface| surface.display.set_prompt(prompt))
    }

    /// Shows these bars in place of the last.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn set_bars(&self, bars: Vec<String>) -> io::Result<()> {
        self.change(|surface| surface.display.set_bars(bars))
    }

    /// How many bars there are.
    pub fn bars(&self) -> usize {
        self.shared.lock().surface.display.bars()
    }

    /// The terminal's width.
    pub fn columns(&self) -> usize {
        self.shared.lock().surface.display.columns()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Surface) -> T) -> io::Result<T> {
        if self.shared.lock().gone {
            return Err(io::Error::other("the terminal is gone"));
        }
        Ok(self.shared.change(change))
    }
}

impl Drop for Terminal {
    /// Waits until all is written, and leaves the terminal as it was.
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.change(|surface| surface.display.set_line(None));
        let _ = self.written.recv_timeout(FLUSH);
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Surface) -> T) -> T {
        let mut state = self.lock();
        state.changed = true;
        let changed = change(&mut state.surface);
        self.changed.notify_one();
        changed
    }

    /// Writes what has changed, until the end.
    fn write(&self) -> io::Result<()> {
        put(&mut io::stdout().lock(), BRACKETED)?;
        loop {
            let unchanged = |state: &mut State| !state.changed && !state.ended;
            let state = self.changed.wait_while(self.lock(), unchanged);
            drop(state);
            // Whoever writes has this lock, and takes the other meanwhile.
            let mut stdout = io::stdout().lock();
            let mut state = self.lock();
            state.changed = false;
            let (text, ended) = (state.surface.display.render(), state.ended);
            drop(state);
            put(&mut stdout, &text)?;
            if ended {
                return put(&mut stdout, NOT_BRACKETED);
            }
        }
    }

    /// Reads keys until nobody wants lines any more. A line waits here until the last is
    /// dealt with, and what comes after it in the terminal's own buffer.
    fn read(&self, lines: &mpsc::Sender<Input>, modes: &Modes) {
        // Standard input has a buffer: the questions at the start may have filled it.
        let mut stdin = io::stdin().lock();
        loop {
            if self.lock().surface.waits() {
                let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
                if poll(&mut fds, PollTimeout::from(ESCAPE)) == Ok(0) {
                    self.lock().surface.give_up();
                }
            }
            let bytes = match stdin.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => &[],
            };
            let length = bytes.len();
            let typed = self.change(|surface| surface.type_in(bytes, &clock::time()));
            stdin.consume(length);
            for input in typed.inputs {
                if lines.blocking_send(input).is_err() {
                    return;
                }
            }
            if length == 0 {
                let _ = lines.blocking_send(Input::End);
                return;
            }
            if typed.suspends && self.suspend(modes).is_err() {
                return;
            }
        }
    }

    /// Stops the process, as Ctrl-Z does elsewhere, until the shell wakes it.
    fn suspend(&self, modes: &Modes) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        let mut state = self.lock();
        if state.ended {
            return Ok(());
        }
        let text = state.surface.display.without_prompt();
        put(&mut stdout, &(text + NOT_BRACKETED))?;
        tcsetattr(io::stdin(), SetArg::TCSANOW, &modes.before)?;
        raise(Signal::SIGTSTP)?;
        tcsetattr(io::stdin(), SetArg::TCSANOW, &modes.raw)?;
        put(&mut stdout, BRACKETED)?;
        let (columns, rows) = size();
        state.surface.display.resize(columns, rows);
        state.changed = true;
        self.changed.notify_one();
        Ok(())
    }
}

/// Columns and rows.
fn size() -> (usize, usize) {
    let size = terminal_size::terminal_size();
    let size = size.map(|(columns, rows)| (usize::from(columns.0), usize::from(rows.0)));
    // A terminal that does not know its size says 0.
    let known = size.filter(|(columns, rows)| *columns > 0 && *rows > 0);
    known.unwrap_or((80, 24))
}

/// The terminal's driver makes the carriage returns, also for others that write there.
fn put(stdout: &mut impl Write, text: &str) -> io::Result<()> {
    stdout.write_all(text.replace("\r\n", "\n").as_bytes())?;
    stdout.flush()
}
