//! Who had the machine's processors: lest a neighbour's work be taken for a
//! server's limit.

use std::{fs, io, time::Duration};

use crate::failure::Failure;

/// Of the kernel's account, which it keeps in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Processor time spent since some instant.
#[derive(Clone, Copy)]
pub(crate) struct Spent {
    /// By everybody, on all cores.
    by_all: Duration,
    /// By this program, and those it started that have ended.
    by_us: Duration,
}

impl Spent {
    pub(crate) fn so_far() -> Result<Self, Failure> {
        let machine = fs::read_to_string("/proc/stat")?;
        let ours = fs::read_to_string("/proc/self/stat")?;
        let unreadable = || io::Error::other("/proc holds no account of the processors");
        Ok(Self {
            by_all: by_all(&machine).ok_or_else(unreadable)?,
            by_us: by_us(&ours).ok_or_else(unreadable)?,
        })
    }

    /// What neither we nor `server` spent since `before`.
    pub(crate) fn by_others_since(self, before: Self, server: Duration) -> Duration {
        let all = self.by_all.saturating_sub(before.by_all);
        let ours = self.by_us.saturating_sub(before.by_us);
        all.saturating_sub(ours).saturating_sub(server)
    }
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal, and
/// what is in user already.
fn by_all(stat: &str) -> Option<Duration> {
    let ticks: Vec<u32> = stat
        .lines()
        .next()?
        .split_whitespace()
        .skip(1)
        .map_while(|field| field.parse().ok())
        .collect();
    let [user, nice, system, _, _, irq, softirq, steal, ..] = ticks[..] else {
        return None;
    };
    Some(TICK * (user + nice + system + irq + softirq + steal))
}

/// utime, stime, cutime and cstime, the 14th field and on; the name before may
/// hold spaces.
fn by_us(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let times = fields.split_whitespace().skip(11).take(4);
    let ticks: Vec<u32> = times.map_while(|field| field.parse().ok()).collect();
    (ticks.len() == 4).then(|| TICK * ticks.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_time_is_nobodys() {
        let stat = "cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 9 9 9 9\n";
        assert_eq!(by_all(stat), Some(TICK * 63));
        assert_eq!(by_all("cpu 1 2"), None);
    }

    #[test]
    fn our_time_holds_that_of_ended_children() {
        let stat = "77 (a b) c) S 1 1 1 0 -1 0 1 2 3 4 10 20 40 80 20 0 1";
        assert_eq!(by_us(stat), Some(TICK * 150));
        assert_eq!(by_us("77 (x) S 1"), None);
    }

    #[test]
    fn what_is_left_is_the_others() {
        let at = |all, us| Spent {
            by_all: TICK * all,
            by_us: TICK * us,
        };
        let others = at(100, 30).by_others_since(at(10, 10), TICK * 40);
        assert_eq!(others, TICK * 30);
        assert_eq!(at(1, 1).by_others_since(at(0, 0), TICK), Duration::ZERO);
    }
}
