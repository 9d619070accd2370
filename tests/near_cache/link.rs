//! A TCP proxy: a link that can be cut, refuse connections, be slow in both directions, and hold
//! back bytes on their way to the client. What the client sends still passes, so the server answers
//! at once, and its answers grow old.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    select,
    sync::watch,
    task::JoinHandle,
    time::sleep,
};

/// Which connections of a link are affected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// Every second connection: a client has two.
    Odd,
    Even,
}

impl Which {
    fn has(self, connection: u64) -> bool {
        match self {
            Self::All => true,
            Self::Odd => connection % 2 == 1,
            Self::Even => connection.is_multiple_of(2),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    target: SocketAddr,
    stalled: Option<Which>,
    refuses: bool,
    /// The delay of every piece in either direction.
    delay: Duration,
    /// The number of cuts, and the connections of the last cut.
    cuts: u64,
    cut: Which,
}

pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    state: watch::Sender<State>,
    accepting: JoinHandle<()>,
}

impl Link {
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State {
            target,
            stalled: None,
            refuses: false,
            delay: Duration::ZERO,
            cuts: 0,
            cut: Which::All,
        });
        Self {
            address,
            state,
            accepting: tokio::spawn(accept(listener, seen)),
        }
    }

    pub(crate) fn stall(&self, which: Option<Which>) {
        self.state.send_modify(|state| state.stalled = which);
    }

    pub(crate) fn refuse(&self, refuses: bool) {
        self.state.send_modify(|state| state.refuses = refuses);
    }

    #[allow(dead_code, reason = "what is slow has no bound to be late for")]
    pub(crate) fn delay(&self, delay: Duration) {
        self.state.send_modify(|state| state.delay = delay);
    }

    pub(crate) fn cut(&self, which: Which) {
        self.state.send_modify(|state| {
            state.cuts += 1;
            state.cut = which;
        });
    }

    /// Sets the target of new connections.
    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| state.target = target);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: watch::Receiver<State>) {
    let connections = AtomicU64::new(0);
    loop {
        let (near, _) = listener.accept().await.unwrap();
        if state.borrow().refuses {
            continue;
        }
        let number = connections.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(carry(near, number, state.clone()));
    }
}

/// Carries one connection. Ends with either side, with a cut, or with the link.
async fn carry(near: TcpStream, number: u64, state: watch::Receiver<State>) {
    let (target, cuts) = {
        let state = state.borrow();
        (state.target, state.cuts)
    };
    let Ok(far) = TcpStream::connect(target).await else {
        return;
    };
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    let mut watched = state.clone();
    let cut = watched.wait_for(|state| state.cuts > cuts && state.cut.has(number));
    select! {
        () = pump(near_read, far_write, None, state.clone()) => (),
        () = pump(far_read, near_write, Some(number), state.clone()) => (),
        _ = cut => (),
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    stalls: Option<u64>,
    mut state: watch::Receiver<State>,
) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let delay = state.borrow().delay;
        if !delay.is_zero() {
            sleep(delay).await;
        }
        if let Some(number) = stalls {
            let clear = |state: &State| state.stalled.is_none_or(|which| !which.has(number));
            if state.wait_for(clear).await.is_err() {
                return;
            }
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
