//! Why there is no figure.

use std::{fmt, io};

#[derive(thiserror::Error)]
pub(crate) enum BenchError {
    #[error("{program} could not be started: {source}{}", hint(program))]
    Start { program: String, source: io::Error },
    #[error("{0} ended before it said where it listens")]
    NotListening(String),
    #[error("h2load failed: {0}")]
    Load(String),
    #[error("h2load reported something unknown: {0} is missing")]
    Unreadable(&'static str),
    #[error("wrong answer: {0}")]
    WrongAnswer(String),
    #[error("the call failed: {0}")]
    Call(#[from] tonic::Status),
    #[error("no connection: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// `main` prints an error's Debug; let it read like its message.
impl fmt::Debug for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn hint(program: &str) -> &'static str {
    match program {
        "h2load" => "; apt-get install nghttp2-client",
        "taskset" => "; apt-get install util-linux",
        _ => "",
    }
}
