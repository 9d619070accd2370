//! The turns of a connection.
//!
//! In a turn the connection reads what has arrived, answers the calls that can be
//! answered at once, lets the others go on, and at the end sends everything that was
//! written. Guarantees that a turn has an end, and that nothing that woke the connection
//! is forgotten: it prolongs the turn or begins another.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Request, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    call::Call,
    gate::Gate,
    lifecycle::{self, Event, Lifecycle},
    message::{Arrival, NoMessage},
    peer::Peer,
    reply::{Gone, Reply},
    socket::{Reading, Socket},
};
use crate::{
    rpc::fast_path::Method,
    server::{calls::Admitted, methods::Requests},
};

/// How long a turn lasts at most, but for the call that is being answered then.
const TURN: Duration = Duration::from_micros(100);
/// The clock is read once for so many Gets, or for one other call.
const GETS_PER_CHECK: u32 = 16;

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Http(#[from] h2::Error),
    #[error("can't send: {0}")]
    Send(io::Error),
    #[error("the peer doesn't answer")]
    PeerGone,
    #[error("the server cut it")]
    Cut,
}

/// A call that waits, or what else happens to a connection.
type Waiting = Pin<Box<dyn Future<Output = Event> + Send>>;

/// A connection after its preface, as the sequence of its turns.
pub(super) struct Turns {
    wire: h2::server::Connection<Socket, Bytes>,
    socket: Socket,
    gate: Arc<Gate>,
    /// Of the gate.
    waker: Waker,
    /// Calls whose headers have been read. HTTP/2 reads their bodies until it has
    /// nothing more to read.
    arrived: VecDeque<(Request<RecvStream>, SendResponse<Bytes>)>,
    /// How many of them there can be: a peer that resets its calls at once can send
    /// any number of them.
    max_arrived: usize,
    /// Calls that wait for something, and what else happens to the connection.
    waiting: FuturesUnordered<Waiting>,
    peer: Arc<Peer>,
    /// Whether the peer was told that the connection ends for what it sent.
    is_closed: bool,
    cut: CancellationToken,
}

/// The time that a turn has taken.
struct Clock {
    begun: Option<Instant>,
    calls: u32,
    is_over: bool,
}

impl Clock {
    fn new() -> Self {
        Self {
            begun: None,
            calls: 0,
            is_over: false,
        }
    }

    /// Counts a call that is worth so many Gets; whether the turn is over.
    fn count(&mut self, gets: u32) -> bool {
        self.calls += gets;
        if self.calls >= GETS_PER_CHECK {
            self.calls = 0;
            let begun = *self.begun.get_or_insert_with(Instant::now);
            self.is_over |= begun.elapsed() >= TURN;
        }
        self.is_over
    }
}

impl Future for Turns {
    type Output = Result<(), Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        this.gate.begin_turn(cx.waker());
        this.socket.begin_turn();
        let waker = this.waker.clone();
        let mut gated = Context::from_waker(&waker);
        let mut clock = Clock::new();
        loop {
            match this.advance(&mut gated, &mut clock) {
                Poll::Ready(outcome) => return Poll::Ready(outcome),
                Poll::Pending if clock.is_over || !this.gate.take_wake() => break,
                // Bounded in time as well: a source of the runtime that has used up what
                // a task may poll at a time wakes the task at once.
                Poll::Pending => {
                    clock.count(GETS_PER_CHECK);
                }
            }
        }
        if let Poll::Ready(Err(error)) = this.socket.poll_send(&mut gated) {
            return Poll::Ready(Err(Error::Send(error)));
        }
        if this.gate.end_turn() || clock.is_over {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Turns {
    /// The turns of a connection, `max_streams` of whose calls may be in flight. What
    /// `lifecycle` waits for happens to the connection.
    pub(super) fn new(
        mut wire: h2::server::Connection<Socket, Bytes>,
        socket: Socket,
        peer: Peer,
        max_streams: usize,
        lifecycle: Lifecycle,
    ) -> Self {
        let gate = Arc::new(Gate::default());
        let cut = lifecycle.cut.clone();
        let waiting = FuturesUnordered::<Waiting>::new();
        if let Some(pings) = wire.ping_pong() {
            waiting.push(Box::pin(lifecycle::keep_alive(pings, socket.clone())));
        }
        waiting.push(Box::pin(lifecycle.leave()));
        Self {
            wire,
            socket,
            waker: Waker::from(gate.clone()),
            gate,
            arrived: VecDeque::new(),
            max_arrived: max_streams,
            waiting,
            peer: Arc::new(peer),
            is_closed: false,
            cut,
        }
    }

    /// Reads, answers and writes what there is.
    fn advance(&mut self, cx: &mut Context<'_>, clock: &mut Clock) -> Poll<Result<(), Error>> {
        while self.arrived.len() < self.max_arrived {
            match self.wire.poll_accept(cx) {
                Poll::Ready(Some(call)) => self.arrived.push_back(call?),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        let Reading {
            is_spent,
            is_abused,
        } = self.socket.reading();
        clock.is_over |= is_spent;
        if is_abused && !self.is_closed {
            self.is_closed = true;
            self.wire.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.waker.wake_by_ref();
        }
        while let Some((request, respond)) = self.arrived.pop_front() {
            let gets = self.begin(request, respond, cx);
            if clock.count(gets) {
                break;
            }
        }
        while !clock.is_over {
            match self.waiting.poll_next_unpin(cx) {
                Poll::Ready(Some(event)) => self.handle(event)?,
                Poll::Ready(None) | Poll::Pending => break,
            }
            clock.count(GETS_PER_CHECK);
        }
        Poll::Pending
    }

    fn handle(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::CallEnded => {}
            Event::Leave => {
                self.peer.share.retire();
                self.wire.graceful_shutdown();
                // HTTP/2 tells the peer when it is polled.
                self.waker.wake_by_ref();
                self.waiting
                    .push(Box::pin(lifecycle::cut(self.cut.clone())));
            }
            Event::Cut => return Err(Error::Cut),
            Event::PeerGone => return Err(Error::PeerGone),
        }
        Ok(())
    }

    /// Begins a call, and ends it if that takes no time. Returns how many Gets it was
    /// worth.
    fn begin(
        &mut self,
        request: Request<RecvStream>,
        respond: SendResponse<Bytes>,
        cx: &mut Context<'_>,
    ) -> u32 {
        let (head, mut body) = request.into_parts();
        let mut reply = Reply::New(respond);
        let admitted = match self.peer.calls.admit(&head) {
            Ok(admitted) => admitted,
            Err(unfit) => {
                // An error means that the peer has gone.
                let _ = reply.send_only_headers(Response::from(unfit).map(drop));
                return 1;
            }
        };
        let mut arrival = Arrival::new(admitted.limits.request);
        let mut is_declined = false;
        if admitted.requests == Requests::One {
            match arrival.poll(&mut body, cx) {
                Poll::Ready(Ok(())) => match self.answer_fast(&admitted, &arrival, &mut reply) {
                    Fast::Answered(gets) => return gets,
                    Fast::Declined => is_declined = true,
                    Fast::NoRoom => {}
                },
                Poll::Ready(Err(NoMessage::Refused(refusal))) => {
                    let _ = reply.refuse(refusal);
                    return 1;
                }
                Poll::Ready(Err(NoMessage::Gone)) => return 1,
                Poll::Pending => {}
            }
        }
        let call = Call {
            head,
            admitted,
            body,
            arrival,
            reply,
            is_declined,
        };
        let peer = self.peer.clone();
        let mut running: Waiting = Box::pin(async move {
            call.run(peer).await;
            Event::CallEnded
        });
        // Most calls end without having to wait.
        if running.as_mut().poll(cx).is_pending() {
            self.waiting.push(running);
        }
        GETS_PER_CHECK
    }

    /// Answers on the fast path, if that can be done at once.
    fn answer_fast(&self, admitted: &Admitted, arrival: &Arrival, reply: &mut Reply) -> Fast {
        let peer = &self.peer;
        let Some((method, message)) = admitted.fast.zip(arrival.message()) else {
            return Fast::Declined;
        };
        if peer.memory.is_stalled() {
            return Fast::NoRoom;
        }
        let Some(framed) = peer.calls.fast().answer_fast(method, message) else {
            return Fast::Declined;
        };
        if !peer.memory.fits(framed.len()) {
            return Fast::NoRoom;
        }
        match reply.try_send(framed, peer) {
            Ok(false) => Fast::NoRoom,
            // An error means that the peer has gone, and nothing is left to do.
            Ok(true) | Err(Gone) => Fast::Answered(match method {
                Method::Get => 1,
                Method::BatchGet => GETS_PER_CHECK,
            }),
        }
    }
}

/// What came of the attempt to answer a call on the fast path.
enum Fast {
    /// The call is over; it was worth so many Gets.
    Answered(u32),
    /// The fast path has no answer.
    Declined,
    /// There is no room for the response.
    NoRoom,
}
