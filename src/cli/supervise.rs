//! The supervisor: the process between `fetch` and the command that it runs. The supervisor leads
//! the command's process group, and ends with the whole group when `fetch` has ended for whatever
//! reason.
//!
//! A SIGKILL leaves `fetch` no time to end the command. A socket therefore reports its end: the
//! kernel closes the end of the socket in `fetch`, even before this process has got anywhere,
//! whichever thread made the socket, and whatever the command is allowed to do. Processes that have
//! left the group, as daemons do, aren't reached.

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

/// The time between the request to end and the kill.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Arguments of the process that `fetch` starts.
#[derive(clap::Args, Debug)]
pub struct SuperviseArgs {
    /// The command that prints the value, and its arguments.
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// The name of this command, as `fetch` passes it.
pub(super) const NAME: &str = "supervise-for-fetch";

/// What the supervisor reports over the socket, once.
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

/// The path of this program, which also runs as its own supervisor.
pub(super) fn program() -> io::Result<PathBuf> {
    // This path stays valid after an upgrade has replaced the file.
    let itself = PathBuf::from("/proc/self/exe");
    if itself.exists() {
        Ok(itself)
    } else {
        env::current_exe()
    }
}

/// Runs the command, and reports its end to the process at the other end of stdin.
pub async fn supervise(args: SuperviseArgs) -> ExitCode {
    match run(args.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => {
            output::print_to_stderr("only `credcache fetch` runs this command");
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
    // From here on, no signal to the group ends this process before the command.
    let mut interrupts = Interrupts::listen()?;
    let started = Command::new(name)
        .args(command)
        .stdin(Stdio::null())
        .spawn();
    let report = match started {
        Err(error) => Report::NotStarted(error),
        Ok(mut child) => tokio::select! {
            status = child.wait() => Report::Ended(status?),
            // `fetch` never sends anything: the read returns because `fetch` has ended or wants the
            // command to end.
            _ = fetch.read_u8() => return end(&mut child).await,
            _ = interrupts.next() => return end(&mut child).await,
        },
    };
    // `fetch` may have ended.
    let _ = report.send(&mut fetch).await;
    Ok(())
}

fn stdin() -> io::Result<UnixStream> {
    let stdin: OwnedFd = io::stdin().as_fd().try_clone_to_owned()?;
    let stdin = net::UnixStream::from(stdin);
    // This call fails if stdin isn't a socket.
    stdin.local_addr()?;
    stdin.set_nonblocking(true)?;
    UnixStream::from_std(stdin)
}

/// Ends the group, this process included.
async fn end(child: &mut Child) -> io::Result<()> {
    let _ = kill_current_process_group(Signal::TERM);
    // If the command doesn't end in time, the kill below ends it.
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
