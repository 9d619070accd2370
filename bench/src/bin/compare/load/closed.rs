//! As fast as the server answers: every answer makes room for the next call.

use std::{cell::Cell, iter::repeat_n};

use futures_util::future::try_join_all;

use super::{Call, connection::Connection, runtime};
use crate::{clock, failure::Failure, h2load::Shape};

/// Makes `total` calls, `nth` of which is which; how many were answered a
/// second.
pub(crate) fn run<'a>(
    address: &str,
    shape: Shape,
    total: u64,
    nth: impl Fn(u64) -> &'a Call,
) -> Result<f64, Failure> {
    runtime()?.block_on(async {
        let connections = Connection::open_several(address, shape.connections).await?;
        let start = clock::now();
        let next = Cell::new(0);
        let caller = async |connection: &Connection| {
            while next.get() < total {
                let number = next.replace(next.get() + 1);
                connection.call(nth(number)).await?;
            }
            Ok::<_, Failure>(())
        };
        let streams = |connection| repeat_n(connection, shape.streams as usize);
        try_join_all(connections.iter().flat_map(streams).map(caller)).await?;
        Ok(total as f64 / start.elapsed().as_secs_f64())
    })
}
