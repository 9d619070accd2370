//! The load: h2load on its own core, with one fixed gRPC request.

use std::{io::Write, path::Path, process::Command};

use credcache_bench::proto::GetRequest;
use prost::Message;
use tempfile::NamedTempFile;

use crate::{error::BenchError, probe::VALUE_LEN, report::Sample, server::Server};

const CONNECTIONS: u32 = 10;
const STREAMS: u32 = 10;
const PATH: &str = "/credcache.v1.CredentialCacheService/Get";

/// The body of every request: a gRPC frame around the message.
pub(crate) struct RequestFile(NamedTempFile);

impl RequestFile {
    pub(crate) fn write(request: &GetRequest) -> Result<Self, BenchError> {
        let message = request.encode_to_vec();
        let length = u32::try_from(message.len()).map_err(std::io::Error::other)?;
        let mut file = NamedTempFile::new()?;
        file.write_all(&[0])?;
        file.write_all(&length.to_be_bytes())?;
        file.write_all(&message)?;
        Ok(Self(file))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// Which h2load there is; an error that says how to get it if there is none.
pub(crate) fn version() -> Result<String, BenchError> {
    let output = Command::new("h2load")
        .arg("--version")
        .output()
        .map_err(|source| BenchError::Start {
            program: "h2load".to_owned(),
            source,
        })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

pub(crate) struct Load<'a> {
    pub(crate) request: &'a RequestFile,
    pub(crate) core: u32,
}

impl Load<'_> {
    /// Loads `server` for `seconds`; how many requests it answered.
    pub(crate) fn rate_over(&self, seconds: u32, server: &Server) -> Result<u64, BenchError> {
        let outcome = self.h2load(server, &format!("--duration={seconds}"))?;
        Ok(outcome.done.max(u64::from(CONNECTIONS)))
    }

    /// Sends exactly `requests`. An error unless every one was answered with
    /// 200 and a body that can hold the value.
    pub(crate) fn run(&self, server: &Server, requests: u64) -> Result<Sample, BenchError> {
        let before = server.processor_time()?;
        let outcome = self.h2load(server, &format!("--requests={requests}"))?;
        let processor_time = server.processor_time()? - before;
        outcome.check(requests)?;
        Ok(Sample {
            requests,
            rate: outcome.rate,
            processor_time,
        })
    }

    fn h2load(&self, server: &Server, amount: &str) -> Result<Outcome, BenchError> {
        let output = Command::new("taskset")
            .args(["-c", &self.core.to_string(), "h2load", amount])
            .arg(format!("--clients={CONNECTIONS}"))
            .arg(format!("--max-concurrent-streams={STREAMS}"))
            .args([
                "--header=content-type: application/grpc",
                "--header=te: trailers",
            ])
            .arg("--data")
            .arg(self.request.path())
            .arg(format!("http://{}{PATH}", server.address))
            .output()
            .map_err(|source| BenchError::Start {
                program: "taskset".to_owned(),
                source,
            })?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(BenchError::Load(complaint));
        }
        Outcome::parse(&String::from_utf8_lossy(&output.stdout))
    }
}

/// What h2load says at its end.
#[derive(Debug, PartialEq)]
struct Outcome {
    /// Requests a second.
    rate: f64,
    done: u64,
    succeeded: u64,
    /// Answers with a 2xx status.
    good: u64,
    /// Bytes of the answers' bodies.
    body_bytes: u64,
}

impl Outcome {
    fn parse(text: &str) -> Result<Self, BenchError> {
        Ok(Self {
            rate: before(line(text, "finished in ")?, " req/s")?,
            done: before(line(text, "requests: ")?, " done")?,
            succeeded: before(line(text, "requests: ")?, " succeeded")?,
            good: before(line(text, "status codes: ")?, " 2xx")?,
            body_bytes: before(line(text, "traffic: ")?, ") data")?,
        })
    }

    /// A gRPC error has status 200, but no body.
    fn check(&self, requests: u64) -> Result<(), BenchError> {
        let least_bytes = requests * VALUE_LEN as u64;
        if [self.done, self.succeeded, self.good] == [requests; 3] && self.body_bytes > least_bytes
        {
            Ok(())
        } else {
            Err(BenchError::WrongAnswer(format!(
                "{requests} requests, but {self:?}"
            )))
        }
    }
}

fn line<'a>(text: &'a str, start: &'static str) -> Result<&'a str, BenchError> {
    text.lines()
        .find(|line| line.starts_with(start))
        .ok_or(BenchError::Unreadable(start))
}

/// The number that stands before `unit`.
fn before<T: std::str::FromStr>(line: &str, unit: &'static str) -> Result<T, BenchError> {
    line.split_once(unit)
        .and_then(|(start, _)| start.rsplit([' ', '(']).next())
        .and_then(|number| number.parse().ok())
        .ok_or(BenchError::Unreadable(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPORT: &str = "\
finished in 2.51s, 19912.70 req/s, 21.67MB/s
requests: 50000 total, 50000 started, 50000 done, 49999 succeeded, 1 failed, 0 errored, 0 timeout
status codes: 49998 2xx, 0 3xx, 2 4xx, 0 5xx
traffic: 54.41MB (57055000) total, 1.24MB (1300590) headers (space savings 84.71%), 52.45MB (55000000) data
";

    #[test]
    fn every_figure_of_a_report_is_read_from_its_own_place() {
        let expected = Outcome {
            rate: 19912.70,
            done: 50_000,
            succeeded: 49_999,
            good: 49_998,
            body_bytes: 55_000_000,
        };
        assert_eq!(Outcome::parse(REPORT).unwrap(), expected);
    }

    #[test]
    fn report_without_a_rate_is_refused() {
        assert!(Outcome::parse(&REPORT.replace("req/s", "")).is_err());
    }

    #[test]
    fn one_failed_or_empty_answer_spoils_the_round() {
        let good = Outcome {
            rate: 1.0,
            done: 9,
            succeeded: 9,
            good: 9,
            body_bytes: 9 * 1100,
        };
        assert!(good.check(9).is_ok());
        assert!(good.check(10).is_err());
        assert!(Outcome { good: 8, ..good }.check(9).is_err());
        assert!(
            Outcome {
                body_bytes: 8 * 1100,
                ..good
            }
            .check(9)
            .is_err()
        );
    }
}
