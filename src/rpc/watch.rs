//! A Watch as a stream of messages.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderMap;
use prost::Message;
use tokio::time::{Interval, MissedTickBehavior, Sleep, interval, sleep};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use super::{Instance, failure::Failure, proto::WatchResponse, response, timeout::timeout};
use credcache_core::{WatchEvent, Watcher};

/// How often a watcher is told up to where it knows everything.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How many bytes of events are handed on in one piece. tonic would make pieces
/// of 32 KiB, of which a stream that isn't read holds two: 87 KiB a watcher were
/// measured, and 20 KiB with this.
const PIECE: usize = 4 * 1024;

/// Made as it is read: a watcher that doesn't read holds no message but those
/// the connection has taken already.
pub(super) struct Events {
    watcher: Watcher,
    instance: Arc<Instance>,
    heartbeat: Interval,
    deadline: Option<Pin<Box<Sleep>>>,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    /// To be sent when there is no event to send: it says that there is none.
    owes_heartbeat: bool,
    /// Bytes of the piece that is being made.
    piece: usize,
    is_over: bool,
}

impl Events {
    pub(super) fn new(
        watcher: Watcher,
        instance: Arc<Instance>,
        headers: &HeaderMap,
        ending: CancellationToken,
    ) -> Self {
        let mut heartbeat = interval(HEARTBEAT);
        // One that reads late needs one, not all that it missed.
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        Self {
            watcher,
            instance,
            heartbeat,
            deadline: timeout(headers).map(|timeout| Box::pin(sleep(timeout))),
            ending: Box::pin(ending.cancelled_owned()),
            owes_heartbeat: true,
            piece: 0,
            is_over: false,
        }
    }

    /// Why it ends, if it does.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if self.ending.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Failure::Ending.into());
        }
        match &mut self.deadline {
            Some(deadline) => deadline
                .as_mut()
                .poll(cx)
                .map(|()| Failure::DeadlineExceeded.into()),
            None => Poll::Pending,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<WatchResponse> {
        if self.heartbeat.poll_tick(cx).is_ready() {
            // Polled again, or its next tick would wake nobody.
            let _ = self.heartbeat.poll_tick(cx);
            self.owes_heartbeat = true;
        }
        match self.watcher.poll_next(cx) {
            Poll::Ready(WatchEvent::Change(revision, change)) => {
                Poll::Ready(response::change(revision, change))
            }
            Poll::Ready(WatchEvent::Gap(revision)) => {
                Poll::Ready(response::reset(&self.instance, revision))
            }
            // Not while an invalidation that has answered waits to be told.
            Poll::Pending if self.owes_heartbeat && self.watcher.is_current() => {
                self.owes_heartbeat = false;
                let position = self.watcher.position();
                Poll::Ready(response::heartbeat(&self.instance, position))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Stream for Events {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.is_over {
            return Poll::Ready(None);
        }
        if let Poll::Ready(status) = this.poll_end(cx) {
            this.is_over = true;
            return Poll::Ready(Some(Err(status)));
        }
        if this.piece >= PIECE {
            this.piece = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let event = this.poll_event(cx);
        match &event {
            Poll::Ready(event) => this.piece += event.encoded_len(),
            Poll::Pending => this.piece = 0,
        }
        event.map(|event| Some(Ok(event)))
    }
}
