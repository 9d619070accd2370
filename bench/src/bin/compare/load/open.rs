//! At a steady rate, whatever the server does: each call has an instant at
//! which it is due, and what it took counts from then. So a server that stalls
//! for a while is charged for all that would have been asked meanwhile.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
    try_join,
};

use super::{
    Call,
    connection::{Connection, wrong},
    runtime,
};
use crate::{clock, failure::Failure};

/// After this long without the last answers there is something wrong.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is asked of the server.
pub(crate) struct Plan<'a> {
    pub(crate) address: &'a str,
    pub(crate) connections: u32,
    pub(crate) duration: Duration,
    /// What is measured.
    pub(crate) gets: Flow<'a>,
    /// What goes on beside it.
    pub(crate) others: Option<Flow<'a>>,
    /// One call at an instant, on a connection of its own.
    pub(crate) event: Option<(Duration, &'a Call)>,
    pub(crate) watches: Option<Watches<'a>>,
}

/// Streams that only listen.
pub(crate) struct Watches<'a> {
    pub(crate) call: &'a Call,
    pub(crate) connections: u32,
    /// On each connection.
    pub(crate) each: u32,
}

/// Calls in turn, at a rate.
#[derive(Clone, Copy)]
pub(crate) struct Flow<'a> {
    pub(crate) calls: &'a [Call],
    /// A second.
    pub(crate) rate: f64,
}

/// What the calls took.
pub(crate) struct Measured {
    /// When each Get was due, since the start, and how long its answer took from
    /// then.
    pub(crate) latencies: Vec<(Duration, Duration)>,
    /// When the event was answered, since the start.
    pub(crate) answered: Option<Duration>,
}

/// Carries out the plan, and waits until all is answered.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Measured, Failure> {
    runtime()?.block_on(async {
        let outcome = timeout(plan.duration + PATIENCE, carry_out(plan)).await;
        outcome.unwrap_or_else(|_| Err(wrong("calls were left unanswered")))
    })
}

async fn carry_out(plan: &Plan<'_>) -> Result<Measured, Failure> {
    let connections = Connection::open_several(plan.address, plan.connections).await?;
    let control = Connection::open(plan.address).await?;
    let mut watchers = Vec::new();
    let mut watches = Vec::new();
    if let Some(Watches {
        call,
        connections,
        each,
    }) = plan.watches
    {
        watchers = Connection::open_several(plan.address, connections).await?;
        for watcher in &watchers {
            for _ in 0..each {
                watches.push(watcher.send(call).await?);
            }
        }
    }
    let start = clock::now();
    let event = async {
        let Some((at, call)) = plan.event else {
            return Ok(None);
        };
        sleep(at).await;
        control.call(call).await?;
        Ok(Some(start.elapsed()))
    };
    let (latencies, answered) = try_join!(paced(plan, &connections, start), event)?;
    // Only now, lest reading them delay the measured calls.
    for watch in watches {
        if watch.await?.into_body().data().await.is_none() {
            return Err(wrong("a watcher was told nothing"));
        }
    }
    drop(watchers);
    Ok(Measured {
        latencies,
        answered,
    })
}

/// Makes the calls of the flows when they are due. Polls without rest: a timer
/// would be late by up to a millisecond.
async fn paced(
    plan: &Plan<'_>,
    connections: &[Connection],
    start: Instant,
) -> Result<Vec<(Duration, Duration)>, Failure> {
    let mut gets = Schedule::new(plan.gets);
    let mut others = plan.others.map(Schedule::new);
    let mut calls = FuturesUnordered::new();
    let mut latencies = Vec::new();
    let answered = async |number: usize, call, due| {
        connections[number % connections.len()].call(call).await?;
        Ok::<_, Failure>((due, start.elapsed()))
    };
    loop {
        let now = start.elapsed();
        let until = now.min(plan.duration);
        while let Some((number, call, due)) = gets.next_due(until) {
            calls.push(answered(number, call, Some(due)));
        }
        while let Some((number, call, _)) = others.as_mut().and_then(|flow| flow.next_due(until)) {
            calls.push(answered(number, call, None));
        }
        match calls.next().now_or_never() {
            Some(Some(answer)) => {
                let (due, at) = answer?;
                latencies.extend(due.map(|due| (due, at - due)));
            }
            Some(None) if now > plan.duration => return Ok(latencies),
            _ => yield_now().await,
        }
    }
}

/// Which calls of a flow were due already.
struct Schedule<'a> {
    flow: Flow<'a>,
    /// How many were.
    count: usize,
}

impl<'a> Schedule<'a> {
    fn new(flow: Flow<'a>) -> Self {
        Self { flow, count: 0 }
    }

    /// The next call that is due before `now`: its number, and since when.
    fn next_due(&mut self, now: Duration) -> Option<(usize, &'a Call, Duration)> {
        let due = Duration::from_secs_f64(self.count as f64 / self.flow.rate);
        let number = self.count;
        let call = &self.flow.calls[number % self.flow.calls.len()];
        (due < now).then(|| {
            self.count += 1;
            (number, call, due)
        })
    }
}
