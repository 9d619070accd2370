//! h2load on its own core, with one fixed gRPC request.

use std::io::Write;

use tempfile::NamedTempFile;

use crate::{failure::Failure, grpc, process};

/// Connections, and concurrent streams on each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) connections: u32,
    pub(crate) streams: u32,
}

impl Shape {
    pub(crate) const fn new(connections: u32, streams: u32) -> Self {
        Self {
            connections,
            streams,
        }
    }
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}×{}", self.connections, self.streams)
    }
}

/// How many bytes the body of an answer has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnswerBytes {
    Exactly(u64),
    /// Where an answer holds what changes from call to call.
    AtLeast(u64),
}

/// A request, as often as it is wanted.
pub(crate) struct H2load {
    core: u32,
    shape: Shape,
    url: String,
    base: Option<String>,
    body: NamedTempFile,
    answer: AnswerBytes,
}

impl H2load {
    /// Calls `path` of the server at `address` with `message`.
    pub(crate) fn new(
        core: u32,
        shape: Shape,
        (address, path): (&str, &str),
        message: &impl prost::Message,
        answer: AnswerBytes,
    ) -> Result<Self, Failure> {
        let mut body = NamedTempFile::new()?;
        body.write_all(&grpc::frame(message)?)?;
        let base = address.starts_with("unix:").then(|| address.to_owned());
        let authority = if base.is_some() { "localhost" } else { address };
        Ok(Self {
            core,
            shape,
            url: format!("http://{authority}{path}"),
            base,
            body,
            answer,
        })
    }

    /// Sends exactly `requests`; how many were answered a second. An error
    /// unless every one was answered with 200 and a body of the right size.
    pub(crate) fn run(&self, requests: u64) -> Result<f64, Failure> {
        let mut arguments = vec![
            format!("--requests={requests}"),
            format!("--clients={}", self.shape.connections),
            format!("--max-concurrent-streams={}", self.shape.streams),
            "--header=content-type: application/grpc".to_owned(),
            "--header=te: trailers".to_owned(),
            format!("--data={}", self.body.path().display()),
        ];
        arguments.extend(self.base.iter().map(|base| format!("--base-uri={base}")));
        arguments.push(self.url.clone());
        let summary = Summary::parse(&process::run_on(self.core, "h2load", arguments)?)?;
        summary.check(requests, self.answer)?;
        Ok(summary.rate)
    }
}

/// What h2load says at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Summary {
    /// Requests a second.
    rate: f64,
    done: u64,
    succeeded: u64,
    /// Answers with a 2xx status.
    good: u64,
    /// Bytes of the answers' bodies.
    body_bytes: u64,
}

impl Summary {
    fn parse(text: &str) -> Result<Self, Failure> {
        Ok(Self {
            rate: before(line(text, "finished in ")?, " req/s")?,
            done: before(line(text, "requests: ")?, " done")?,
            succeeded: before(line(text, "requests: ")?, " succeeded")?,
            good: before(line(text, "status codes: ")?, " 2xx")?,
            body_bytes: before(line(text, "traffic: ")?, ") data")?,
        })
    }

    /// A gRPC error has status 200, but no body.
    fn check(&self, requests: u64, answer: AnswerBytes) -> Result<(), Failure> {
        let whole = match answer {
            AnswerBytes::Exactly(bytes) => self.body_bytes == requests * bytes,
            AnswerBytes::AtLeast(bytes) => self.body_bytes >= requests * bytes,
        };
        if [self.done, self.succeeded, self.good] == [requests; 3] && whole {
            Ok(())
        } else {
            Err(Failure::WrongAnswer(format!(
                "{requests} requests, each answered by {answer:?} bytes, but {self:?}"
            )))
        }
    }
}

fn unreadable(what: &'static str) -> Failure {
    Failure::Unreadable {
        program: "h2load",
        what,
    }
}

fn line<'a>(text: &'a str, start: &'static str) -> Result<&'a str, Failure> {
    text.lines()
        .find(|line| line.starts_with(start))
        .ok_or(unreadable(start))
}

/// The number that stands before `unit`.
fn before<T: std::str::FromStr>(line: &str, unit: &'static str) -> Result<T, Failure> {
    line.split_once(unit)
        .and_then(|(start, _)| start.rsplit([' ', '(']).next())
        .and_then(|number| number.parse().ok())
        .ok_or(unreadable(unit))
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
        let expected = Summary {
            rate: 19912.70,
            done: 50_000,
            succeeded: 49_999,
            good: 49_998,
            body_bytes: 55_000_000,
        };
        assert_eq!(Summary::parse(REPORT).unwrap(), expected);
    }

    #[test]
    fn report_without_a_rate_is_refused() {
        assert!(Summary::parse(&REPORT.replace("req/s", "")).is_err());
    }

    #[test]
    fn one_failed_or_empty_answer_spoils_the_round() {
        let good = Summary {
            rate: 1.0,
            done: 9,
            succeeded: 9,
            good: 9,
            body_bytes: 9 * 1100,
        };
        assert!(good.check(9, AnswerBytes::Exactly(1100)).is_ok());
        assert!(good.check(9, AnswerBytes::AtLeast(1024)).is_ok());
        assert!(good.check(10, AnswerBytes::AtLeast(0)).is_err());
        assert!(good.check(9, AnswerBytes::Exactly(1101)).is_err());
        let failed = Summary { good: 8, ..good };
        assert!(failed.check(9, AnswerBytes::AtLeast(1024)).is_err());
        let empty = Summary {
            body_bytes: 8 * 1100,
            ..good
        };
        assert!(empty.check(9, AnswerBytes::AtLeast(1024)).is_err());
    }
}
