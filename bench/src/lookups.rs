//! Rounds of lookups within a process: every contestant in turn, on the same
//! keys, in as many threads.

use std::{fmt, hint::black_box, sync::Barrier, thread, time::Instant};

use crate::statistics::{Row, ratios, turns};

/// The byte that every value begins with: a lookup is for reading it.
pub const FIRST: u8 = 7;

/// How lookups follow each other.
#[derive(Clone, Copy)]
pub enum Pace {
    /// The key of each depends on what the last one found, as for a caller that
    /// uses what it looked up.
    Chained,
    /// All keys are known ahead: the processor begins the next lookups while
    /// one waits for memory.
    InARow,
}

impl Pace {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Chained, Self::InARow];
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chained => "chained",
            Self::InARow => "in a row",
        })
    }
}

/// A lookup found nothing, or another value: there is no figure of that.
#[derive(Debug, thiserror::Error)]
#[error("a lookup missed")]
pub struct Missed;

/// A contestant: its name, and what its lookups take in a round, each in
/// nanoseconds.
pub struct Side<'a> {
    /// Its name in the rows.
    pub name: String,
    /// Measures the round of this number.
    pub round: Box<dyn Fn(u32) -> Result<f64, Missed> + 'a>,
}

impl<'a> Side<'a> {
    /// A contestant by its name.
    pub fn new(name: &str, round: impl Fn(u32) -> Result<f64, Missed> + 'a) -> Self {
        let name = name.to_owned();
        let round = Box::new(round);
        Self { name, round }
    }
}

/// So many rounds, and one before that warms up. The time of a lookup of each
/// side, and the ratios to the first side.
///
/// # Errors
/// A lookup missed.
pub fn contest(rounds: u32, case: &str, sides: &[Side<'_>]) -> Result<Vec<Row>, Missed> {
    let mut nanoseconds = vec![Vec::new(); sides.len()];
    for round in 0..=rounds {
        for side in turns(round as usize, sides.len()) {
            let time = (sides[side].round)(round)?;
            if round > 0 {
                nanoseconds[side].push(time);
            }
        }
    }
    let measured = || sides.iter().map(|side| &side.name).zip(&nanoseconds);
    let times = measured()
        .map(|(name, times)| Row::new(format!("{name} get, {case}"), "ns", times.iter().copied()));
    let by_first = measured().skip(1).map(|(name, others)| {
        let name = format!("{name} / {} get, {case}", sides[0].name);
        Row::new(name, "x", ratios(others, &nanoseconds[0]))
    });
    Ok(times.chain(by_first).collect())
}

/// What every thread took, if all begin together.
///
/// # Errors
/// A lookup missed.
pub fn in_threads(
    threads: u32,
    look_up: impl Fn(u32) -> Result<f64, Missed> + Sync,
) -> Result<Vec<f64>, Missed> {
    let (barrier, look_up) = (&Barrier::new(threads as usize), &look_up);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    barrier.wait();
                    look_up(thread)
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|time| time.unwrap_or(Err(Missed))).collect()
    })
}

/// The nanoseconds that it takes to look up the keys at these places.
///
/// # Errors
/// A lookup missed.
pub fn time(
    pace: Pace,
    keys: &[String],
    places: impl Iterator<Item = usize>,
    first_byte: impl Fn(&str) -> Option<u8>,
) -> Result<f64, Missed> {
    let look_up = |place: usize| {
        let key = keys.get(place).ok_or(Missed)?;
        black_box(first_byte(black_box(key))).ok_or(Missed)
    };
    let start = now();
    let mut others = 0;
    let mut found = FIRST;
    for place in places {
        found = match pace {
            // The same place, which the processor can't know yet.
            Pace::Chained => look_up(place ^ usize::from(found ^ FIRST))?,
            Pace::InARow => look_up(place)?,
        };
        others |= found ^ FIRST;
    }
    if others != 0 {
        return Err(Missed);
    }
    Ok(start.elapsed().as_secs_f64() * 1e9)
}

#[expect(clippy::disallowed_methods, reason = "measures; nothing expires by it")]
fn now() -> Instant {
    Instant::now()
}
