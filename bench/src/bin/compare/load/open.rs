//! At a steady rate, whatever the server does: each call has an instant at
//! which it is due, and what it took counts from then. So a server that stalls
//! for a while is charged for all that would have been asked meanwhile.

use std::{collections::VecDeque, time::Duration};

use super::{
    Call,
    connection::{Connection, Ticket},
};
use crate::{clock, failure::Failure};

/// Below what any server here allows; the rest waits at the caller.
const STREAMS: usize = 200;
/// So often is it looked at what nobody waits for.
const SELDOM: u64 = 64;
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
pub(crate) struct Outcome {
    /// When each was due, since the start, and how long its answer took from
    /// then; in nanoseconds.
    pub(crate) latencies: Vec<(u64, u64)>,
    /// When the event was answered, since the start.
    pub(crate) answered: Option<Duration>,
}

/// Carries out the plan, and waits until all is answered.
pub(crate) fn run(plan: &Plan<'_>) -> Result<Outcome, Failure> {
    let open = |count: u32| -> Result<Vec<Lane<'_>>, Failure> {
        (0..count).map(|_| Lane::open(plan.address)).collect()
    };
    let mut lanes = open(plan.connections)?;
    let mut watchers = watching(plan)?;
    let mut control = Lane::open(plan.address)?;
    let mut gets = Schedule::new(plan.gets, true);
    let mut others = plan.others.map(|flow| Schedule::new(flow, false));
    let mut event = plan.event;
    let mut outcome = Outcome {
        latencies: Vec::new(),
        answered: None,
    };
    let end = nanoseconds(plan.duration);
    let start = clock::now();
    for turn in 0_u64.. {
        let now = nanoseconds(start.elapsed());
        let until = now.min(end);
        gets.fall_due(until, &mut lanes);
        if let Some(others) = &mut others {
            others.fall_due(until, &mut lanes);
        }
        if let Some((at, call)) = event.take_if(|(at, _)| nanoseconds(*at) <= now) {
            control.queue.push_back((call, unmeasured(at)));
        }
        for lane in &mut lanes {
            lane.turn(|ticket| {
                if ticket.measured {
                    let took = nanoseconds(start.elapsed()) - ticket.due;
                    outcome.latencies.push((ticket.due, took));
                }
            })?;
        }
        if turn.is_multiple_of(SELDOM) {
            control.turn(|_| outcome.answered = Some(start.elapsed()))?;
            for watcher in &mut watchers {
                watcher.receive(|_| {})?;
                watcher.flush()?;
            }
            let idle = lanes.iter().chain([&control]).all(Lane::is_idle);
            if now > end && idle && event.is_none() {
                break;
            }
            if now > end + nanoseconds(PATIENCE) {
                return Err(wrong("calls were left unanswered"));
            }
        }
    }
    if watchers.iter().all(Connection::has_received) {
        Ok(outcome)
    } else {
        Err(wrong("a watcher was told nothing"))
    }
}

/// A connection, and what is due on it but can't go out yet.
struct Lane<'a> {
    connection: Connection,
    queue: VecDeque<(&'a Call, Ticket)>,
}

impl Lane<'_> {
    fn open(address: &str) -> Result<Self, Failure> {
        Ok(Self {
            connection: Connection::open(address)?,
            queue: VecDeque::new(),
        })
    }

    fn turn(&mut self, answered: impl FnMut(Ticket)) -> Result<(), Failure> {
        self.connection.receive(answered)?;
        while self.connection.in_flight() < STREAMS {
            match self.queue.front() {
                Some((call, ticket)) if self.connection.call(call, *ticket) => {
                    self.queue.pop_front();
                }
                _ => break,
            }
        }
        Ok(self.connection.flush()?)
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.connection.in_flight() == 0
    }
}

/// Which calls of a flow were due already.
struct Schedule<'a> {
    flow: Flow<'a>,
    measured: bool,
    /// How many were.
    count: usize,
}

impl<'a> Schedule<'a> {
    fn new(flow: Flow<'a>, measured: bool) -> Self {
        Self {
            flow,
            measured,
            count: 0,
        }
    }

    /// Hands what is due until `now` to the lanes in turn.
    fn fall_due(&mut self, now: u64, lanes: &mut [Lane<'a>]) {
        loop {
            let due = Duration::from_secs_f64(self.count as f64 / self.flow.rate);
            let due = nanoseconds(due);
            if due >= now {
                return;
            }
            let call = &self.flow.calls[self.count % self.flow.calls.len()];
            let lane = self.count % lanes.len();
            let measured = self.measured;
            lanes[lane]
                .queue
                .push_back((call, Ticket { due, measured }));
            self.count += 1;
        }
    }
}

/// Opens the streams that only listen.
fn watching(plan: &Plan<'_>) -> Result<Vec<Connection>, Failure> {
    let Some(Watches {
        call,
        connections,
        each,
    }) = plan.watches
    else {
        return Ok(Vec::new());
    };
    let mut watchers = Vec::new();
    for _ in 0..connections {
        let mut connection = Connection::open(plan.address)?;
        for _ in 0..each {
            if !connection.call(call, unmeasured(Duration::ZERO)) {
                return Err(wrong("no room for a Watch"));
            }
        }
        connection.flush()?;
        watchers.push(connection);
    }
    Ok(watchers)
}

fn wrong(what: &str) -> Failure {
    Failure::WrongAnswer(what.to_owned())
}

fn unmeasured(due: Duration) -> Ticket {
    Ticket {
        due: nanoseconds(due),
        measured: false,
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
