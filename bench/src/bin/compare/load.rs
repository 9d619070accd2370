//! A load generator for what h2load can't do: requests that differ in kind and
//! key on one connection, at a rate that doesn't wait for the answers, and what
//! each answer took. It speaks just as much HTTP/2 as that needs, over sockets
//! that it polls without rest, on a core of its own.

pub(crate) mod closed;
mod connection;
mod frame;
mod header;
pub(crate) mod open;

use crate::{failure::Failure, grpc};

/// A call, ready to be sent any number of times.
pub(crate) struct Call {
    pub(crate) path: &'static str,
    /// A gRPC frame.
    pub(crate) body: Vec<u8>,
    /// A shorter answer is a wrong one: a gRPC error has no body at all.
    pub(crate) least_answer: usize,
}

impl Call {
    pub(crate) fn new(
        path: &'static str,
        message: &impl prost::Message,
        least_answer: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            path,
            body: grpc::frame(message)?,
            least_answer,
        })
    }
}

#[cfg(test)]
mod tests;
