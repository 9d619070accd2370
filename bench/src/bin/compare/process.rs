//! A server under load: started pinned to its core, killed when dropped, and
//! asked what it took of the machine. And programs that run to their end.

use std::{
    ffi::OsStr,
    fs,
    io::{self, BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use credcache_bench::counts;

use crate::failure::Failure;

pub(crate) struct Process {
    name: String,
    child: Child,
    /// Open for as long as the server may print.
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts `program` on `core` with `input` on its stdin.
    pub(crate) fn start(
        program: &Path,
        core: u32,
        arguments: &[&str],
        input: &[u8],
    ) -> Result<Self, Failure> {
        let name = program.display().to_string();
        if !is_installed(program) {
            return Err(Failure::Missing(name));
        }
        // taskset becomes the program, so the child's id is the server's.
        let mut child = Command::new("taskset")
            .args(["-c", &core.to_string()])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|source| Failure::Start {
                program: "taskset".to_owned(),
                source,
            })?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::NotListening(name));
        };
        let process = Self {
            name,
            child,
            stdout: BufReader::new(stdout),
        };
        stdin.write_all(input)?;
        Ok(process)
    }

    /// Where it listens, by the line that the servers here print once they do.
    pub(crate) fn listening(&mut self) -> Result<String, Failure> {
        let mut line = String::new();
        while self.stdout.read_line(&mut line)? > 0 {
            if let Some(address) = line.trim_end().strip_prefix("listening on ") {
                return Ok(address.to_owned());
            }
            line.clear();
        }
        Err(Failure::NotListening(self.name.clone()))
    }

    /// The processor time of all its threads since it started.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failure> {
        let mut nanoseconds = 0;
        for thread in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let schedstat = fs::read_to_string(thread?.path().join("schedstat"))?;
            nanoseconds += schedstat
                .split_whitespace()
                .next()
                .and_then(|field| field.parse::<u64>().ok())
                .ok_or_else(|| io::Error::other("schedstat holds no processor time"))?;
        }
        Ok(Duration::from_nanos(nanoseconds))
    }

    /// What it holds of the machine's memory, in bytes.
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        Ok(counts::resident(self.child.id())?)
    }

    /// Asks it to end, as an operator would, and waits until it has.
    pub(crate) fn end(mut self) -> Result<(), Failure> {
        run("kill", [self.child.id().to_string()])?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error here means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a program on a core to its end; what it printed.
pub(crate) fn run_on(
    core: u32,
    program: &str,
    arguments: impl IntoIterator<Item = String>,
) -> Result<String, Failure> {
    let pinned = ["-c".to_owned(), core.to_string(), program.to_owned()];
    run("taskset", pinned.into_iter().chain(arguments))
}

/// Runs a program to its end; what it printed.
pub(crate) fn run<A: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = A>,
) -> Result<String, Failure> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Failure::Missing(program.to_owned()),
            _ => Failure::Start {
                program: program.to_owned(),
                source,
            },
        })?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(Failure::Load {
            program: program.to_owned(),
            complaint: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

/// taskset would start, and fail where nobody sees why.
fn is_installed(program: &Path) -> bool {
    program.components().count() > 1 && program.is_file()
        || ["/usr/local/bin", "/usr/bin", "/bin"]
            .iter()
            .any(|directory| Path::new(directory).join(program).is_file())
}
