//! A load generator for what h2load can't do: requests that differ in kind and
//! key on one connection, at a rate that doesn't wait for the answers, and what
//! each answer took. One thread, on a core of its own.

pub(crate) mod closed;
mod connection;
pub(crate) mod open;

use bytes::Bytes;
use hyper::{Request, header};
use tokio::runtime::{Builder, Runtime};

use crate::{failure::Failure, grpc};

/// A call, ready to be sent any number of times.
pub(crate) struct Call {
    request: Request<()>,
    /// A gRPC frame.
    body: Bytes,
    /// A shorter answer is a wrong one: a gRPC error has no body at all.
    least_answer: usize,
}

impl Call {
    pub(crate) fn new(
        path: &str,
        message: &impl prost::Message,
        least_answer: usize,
    ) -> Result<Self, Failure> {
        let request = Request::post(format!("http://localhost{path}"))
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
            .body(())
            .map_err(std::io::Error::other)?;
        Ok(Self {
            request,
            body: grpc::frame(message)?.into(),
            least_answer,
        })
    }
}

fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

#[cfg(test)]
mod tests;
