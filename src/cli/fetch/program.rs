//! The program that fetches a credential. It runs in a process group of its own, so that all
//! processes that it started end with it, and with this process.

use std::{
    ffi::OsString,
    fmt, io,
    os::{fd::OwnedFd, unix::net},
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use credcache_client::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, ChildStdout, Command},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::super::{
    lifetime::LifetimeError,
    supervise::{self, GRACE, Report},
    value::{self, MAX_VALUE, ValueError},
};
use crate::duration;

/// How long processes that a successful program left behind may go on writing.
const LINGER: Duration = Duration::from_millis(500);

pub(super) struct Program {
    pub(super) name: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) timeout: Duration,
    pub(super) trim_newline: bool,
}

/// Why there is no credential. No message contains the program's arguments or output.
#[derive(Debug)]
pub(super) enum ProgramError {
    NotStarted(io::Error),
    Unreadable(io::Error),
    Failed(ExitStatus),
    Value(ValueError),
    Lifetime(LifetimeError),
    TimedOut(Duration),
    /// This process received a signal to end.
    Interrupted,
}

impl Program {
    /// Returns what the program wrote to stdout, once it has succeeded. The program is ended if it
    /// takes too long or writes too much, or when `stop` is cancelled. Dropping the future kills
    /// it.
    pub(super) async fn run(&self, stop: &CancellationToken) -> Result<Secret, ProgramError> {
        if stop.is_cancelled() {
            return Err(ProgramError::Interrupted);
        }
        let mut group = Group::start(self).map_err(ProgramError::NotStarted)?;
        let output = tokio::select! {
            output = timeout(self.timeout, group.output()) => {
                output.unwrap_or(Err(ProgramError::TimedOut(self.timeout)))
            }
            () = stop.cancelled() => Err(ProgramError::Interrupted),
        };
        if output.is_err() {
            group.end().await;
        }
        value::accept(output?, self.trim_newline).map_err(ProgramError::Value)
    }
}

/// The program and all processes that it starts, under their supervisor.
struct Group {
    supervisor: Child,
    /// Reports how the program ended. When this socket is closed, for whatever reason, the
    /// supervisor ends the group.
    line: UnixStream,
}

impl Group {
    fn start(program: &Program) -> io::Result<Self> {
        let (line, theirs) = net::UnixStream::pair()?;
        line.set_nonblocking(true)?;
        let supervisor = Command::new(supervise::program()?)
            .arg0("credcache")
            .args([supervise::NAME, "--"])
            .arg(&program.name)
            .args(&program.args)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let line = UnixStream::from_std(line)?;
        Ok(Self { supervisor, line })
    }

    async fn output(&mut self) -> Result<Vec<u8>, ProgramError> {
        let Some(stdout) = self.supervisor.stdout.take() else {
            return Err(ProgramError::Unreadable(io::ErrorKind::BrokenPipe.into()));
        };
        let mut output = Vec::new();
        let report = {
            let mut read = pin!(read(stdout, &mut output));
            let mut report = pin!(Report::receive(&mut self.line));
            tokio::select! {
                end = &mut read => {
                    end?;
                    report.await
                }
                report = &mut report => {
                    // Processes that the program left running may hold its stdout.
                    if matches!(&report, Ok(Report::Ended(status)) if status.success())
                        && let Ok(end) = timeout(LINGER, read).await
                    {
                        end?;
                    }
                    report
                }
            }
        };
        match report {
            Ok(Report::Ended(status)) => {
                // The supervisor has ended by itself, so that `drop` doesn't kill the rest of the
                // group.
                let _ = self.supervisor.wait().await;
                if status.success() {
                    Ok(output)
                } else {
                    Err(ProgramError::Failed(status))
                }
            }
            Ok(Report::NotStarted(error)) => Err(ProgramError::NotStarted(error)),
            // The supervisor was killed, so the program has no supervisor.
            Err(_) => {
                self.signal(Signal::KILL);
                let status = self.supervisor.wait().await;
                Err(status.map_or_else(ProgramError::Unreadable, ProgramError::Failed))
            }
        }
    }

    async fn end(&mut self) {
        let _ = self.line.shutdown().await;
        // The supervisor takes GRACE. If that isn't enough, dropping the group kills it.
        let _ = timeout(GRACE + GRACE / 2, self.supervisor.wait()).await;
    }

    /// Sends the signal only until the supervisor was waited for: until then its id can't belong to
    /// another process.
    fn signal(&self, signal: Signal) {
        let id = self.supervisor.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

async fn read(stdout: ChildStdout, output: &mut Vec<u8>) -> Result<(), ProgramError> {
    let mut bounded = stdout.take(MAX_VALUE as u64 + 1);
    let read = bounded.read_to_end(output).await;
    match read.map_err(ProgramError::Unreadable)? {
        // The program may be writing without end.
        len if len > MAX_VALUE => Err(ProgramError::Value(ValueError::TooLarge)),
        _ => Ok(()),
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "the command can't be run: {error}"),
            Self::Unreadable(error) => write!(f, "the command's output can't be read: {error}"),
            Self::Failed(status) => write!(f, "the command failed: {status}"),
            Self::Value(ValueError::Empty) => f.write_str("the command printed nothing"),
            Self::Value(ValueError::TooLarge) => {
                f.write_str("the command printed more than 4 MiB; no server accepts that much")
            }
            Self::Lifetime(error) => error.fmt(f),
            Self::TimedOut(limit) => write!(
                f,
                "the command took longer than {}; try a longer --fetch-timeout",
                duration::format(*limit)
            ),
            Self::Interrupted => f.write_str("the command was interrupted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_is_run_after_the_interruption() {
        let program = Program {
            name: "/nonexistent/program".into(),
            args: Vec::new(),
            timeout: Duration::from_secs(60),
            trim_newline: false,
        };
        let stop = CancellationToken::new();
        stop.cancel();
        let stopped = program.run(&stop).await;
        assert!(matches!(stopped, Err(ProgramError::Interrupted)));
    }
}
