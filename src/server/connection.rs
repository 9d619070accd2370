//! A connection: HTTP/2, its calls and their responses, in one task.
//!
//! The task goes by turns. In a turn the connection reads what has arrived,
//! answers the calls that can be answered at once, lets the others go on, and at the
//! end sends everything that was written with one system call. A turn is bounded in
//! time, so that a peer with many calls delays the other connections of its worker
//! no longer than a peer with one.
//!
//! Nothing is spawned for a call. A call that has to wait is a future in the
//! connection's own set, which polls only those that were woken.

mod call;
mod gate;
mod lifecycle;
pub(super) mod memory;
mod message;
mod peer;
mod reply;
mod socket;

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use h2::{Reason, RecvStream, server::SendResponse};
use http::{Request, Response};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

pub(super) use self::socket::Accepted;
use self::{
    call::Call,
    gate::Gate,
    lifecycle::{Event, Lifecycle},
    memory::{ConnectionMemory, Payload, ServerMemory},
    message::{Arrival, NoMessage},
    peer::Peer,
    reply::{Gone, Reply},
    socket::Socket,
};
use super::{
    calls::{Admitted, Calls},
    methods::Requests,
    slot::Slot,
    stranger::{HTTP1_ANSWER, Protocol, Strangers},
    timeouts::Timeouts,
};
use crate::rpc::{ConnectionShare, fast_path::Method};

/// What the headers of one call may take before HTTP/2 answers by itself, in
/// bytes: with 431, which tells a gRPC client next to nothing, and above four
/// times as much with the end of the connection. A quarter of it is what a call
/// may have; one in between is told so, and its headers are gone with that.
const MAX_HEADER_LIST: u32 = 64 * 1024;
/// After this many streams that the server reset for a peer's errors the connection
/// ends.
const MAX_ERROR_RESETS: usize = 1024;
/// What HTTP/2 takes of one response before it has written it, in bytes.
const MAX_SEND_BUFFER: usize = 64 * 1024;
/// What a peer may send of request bodies before they are read, in bytes: of one
/// call, and of all calls of a connection.
const WINDOW: u32 = 1024 * 1024;
/// How long a turn lasts at most, but for the call that is being answered then.
const TURN: Duration = Duration::from_micros(100);
/// The clock is read once for so many Gets, or for one other call.
const GETS_PER_CHECK: u32 = 16;

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Http(#[from] h2::Error),
    #[error("can't send: {0}")]
    Send(io::Error),
    #[error("the peer doesn't answer")]
    PeerGone,
    #[error("the server cut it")]
    Cut,
}

/// How connections are bounded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How many calls a connection may have in flight.
    pub(super) max_streams: u32,
    /// How much memory a connection may hold, in bytes.
    pub(super) memory: usize,
    /// How long a connection lives before its peer is asked to open another.
    pub(super) max_age: Duration,
    pub(super) timeouts: Timeouts,
}

/// Serves connections.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    http: h2::server::Builder,
    bounds: Bounds,
    calls: Calls,
    memory: Arc<ServerMemory>,
    /// Asks connections to end when their calls have.
    finish: CancellationToken,
    /// Ends connections at once.
    cut: CancellationToken,
}

impl Transport {
    pub(super) fn new(
        calls: Calls,
        bounds: Bounds,
        memory: Arc<ServerMemory>,
        finish: CancellationToken,
        cut: CancellationToken,
    ) -> Self {
        let mut http = h2::server::Builder::new();
        http.max_concurrent_streams(bounds.max_streams)
            .max_local_error_reset_streams(Some(MAX_ERROR_RESETS))
            // All that are open may be cancelled while the server stands still.
            .max_pending_accept_reset_streams(bounds.max_streams as usize * 4)
            .max_header_list_size(MAX_HEADER_LIST)
            .max_send_buffer_size(MAX_SEND_BUFFER)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(WINDOW);
        Self {
            http,
            bounds,
            calls,
            memory,
            finish,
            cut,
        }
    }

    /// The same with tokens of its own: they have locks that workers needn't share.
    pub(super) fn for_worker(&self) -> Self {
        Self {
            finish: self.finish.child_token(),
            cut: self.cut.child_token(),
            ..self.clone()
        }
    }

    /// Serves one connection to its end. Needs the runtime it is to stay on.
    pub(super) async fn serve(&self, accepted: Accepted, slot: Slot, strangers: &Strangers) {
        let memory = ConnectionMemory::new(self.bounds.memory, self.memory.clone());
        let socket = Socket::new(accepted, slot, self.bounds.timeouts, memory.clone());
        let socket = match socket {
            Ok(socket) => socket,
            Err(error) => return debug!(%error, "a connection can't be served"),
        };
        let outcome = self.converse(socket.clone(), memory).await;
        // Why it ends, if the peer takes it at once.
        poll_fn(|cx| {
            let _ = socket.poll_send(cx);
            Poll::Ready(())
        })
        .await;
        if let Some(protocol) = socket.stranger() {
            strangers.met(protocol);
            if protocol == Protocol::Http1 {
                socket.part_with(HTTP1_ANSWER).await;
            }
        } else if socket.is_abused() {
            strangers.abused();
            socket.part().await;
        } else if let Err(error) = outcome {
            debug!(%error, "a connection failed");
        }
    }

    async fn converse(&self, socket: Socket, memory: Arc<ConnectionMemory>) -> Result<(), Error> {
        let mut wire = tokio::select! {
            biased;
            () = self.cut.cancelled() => return Err(Error::Cut),
            wire = self.http.handshake(socket.clone()) => wire?,
        };
        let events = FuturesUnordered::<Waiting>::new();
        if let Some(pings) = wire.ping_pong() {
            events.push(Box::pin(lifecycle::keep_alive(pings, socket.clone())));
        }
        let retires = Instant::now() + jittered(self.bounds.max_age);
        let lifecycle = Lifecycle {
            cut: self.cut.clone(),
            finish: self.finish.clone(),
            retires,
        };
        events.push(Box::pin(lifecycle.leave()));
        let gate = Arc::new(Gate::default());
        Turns {
            wire,
            socket,
            waker: Waker::from(gate.clone()),
            gate,
            arrived: VecDeque::new(),
            max_arrived: self.bounds.max_streams as usize,
            waiting: events,
            peer: Arc::new(Peer {
                calls: self.calls.clone(),
                memory,
                share: ConnectionShare::new(self.bounds.max_streams),
            }),
            is_closed: false,
            cut: self.cut.clone(),
        }
        .await
    }
}

/// Within a tenth of the time, so that connections that were opened together don't
/// end together.
fn jittered(age: Duration) -> Duration {
    let mut bits = [0; 4];
    // Without randomness they end together, which is no more than slow.
    let _ = getrandom::fill(&mut bits);
    let part = f64::from(u32::from_le_bytes(bits)) / f64::from(u32::MAX);
    age.mul_f64(0.9 + 0.2 * part)
}

type Waiting = Pin<Box<dyn Future<Output = Event> + Send>>;

/// A connection after its preface, as the sequence of its turns.
struct Turns {
    wire: h2::server::Connection<Socket, Payload>,
    socket: Socket,
    gate: Arc<Gate>,
    /// Of the gate.
    waker: Waker,
    /// Calls whose headers have been read. HTTP/2 reads their bodies until it has
    /// nothing more to read.
    arrived: VecDeque<(Request<RecvStream>, SendResponse<Payload>)>,
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
            match this.go_on(&mut gated, &mut clock) {
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
    /// Reads, answers and writes what there is.
    fn go_on(&mut self, cx: &mut Context<'_>, clock: &mut Clock) -> Poll<Result<(), Error>> {
        while self.arrived.len() < self.max_arrived {
            match self.wire.poll_accept(cx) {
                Poll::Ready(Some(call)) => self.arrived.push_back(call?),
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        clock.is_over |= self.socket.is_spent();
        if !self.is_closed && self.socket.is_abused() {
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
                Poll::Ready(Some(event)) => self.heed(event)?,
                Poll::Ready(None) | Poll::Pending => break,
            }
            clock.count(GETS_PER_CHECK);
        }
        Poll::Pending
    }

    fn heed(&mut self, event: Event) -> Result<(), Error> {
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
        respond: SendResponse<Payload>,
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
        let mut arrival = Arrival::new(admitted.limit);
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
        if !peer.memory.may_respond() {
            return Fast::NoRoom;
        }
        let Some(framed) = peer.calls.fast().answer_fast(method, message) else {
            return Fast::Declined;
        };
        match reply.try_send(framed, &peer.memory) {
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
