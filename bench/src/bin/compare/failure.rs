//! Why there is no figure.

use std::{fmt, io};

#[derive(thiserror::Error)]
pub(crate) enum Failure {
    /// The run goes on without it.
    #[error("{0} isn't installed")]
    Missing(String),
    #[error("{program} could not be started: {source}")]
    Start { program: String, source: io::Error },
    #[error("{0} ended, or didn't answer, before it could be used")]
    NotListening(String),
    #[error("{program} failed: {complaint}")]
    Load { program: String, complaint: String },
    #[error("{program} reported something unknown: {what} is missing")]
    Unreadable {
        program: &'static str,
        what: &'static str,
    },
    #[error("wrong answer: {0}")]
    WrongAnswer(String),
    #[error("the call failed: {0}")]
    Call(#[from] tonic::Status),
    #[error("no connection: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("the load's connection failed: {0}")]
    Http2(#[from] h2::Error),
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

impl Failure {
    /// Whether there is nobody to measure, rather than something wrong with
    /// what was measured.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Missing(_) | Self::NotListening(_))
    }
}

/// `main` prints an error's Debug; let it read like its message.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
