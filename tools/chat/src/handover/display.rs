//! Where the user of `chat send` and `chat receive` is told things: lines and one bar on stderr,
//! or JSON lines on stdout.

use std::io::{self, IsTerminal};

use cli::head::timed;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use serde_json::{Value, json};

use crate::notice::Notice;
use crate::screen::print;

/// Lines, and a bar below them if stderr is a terminal.
pub struct Display {
    json: bool,
    /// Drawn from the first byte on.
    bar: Option<ProgressBar>,
    /// Without a bar, a line is printed at each tenth.
    tenth: u64,
}

impl Display {
    /// With no bar yet.
    pub fn new(json: bool) -> Display {
        Display {
            json,
            bar: None,
            tenth: 0,
        }
    }

    /// Shows a notice.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn tell(&self, notice: &Notice) -> io::Result<()> {
        if !is_shown(notice) {
            return Ok(());
        }
        if self.json {
            return print_event(notice.json());
        }
        let told = || cli::stderr::line(format_args!("{}", notice.text()));
        match &self.bar {
            Some(bar) => bar.suspend(told),
            None => told(),
        }
        Ok(())
    }

    /// So much of all has come across.
    ///
    /// # Errors
    /// Those of stdout.
    pub fn progress(&mut self, bytes: u64, total: u64) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        if !self.json && io::stderr().is_terminal() {
            let bar = self.bar.get_or_insert_with(|| bar(bytes, total));
            bar.set_position(bytes);
            return Ok(());
        }
        let tenth = bytes.saturating_mul(10) / total.max(1);
        if tenth <= self.tenth || tenth >= 10 {
            return Ok(());
        }
        self.tenth = tenth;
        if self.json {
            return print_event(json!({"event": "progress", "bytes": bytes, "size": total}));
        }
        cli::stderr::line(format_args!("{tenth}0 %"));
        Ok(())
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn print_event(event: Value) -> io::Result<()> {
    print(&timed(event).to_string())
}

fn bar(bytes: u64, total: u64) -> ProgressBar {
    // What was there before is no measure of the speed.
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
        .with_position(bytes);
    let template = "{bar:20} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.reset_eta();
    bar
}

/// Whether the notice is about more than the one peer with its one-time name.
fn is_shown(notice: &Notice) -> bool {
    matches!(
        notice,
        Notice::Handover(_)
            | Notice::NotYet { .. }
            | Notice::WorkWanted(_)
            | Notice::ServerSilent(_)
            | Notice::ServerKey { .. }
            | Notice::ServerKeyless { .. }
            | Notice::ServerRefused(_)
            | Notice::Problem(_)
    )
}
