//! The only writer to stdout and stderr.
//!
//! Text that others wrote is escaped before it reaches a terminal, so that it can't control the
//! terminal.

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

use super::escape;

/// How a command prints its result.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// Text for people, or the bare value.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

pub(super) fn print(text: &str) -> io::Result<()> {
    write(&[escape::lines(text).as_bytes(), b"\n"])
}

pub(super) fn print_json(document: &Value) -> io::Result<()> {
    write(&[escape::json(&document.to_string()).as_bytes(), b"\n"])
}

/// Prints a value as it is. On a terminal, the value is escaped and ends with a newline, so that
/// the prompt doesn't follow a secret on its line.
pub(super) fn print_value(value: &[u8]) -> io::Result<()> {
    match for_terminal(value) {
        Some(text) => write(&[text.as_bytes()]),
        None => write(&[value]),
    }
}

/// On a terminal, replaces the text printed before; otherwise prints another block.
pub(super) fn print_screen(text: &str) -> io::Result<()> {
    let clear: &[u8] = if to_terminal() { b"\x1b[2J\x1b[H" } else { b"" };
    write(&[clear, escape::lines(text).as_bytes(), b"\n"])
}

/// Like [`print()`], for a command that must end on a signal even while its reader is slow.
pub(super) async fn stream(text: &str) -> io::Result<()> {
    write_async(&[escape::lines(text).as_bytes(), b"\n"]).await
}

/// Like [`print_json`], for a command that must end on a signal.
pub(super) async fn stream_json(document: &Value) -> io::Result<()> {
    write_async(&[escape::json(&document.to_string()).as_bytes(), b"\n"]).await
}

/// Like [`print_value`], for a command that must end on a signal.
pub(super) async fn stream_value(value: &[u8]) -> io::Result<()> {
    match for_terminal(value) {
        Some(text) => write_async(&[text.as_bytes()]).await,
        None => write_async(&[value]).await,
    }
}

pub(super) fn print_to_stderr(message: &str) {
    // If stderr is closed, the message is lost.
    let _ = writeln!(io::stderr(), "credcache: {}", escape::lines(message));
}

/// Waits until stdout has lost its reader, which a command that writes nothing would not notice.
/// Never returns where that can't be observed, as for a file.
pub(super) async fn until_reader_leaves() {
    // Nothing waits for this thread when the command ends.
    if !matches!(spawn_blocking(await_end_of_reader).await, Ok(Ok(()))) {
        future::pending().await
    }
}

fn await_end_of_reader() -> io::Result<()> {
    let stdout = io::stdout();
    loop {
        // Without requested events, `poll` reports only errors and the end of the reader.
        let mut stdout = [PollFd::new(&stdout, PollFlags::empty())];
        match poll(&mut stdout, None) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn for_terminal(value: &[u8]) -> Option<String> {
    to_terminal().then(|| escape::value(value) + "\n")
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
