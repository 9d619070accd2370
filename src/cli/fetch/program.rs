//! The program that fetches a credential: run in a process group of its own, so
//! that all it started ends with it.

use std::{
    ffi::OsString,
    fmt, io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use credcache_client::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::AsyncReadExt,
    process::{Child, Command},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::super::value::{self, MAX_VALUE, Unusable};

/// Between the request to end and being killed.
pub(super) const GRACE: Duration = Duration::from_secs(2);

pub(super) struct Program {
    pub(super) name: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) timeout: Duration,
    pub(super) trim_newline: bool,
}

/// Why there is no value. No message holds the program's arguments or output.
#[derive(Debug)]
pub(super) enum ProgramError {
    NotStarted(io::Error),
    Unreadable(io::Error),
    Failed(ExitStatus),
    Unusable(Unusable),
    TimedOut(Duration),
    /// This process was told to end.
    Interrupted,
}

impl Program {
    /// What it writes to stdout, once it has ended well. It is ended if it takes
    /// too long, writes too much or `stop` says so; killed if this is dropped.
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
        value::accept(output?, self.trim_newline).map_err(ProgramError::Unusable)
    }
}

struct Group(Child);

impl Group {
    fn start(program: &Program) -> io::Result<Self> {
        Command::new(&program.name)
            .args(&program.args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .map(Self)
    }

    async fn output(&mut self) -> Result<Vec<u8>, ProgramError> {
        let mut output = Vec::new();
        if let Some(stdout) = self.0.stdout.take() {
            let mut bounded = stdout.take(MAX_VALUE as u64 + 1);
            let read = bounded.read_to_end(&mut output).await;
            read.map_err(ProgramError::Unreadable)?;
        }
        if output.len() > MAX_VALUE {
            // It may be writing for ever.
            return Err(ProgramError::Unusable(Unusable::TooLarge));
        }
        let status = self.0.wait().await.map_err(ProgramError::Unreadable)?;
        if status.success() {
            Ok(output)
        } else {
            Err(ProgramError::Failed(status))
        }
    }

    async fn end(&mut self) {
        self.signal(Signal::TERM);
        // If that isn't enough, dropping it is.
        let _ = timeout(GRACE, self.0.wait()).await;
    }

    /// Only as long as it hasn't been waited for: its id is nobody else's then.
    fn signal(&self, signal: Signal) {
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
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

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted(error) => write!(f, "the command can't be run: {error}"),
            Self::Unreadable(error) => write!(f, "the command's output can't be read: {error}"),
            Self::Failed(status) => write!(f, "the command failed: {status}"),
            Self::Unusable(Unusable::Empty) => f.write_str("the command printed nothing"),
            Self::Unusable(Unusable::TooLarge) => {
                f.write_str("the command printed more than 4 MiB; no server takes that")
            }
            Self::TimedOut(limit) => write!(
                f,
                "the command took longer than {}; try a longer --fetch-timeout",
                humantime::format_duration(*limit)
            ),
            Self::Interrupted => f.write_str("the command was interrupted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn run(script: &str, timeout: Duration) -> Result<Secret, String> {
        let program = Program {
            name: "sh".into(),
            args: vec!["-c".into(), script.into()],
            timeout,
            trim_newline: true,
        };
        let output = program.run(&CancellationToken::new()).await;
        output.map_err(|error| error.to_string())
    }

    const NEVER: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn value_is_what_was_printed_by_one_that_ended_well() {
        let value = run("printf 'a\\0b\\n'", NEVER).await.unwrap();
        assert_eq!(value.expose(), b"a\0b");
        for (script, why) in [
            ("echo token; exit 3", "exit status: 3"),
            ("echo token; kill -9 $$", "signal: 9"),
            ("echo", "printed nothing"),
            ("cat", "printed nothing"),
            ("exec cat /dev/zero", "more than 4 MiB"),
        ] {
            let error = run(script, NEVER).await.unwrap_err();
            assert!(error.contains(why), "{script}: {error}");
            assert!(!error.contains("token"), "{error}");
        }
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_ended_with_all_it_started() {
        // Reading ends only when the last one that could write has ended.
        let (reader, writer) = std::io::pipe().unwrap();
        let held = std::os::fd::OwnedFd::from(writer);
        let mut command = Command::new("sh");
        command
            .args(["-c", "sleep 1000 & sleep 1000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(held)
            .process_group(0);
        let mut group = Group(command.spawn().unwrap());
        drop(command);
        group.end().await;
        drop(group);
        let left = tokio::task::spawn_blocking(move || io::read_to_string(reader));
        assert_eq!(timeout(NEVER, left).await.unwrap().unwrap().unwrap(), "");
        let error = run("sleep 1000", Duration::from_millis(1)).await;
        assert!(error.unwrap_err().contains("--fetch-timeout"));
    }

    #[tokio::test]
    async fn nothing_is_run_after_the_interruption() {
        let program = Program {
            name: "/nonexistent/program".into(),
            args: Vec::new(),
            timeout: NEVER,
            trim_newline: false,
        };
        let stop = CancellationToken::new();
        let missing = program.run(&stop).await;
        assert!(matches!(missing, Err(ProgramError::NotStarted(_))));
        stop.cancel();
        let stopped = program.run(&stop).await;
        assert!(matches!(stopped, Err(ProgramError::Interrupted)));
    }
}
