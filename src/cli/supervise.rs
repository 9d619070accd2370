//! The process between `fetch` and the command that it runs: the leader of the
//! command's process group, which ends with all of it when `fetch` has ended,
//! however that came about.
//!
//! A kill -9 leaves `fetch` no time to do it. A socket tells: its end in `fetch` is
//! closed by the kernel, also before this process has got anywhere, whichever
//! thread made it, and whatever the command is allowed to do. What has left the
//! group, as a daemon does, isn't reached.

use std::{
    env,
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{net, process::ExitStatusExt},
    },
    path::PathBuf,
    process::{ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::{Child, Command},
    time::timeout,
};

use super::{failure::USAGE, interrupts::Interrupts, output};

/// Between the request to end and being killed.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Arguments of the process that `fetch` starts.
#[derive(clap::Args, Debug)]
pub struct SuperviseArgs {
    /// The command that prints the value, and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// As `fetch` types it.
pub(super) const NAME: &str = "supervise-for-fetch";

/// What is told over the socket, once.
#[derive(Debug)]
pub(super) enum Report {
    NotStarted(io::Error),
    Ended(ExitStatus),
}

const NOT_STARTED: u8 = 0;
const ENDED: u8 = 1;

impl Report {
    pub(super) async fn receive(from: &mut UnixStream) -> io::Result<Self> {
        let kind = from.read_u8().await?;
        let number = from.read_i32().await?;
        Ok(match kind {
            ENDED => Self::Ended(ExitStatus::from_raw(number)),
            _ => Self::NotStarted(io::Error::from_raw_os_error(number)),
        })
    }

    async fn send(&self, to: &mut UnixStream) -> io::Result<()> {
        let (kind, number) = match self {
            Self::NotStarted(error) => (NOT_STARTED, error.raw_os_error().unwrap_or_default()),
            Self::Ended(status) => (ENDED, status.into_raw()),
        };
        let number = number.to_be_bytes();
        let message = [kind, number[0], number[1], number[2], number[3]];
        to.write_all(&message).await
    }
}

/// This program, to be run as its own supervisor.
pub(super) fn program() -> io::Result<PathBuf> {
    // Good even after an upgrade has replaced the file.
    let itself = PathBuf::from("/proc/self/exe");
    if itself.exists() {
        Ok(itself)
    } else {
        env::current_exe()
    }
}

/// Runs the command, and tells whoever holds the other end of stdin what became
/// of it.
pub async fn supervise(args: SuperviseArgs) -> ExitCode {
    match run(args.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            output::complain("this is run by `credcache fetch` alone");
            USAGE.into()
        }
    }
}

async fn run(command: Vec<OsString>) -> io::Result<()> {
    let mut command = command.into_iter();
    let (Some(name), true) = (command.next(), getpgrp() == getpid()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut fetch = stdin()?;
    // From here on no signal to the group ends this process before the command.
    let mut interrupts = Interrupts::listen()?;
    let started = Command::new(name)
        .args(command)
        .stdin(Stdio::null())
        .spawn();
    let report = match started {
        Err(error) => Report::NotStarted(error),
        Ok(mut child) => tokio::select! {
            status = child.wait() => Report::Ended(status?),
            // Nothing is ever sent: it has ended, or wants the command to end.
            _ = fetch.read_u8() => return end(&mut child).await,
            _ = interrupts.next() => return end(&mut child).await,
        },
    };
    // Nobody may be there any more.
    let _ = report.send(&mut fetch).await;
    Ok(())
}

fn stdin() -> io::Result<UnixStream> {
    let stdin: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let stdin = net::UnixStream::from(stdin);
    // Fails where it is no socket.
    stdin.local_addr()?;
    stdin.set_nonblocking(true)?;
    UnixStream::from_std(stdin)
}

/// Ends the group, this process included.
async fn end(child: &mut Child) -> io::Result<()> {
    let _ = kill_current_process_group(Signal::TERM);
    // If that isn't enough, what follows is.
    let _ = timeout(GRACE, child.wait()).await;
    Ok(kill_current_process_group(Signal::KILL)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn report_arrives_as_it_was_sent() {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let killed = Report::Ended(ExitStatus::from_raw(9));
        killed.send(&mut ours).await.unwrap();
        let received = Report::receive(&mut theirs).await.unwrap();
        assert!(matches!(received, Report::Ended(status) if status.signal() == Some(9)));
        let missing = Report::NotStarted(io::Error::from_raw_os_error(2));
        missing.send(&mut ours).await.unwrap();
        let received = Report::receive(&mut theirs).await.unwrap();
        assert!(
            matches!(received, Report::NotStarted(error) if error.kind() == io::ErrorKind::NotFound)
        );
        drop(ours);
        assert!(Report::receive(&mut theirs).await.is_err());
    }
}
