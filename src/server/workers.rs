//! The threads that serve. Each worker has a single-threaded runtime, and a connection stays on it
//! from its first byte to its last: no call waits for another core, and workers share only the
//! service. The first worker also reclaims.
//!
//! A new connection goes to the worker with the fewest connections. An invalidation that has begun
//! runs to its end. Memory is reclaimed until the last worker ends.

use std::{
    convert::Infallible,
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
    task::JoinSet,
};
use tracing::debug;

use super::{
    connection::{Accepted, Transport},
    reclaimer::Reclaimer,
    slot::{Permit, Slot},
    stranger::Strangers,
};

/// How many sockets may wait for one worker before accepting waits as well.
const BACKLOG: usize = 64;

/// Hands sockets to the workers. Once it is dropped, each worker ends as soon as its connections
/// have ended.
#[derive(Debug)]
pub(super) struct Workers {
    workers: Box<[Worker]>,
    /// Where the search for the fewest connections begins, so that equal workers take turns.
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Worker {
    sockets: mpsc::Sender<Job>,
    open: Arc<AtomicUsize>,
}

struct Job {
    socket: Accepted,
    slot: Slot,
    /// The counter of strangers at the address of the listener.
    strangers: Arc<Strangers>,
}

/// The reclaimer, which the first worker runs for as long as the other workers serve.
struct Reclaiming {
    reclaimer: Reclaimer,
    /// Nothing is sent. The channel closes when the last of the other workers ends.
    others: mpsc::Receiver<Infallible>,
}

/// The ends of the workers.
pub(super) struct Ends(Vec<oneshot::Receiver<()>>);

/// A worker ended before its time.
#[derive(Debug)]
pub(super) struct Lost;

impl Workers {
    /// Starts `count` threads.
    ///
    /// # Errors
    /// The system gives no thread, or no runtime for it. Workers that have started end.
    pub(super) fn start(
        count: u32,
        transport: &Transport,
        reclaimer: Option<Reclaimer>,
    ) -> io::Result<(Self, Ends)> {
        let mut workers = Vec::new();
        let mut ends = Vec::new();
        let (serving, others) = mpsc::channel(1);
        let mut reclaiming = reclaimer.map(|reclaimer| Reclaiming { reclaimer, others });
        for number in 0..count {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let transport = transport.for_worker();
            let reclaiming = reclaiming.take();
            let serving = reclaiming.is_none().then(|| serving.clone());
            let (sockets, handed) = mpsc::channel(BACKLOG);
            let (ended, end) = oneshot::channel();
            thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || {
                    work(runtime, handed, transport, reclaiming);
                    drop(serving);
                    // Nothing waits for the end if the server was dropped.
                    let _ = ended.send(());
                })?;
            let open = Arc::default();
            workers.push(Worker { sockets, open });
            ends.push(end);
        }
        let workers = Self {
            workers: workers.into(),
            turn: AtomicUsize::default(),
        };
        Ok((workers, Ends(ends)))
    }

    /// Gives a socket to the worker with the fewest connections.
    ///
    /// # Cancel safety
    /// Dropping the future closes the socket.
    pub(super) async fn hand_over(
        &self,
        socket: Accepted,
        permit: Permit,
        strangers: Arc<Strangers>,
    ) -> Result<(), Lost> {
        let worker = self.least_loaded();
        let slot = Slot::new(permit, worker.open.clone());
        let job = Job {
            socket,
            slot,
            strangers,
        };
        worker.sockets.send(job).await.map_err(|_| Lost)
    }

    fn least_loaded(&self) -> &Worker {
        let (before, from) = self
            .workers
            .split_at(self.turn.fetch_add(1, Relaxed) % self.workers.len());
        let in_turn = from.iter().chain(before);
        // `min_by_key` returns the first of equal workers.
        in_turn
            .min_by_key(|worker| worker.open.load(Relaxed))
            .unwrap_or(&self.workers[0])
    }
}

impl Ends {
    /// Waits for all workers, or for the first that panics.
    pub(super) async fn all(self) -> Result<(), Lost> {
        let mut waits: JoinSet<_> = self.0.into_iter().collect();
        while let Some(end) = waits.join_next().await {
            match end {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(Lost),
            }
        }
        Ok(())
    }
}

/// Serves the sockets that are handed over, until no more can come and all connections have ended.
/// Then reclaims until the other workers have ended too.
fn work(
    runtime: Runtime,
    mut sockets: mpsc::Receiver<Job>,
    transport: Transport,
    reclaiming: Option<Reclaiming>,
) {
    let transport = Arc::new(transport);
    runtime.block_on(async {
        let others = reclaiming.map(|Reclaiming { reclaimer, others }| {
            tokio::spawn(reclaimer.run());
            others
        });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                job = sockets.recv() => {
                    let Some(Job { socket, slot, strangers }) = job else {
                        break;
                    };
                    let transport = transport.clone();
                    connections.spawn(async move {
                        transport.serve(socket, slot, &strangers).await;
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }
        while connections.join_next().await.is_some() {}
        if let Some(mut others) = others {
            others.recv().await;
        }
    });
    // An unfinished invalidation, whose caller went away, runs to its end when it is dropped.
    drop(runtime);
    debug!("a worker ended");
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::server::{
        BoundAddr,
        slot::{Holder, Slots},
    };

    fn worker() -> (Worker, mpsc::Receiver<Job>) {
        let (sockets, handed) = mpsc::channel(BACKLOG);
        let open = Arc::default();
        (Worker { sockets, open }, handed)
    }

    #[tokio::test]
    async fn new_connection_goes_to_the_worker_with_the_fewest() {
        let (workers, mut handed): (Vec<_>, Vec<_>) = (0..3).map(|_| worker()).unzip();
        let workers = Workers {
            workers: workers.into(),
            turn: AtomicUsize::default(),
        };
        let slots = Slots::new(100);
        let address = BoundAddr::Unix("c.sock".into());
        let strangers = Arc::new(Strangers::new(address));
        let hand_over = async || {
            let (socket, _) = UnixStream::pair().unwrap();
            let permit = slots.take(Holder::User(0)).unwrap();
            let strangers = strangers.clone();
            let handed_over = workers.hand_over(Accepted::Unix(socket), permit, strangers);
            handed_over.await.unwrap();
        };
        let open = || {
            let counts = workers.workers.iter();
            counts.map(|worker| worker.open.load(Relaxed)).collect()
        };
        for _ in 0..9 {
            hand_over().await;
        }
        let counts: Vec<_> = open();
        assert_eq!(counts, [3, 3, 3]);

        // The connections of one worker end.
        while handed[1].try_recv().is_ok() {}
        for _ in 0..2 {
            hand_over().await;
        }
        let counts: Vec<_> = open();
        assert_eq!(counts, [3, 2, 3]);
        assert_eq!(slots.taken(), 8);
    }
}
