//! The one place that writes to stdout and stderr.
//!
//! Guarantees that no text that others wrote reaches a terminal with characters
//! that do more there than be seen.

use std::{
    future,
    io::{self, IsTerminal, Write},
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};
use serde_json::Value;
use tokio::{io::AsyncWriteExt, task::spawn_blocking};

use super::shown;

/// How a command prints its answer.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// For people, or the bare value.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

pub(super) fn print(text: &str) -> io::Result<()> {
    write(&[shown::lines(text).as_bytes(), b"\n"])
}

pub(super) fn print_json(document: &Value) -> io::Result<()> {
    write(&[shown::json(&document.to_string()).as_bytes(), b"\n"])
}

/// A value as it is. A terminal gets what can be shown of it, and a line end, so
/// that the prompt doesn't stand behind a secret.
pub(super) fn print_value(value: &[u8]) -> io::Result<()> {
    match for_terminal(value) {
        Some(text) => write(&[text.as_bytes()]),
        None => write(&[value]),
    }
}

/// What takes the place of what was printed before, on a terminal; else another
/// block.
pub(super) fn print_screen(text: &str) -> io::Result<()> {
    let clear: &[u8] = if to_terminal() { b"\x1b[2J\x1b[H" } else { b"" };
    write(&[clear, shown::lines(text).as_bytes(), b"\n"])
}

/// The same as [`print()`], for a command that must end on a signal even while its
/// reader takes its time.
pub(super) async fn stream(text: &str) -> io::Result<()> {
    write_async(&[shown::lines(text).as_bytes(), b"\n"]).await
}

/// The same as [`print_json`], likewise.
pub(super) async fn stream_json(document: &Value) -> io::Result<()> {
    write_async(&[shown::json(&document.to_string()).as_bytes(), b"\n"]).await
}

/// The same as [`print_value`], likewise.
pub(super) async fn stream_value(value: &[u8]) -> io::Result<()> {
    match for_terminal(value) {
        Some(text) => write_async(&[text.as_bytes()]).await,
        None => write_async(&[value]).await,
    }
}

pub(super) fn complain(message: &str) {
    // If stderr is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "credcache: {}", shown::lines(message));
}

/// Waits until nobody can read stdout any more, which a command that has nothing
/// to write would not notice. For ever where that can't be told, as of a file.
pub(super) async fn until_reader_leaves() {
    // A thread that nobody waits for when the command ends.
    if !matches!(spawn_blocking(await_end_of_reader).await, Ok(Ok(()))) {
        future::pending().await
    }
}

fn await_end_of_reader() -> io::Result<()> {
    let stdout = io::stdout();
    loop {
        // What is told without being asked for: an error, and the other end's end.
        let mut stdout = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut stdout, None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn for_terminal(value: &[u8]) -> Option<String> {
    to_terminal().then(|| shown::value(value) + "\n")
}

fn to_terminal() -> bool {
    io::stdout().is_terminal()
}

fn write(parts: &[&[u8]]) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    for part in parts {
        stdout.write_all(part)?;
    }
    stdout.flush()
}

async fn write_async(parts: &[&[u8]]) -> io::Result<()> {
    let mut stdout = tokio::io::stdout();
    for part in parts {
        stdout.write_all(part).await?;
    }
    stdout.flush().await
}
