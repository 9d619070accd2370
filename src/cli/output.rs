//! The one place that writes to stdout and stderr.

use std::io::{self, IsTerminal, Write};

use tokio::io::AsyncWriteExt;

/// How a command prints its answer.
#[derive(clap::ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// For people, or the bare value.
    #[default]
    Text,
    /// One JSON document, for scripts.
    Json,
}

pub(super) fn print(line: &str) -> io::Result<()> {
    write(&[line.as_bytes(), b"\n"])
}

/// A value as it is; a terminal gets a line end, so that the prompt doesn't
/// stand behind a secret.
pub(super) fn print_value(value: &[u8]) -> io::Result<()> {
    write(&[value, value_end()])
}

/// What takes the place of what was printed before, on a terminal; else another
/// block.
pub(super) fn print_screen(text: &str) -> io::Result<()> {
    let clear: &[u8] = if to_terminal() { b"\x1b[2J\x1b[H" } else { b"" };
    write(&[clear, text.as_bytes(), b"\n"])
}

/// The same as [`print()`], for a command that must end on a signal even while its
/// reader takes its time.
pub(super) async fn stream(line: &str) -> io::Result<()> {
    write_async(&[line.as_bytes(), b"\n"]).await
}

/// The same as [`print_value`], likewise.
pub(super) async fn stream_value(value: &[u8]) -> io::Result<()> {
    write_async(&[value, value_end()]).await
}

pub(super) fn complain(message: &str) {
    // If stderr is gone there is nobody left to tell.
    let _ = writeln!(io::stderr(), "credcache: {message}");
}

fn value_end() -> &'static [u8] {
    if to_terminal() { b"\n" } else { b"" }
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
