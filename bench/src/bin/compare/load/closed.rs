//! As fast as the server answers: every answer makes room for the next call.

use super::{
    Call,
    connection::{Connection, Ticket},
};
use crate::{clock, failure::Failure, h2load::Shape};

const TICKET: Ticket = Ticket {
    due: 0,
    measured: false,
};

/// Makes `total` calls, `nth` of which is which; how many were answered a
/// second.
pub(crate) fn run<'a>(
    address: &str,
    shape: Shape,
    total: u64,
    mut nth: impl FnMut(u64) -> &'a Call,
) -> Result<f64, Failure> {
    let mut connections = (0..shape.connections)
        .map(|_| Connection::open(address))
        .collect::<Result<Vec<_>, _>>()?;
    let start = clock::now();
    let (mut sent, mut answered) = (0, 0);
    while answered < total {
        for connection in &mut connections {
            connection.receive(|_| answered += 1)?;
            while sent < total && connection.in_flight() < shape.streams as usize {
                if !connection.call(nth(sent), TICKET) {
                    break;
                }
                sent += 1;
            }
            connection.flush()?;
        }
    }
    Ok(total as f64 / start.elapsed().as_secs_f64())
}
