//! Watch: a stream of the invalidations and replacements in a namespace.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::HeaderMap;
use prost::Message;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Interval, MissedTickBehavior, Sleep, interval, sleep},
};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

use super::{
    ConnectionShare, Instance, Service,
    fields::Fields,
    proto::{self, WatchResponse},
    status::{Failure, Refusal},
    timeout::timeout,
};
use credcache_core::{Change, NamespaceName, OwnedTarget, WatchEvent, WatchFrom, Watcher};

/// How often a watcher is told the revision up to which everything was sent.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How many bytes of events are handed on in one piece. tonic would make pieces of 32 KiB, and an
/// unread stream holds two of them: 87 KiB per watcher were measured, and 20 KiB with this size.
const PIECE: usize = 4 * 1024;

/// The fields of a Watch.
struct Watch<'a> {
    namespace: NamespaceName<'a>,
    from: WatchFrom,
}

/// The connection's permit for a call that waits, and the end of the connection's age.
type Share = (
    OwnedSemaphorePermit,
    Pin<Box<WaitForCancellationFutureOwned>>,
);

/// The stream of events. Events are created as they are read: a watcher that doesn't read holds
/// only the messages that the connection has already taken.
pub(super) struct Events {
    watcher: Watcher,
    instance: Arc<Instance>,
    heartbeat: Interval,
    deadline: Option<Pin<Box<Sleep>>>,
    ending: Pin<Box<WaitForCancellationFutureOwned>>,
    share: Option<Share>,
    /// A heartbeat is due. It is sent when there is no event, and says so.
    heartbeat_due: bool,
    /// The bytes of the current piece.
    piece_len: usize,
    has_ended: bool,
}

impl Service {
    pub(super) fn serve_watch(
        &self,
        request: &proto::WatchRequest,
        headers: &HeaderMap,
        share: Option<&ConnectionShare>,
    ) -> Result<Events, Failure> {
        let Watch { namespace, from } = parse(request, self.instance.id())?;
        let share = match share {
            Some(share) => Some((
                share.wait().ok_or(Refusal::TooManyWaits)?,
                Box::pin(share.retired()),
            )),
            None => None,
        };
        let watcher = self.cache.clone().watch(namespace, from)?;
        let instance = self.instance.clone();
        let ending = self.ending();
        Ok(Events::new(watcher, instance, headers, ending, share))
    }
}

/// `instance` is the id of this server.
fn parse<'a>(request: &'a proto::WatchRequest, instance: &str) -> Result<Watch<'a>, Failure> {
    let mut fields = Fields::default();
    let namespace = fields.namespace(&request.namespace);
    let from = match (request.instance_id.as_str(), request.start_revision) {
        ("", 0) => Some(WatchFrom::Now),
        ("", _) => fields.refuse("instance_id", "is required with start_revision"),
        (id, _) if id != instance => Some(WatchFrom::Elsewhere),
        (_, 0) => Some(WatchFrom::Now),
        (_, revision) => Some(WatchFrom::After(revision)),
    };
    fields.finish(|| {
        Some(Watch {
            namespace: namespace?,
            from: from?,
        })
    })
}

impl Events {
    fn new(
        watcher: Watcher,
        instance: Arc<Instance>,
        headers: &HeaderMap,
        ending: CancellationToken,
        share: Option<Share>,
    ) -> Self {
        let mut heartbeat = interval(HEARTBEAT);
        // A watcher that reads late needs one heartbeat, not all that it missed.
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.reset();
        Self {
            watcher,
            instance,
            heartbeat,
            deadline: timeout(headers).map(|timeout| Box::pin(sleep(timeout))),
            ending: Box::pin(ending.cancelled_owned()),
            share,
            heartbeat_due: true,
            piece_len: 0,
            has_ended: false,
        }
    }

    /// Polls for the end of the stream, with its reason.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Status> {
        if self.ending.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Refusal::Draining.into());
        }
        if let Some((_, retired)) = &mut self.share
            && retired.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Refusal::ConnectionRetired.into());
        }
        match &mut self.deadline {
            Some(deadline) => deadline
                .as_mut()
                .poll(cx)
                .map(|()| Refusal::DeadlineExceeded.into()),
            None => Poll::Pending,
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<WatchResponse> {
        if self.heartbeat.poll_tick(cx).is_ready() {
            // A second poll registers for the next tick.
            let _ = self.heartbeat.poll_tick(cx);
            self.heartbeat_due = true;
        }
        match self.watcher.poll_next(cx) {
            Poll::Ready(WatchEvent::Change(revision, change)) => {
                Poll::Ready(changed(revision, change))
            }
            Poll::Ready(WatchEvent::Gap(revision)) => Poll::Ready(reset(&self.instance, revision)),
            // No heartbeat is sent while a finished invalidation is not yet published.
            Poll::Pending if self.heartbeat_due && self.watcher.is_current() => {
                self.heartbeat_due = false;
                let position = self.watcher.position();
                Poll::Ready(heartbeat(&self.instance, position))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Stream for Events {
    type Item = Result<WatchResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.has_ended {
            return Poll::Ready(None);
        }
        if let Poll::Ready(status) = this.poll_end(cx) {
            this.has_ended = true;
            return Poll::Ready(Some(Err(status)));
        }
        if this.piece_len >= PIECE {
            this.piece_len = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let event = this.poll_event(cx);
        match &event {
            Poll::Ready(event) => this.piece_len += event.encoded_len(),
            Poll::Pending => this.piece_len = 0,
        }
        event.map(|event| Some(Ok(event)))
    }
}

fn changed(revision: u64, change: Change) -> proto::WatchResponse {
    use proto::{invalidated::Target, watch_response::Event};
    let target = match change {
        Change::Replaced(key) => {
            let key = String::from(&*key);
            let version = revision;
            let event = Event::Replaced(proto::Replaced { key, version });
            return response(event, revision);
        }
        Change::Invalidated(OwnedTarget::Key(key)) => Target::Key(String::from(&*key)),
        Change::Invalidated(OwnedTarget::Prefix(prefix)) => {
            Target::KeyPrefix(String::from(&*prefix))
        }
        Change::Invalidated(OwnedTarget::Tag(tag)) => Target::Tag(String::from(&*tag)),
        Change::Invalidated(OwnedTarget::All) => Target::All(true),
    };
    let target = Some(target);
    response(Event::Invalidated(proto::Invalidated { target }), revision)
}

fn reset(instance: &Instance, revision: u64) -> proto::WatchResponse {
    let instance_id = instance.id().into();
    let reset = proto::Reset { instance_id };
    response(proto::watch_response::Event::Reset(reset), revision)
}

fn heartbeat(instance: &Instance, revision: u64) -> proto::WatchResponse {
    let instance_id = instance.id().into();
    let heartbeat = proto::Heartbeat { instance_id };
    response(proto::watch_response::Event::Heartbeat(heartbeat), revision)
}

fn response(event: proto::watch_response::Event, revision: u64) -> proto::WatchResponse {
    proto::WatchResponse {
        event: Some(event),
        revision,
    }
}
