//! The waker of a connection's turns.
//!
//! Most of what wakes a connection is its own doing: HTTP/2 asks to be polled
//! after each response it is given. A wake during a turn prolongs that turn; only
//! a wake between two turns schedules the task.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::AcqRel},
    },
    task::{Wake, Waker},
};

use futures_util::task::AtomicWaker;

const IN_TURN: u8 = 1;
const WOKEN: u8 = 2;

/// Wakes a connection's task, at most once between two turns.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Gate {
    /// Begins a turn of the task that `task` wakes.
    pub(super) fn begin_turn(&self, task: &Waker) {
        self.task.register(task);
        self.state.swap(IN_TURN, AcqRel);
    }

    /// Whether there has been a wake since the turn began or since the last call.
    pub(super) fn take_wake(&self) -> bool {
        self.state.swap(IN_TURN, AcqRel) & WOKEN != 0
    }

    /// Ends the turn. Whether there has been a wake that [`take_wake`](Self::take_wake)
    /// did not report: the caller then wakes the task.
    #[must_use]
    pub(super) fn end_turn(&self) -> bool {
        self.state.swap(0, AcqRel) & WOKEN != 0
    }
}

impl Wake for Gate {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(WOKEN, AcqRel) == 0 {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicU32);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn wake_between_turns_schedules_the_task_once_and_one_within_prolongs_the_turn() {
        let scheduled = Arc::new(Count::default());
        let task = Waker::from(scheduled.clone());
        let gate = Arc::new(Gate::default());
        let waker = Waker::from(gate.clone());
        gate.begin_turn(&task);
        assert!(!gate.take_wake());
        waker.wake_by_ref();
        assert!(gate.take_wake());
        assert!(!gate.take_wake());
        waker.wake_by_ref();
        assert!(gate.end_turn(), "a wake that nobody took");
        assert_eq!(scheduled.0.load(Relaxed), 0);
        waker.wake_by_ref();
        waker.wake_by_ref();
        assert_eq!(scheduled.0.load(Relaxed), 1);
        gate.begin_turn(&task);
        assert!(
            !gate.end_turn(),
            "the turn is the answer to an earlier wake"
        );
        waker.wake_by_ref();
        assert_eq!(scheduled.0.load(Relaxed), 2);
    }
}
