//! Messages of the generated client about leases, revocations and events, and helpers that read the
//! answers.

use std::time::Duration;

use credcache_client::proto::{
    Credential, GetRequest, GetResponse, InvalidateRequest, InvalidateResponse, Lease, MissReason,
    PutRequest, StatsRequest, StatsResponse, get_response::Outcome, invalidate_request::Target,
    put_request::Lifetime,
};
use tokio::task::JoinHandle;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::fixture::{START, Stub, within};

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(200);

/// A Get that neither requests a lease nor waits.
pub(crate) fn get(key: &str) -> GetRequest {
    GetRequest {
        namespace: "aws".into(),
        key: key.into(),
        ..Default::default()
    }
}

/// A Get that requests the lease.
pub(crate) fn asking(key: &str) -> GetRequest {
    GetRequest {
        acquire_lease: true,
        ..get(key)
    }
}

/// A Get that requests the lease, and waits if another caller fetches.
pub(crate) fn waiting(key: &str) -> GetRequest {
    GetRequest {
        wait: Some(duration(LONG)),
        ..asking(key)
    }
}

/// A Put that lives for half a minute.
pub(crate) fn put(key: &str) -> PutRequest {
    PutRequest {
        namespace: "aws".into(),
        key: key.into(),
        value: "token".into(),
        lifetime: Some(Lifetime::Ttl(duration(30 * SECOND))),
        ..Default::default()
    }
}

/// The Put of the lease's holder.
pub(crate) fn fill(key: &str, lease: &Lease) -> PutRequest {
    PutRequest {
        lease_token: lease.token.clone(),
        ..put(key)
    }
}

pub(crate) fn invalidate(target: Target) -> InvalidateRequest {
    InvalidateRequest {
        namespace: "aws".into(),
        target: Some(target),
        ..Default::default()
    }
}

pub(crate) fn duration(duration: Duration) -> prost_types::Duration {
    duration.try_into().unwrap()
}

/// A time after the manual clock's start.
pub(crate) fn after_start(duration: Duration) -> prost_types::Timestamp {
    (std::time::UNIX_EPOCH + START + duration).into()
}

/// A time before the manual clock's start.
pub(crate) fn before_start(duration: Duration) -> prost_types::Timestamp {
    (std::time::UNIX_EPOCH + START - duration).into()
}

pub(crate) async fn got(stub: &mut Stub, request: GetRequest) -> GetResponse {
    within(stub.get(request)).await.unwrap().into_inner()
}

/// The lease that a Get is granted.
pub(crate) async fn leased(stub: &mut Stub, key: &str) -> Lease {
    got(stub, asking(key)).await.lease.expect("a lease")
}

/// The stored version.
pub(crate) async fn stored(stub: &mut Stub, request: PutRequest) -> u64 {
    within(stub.put(request))
        .await
        .unwrap()
        .into_inner()
        .version
}

/// The reason why a Put was refused with ABORTED.
pub(crate) async fn aborted(stub: &mut Stub, request: PutRequest) -> String {
    let status = within(stub.put(request)).await.expect_err("a refusal");
    assert_eq!(status.code(), Code::Aborted, "{status:?}");
    reason(&status)
}

pub(crate) async fn invalidated(stub: &mut Stub, target: Target) -> InvalidateResponse {
    let request = invalidate(target);
    within(stub.invalidate(request)).await.unwrap().into_inner()
}

pub(crate) async fn stats(stub: &mut Stub) -> StatsResponse {
    let request = StatsRequest::default();
    within(stub.stats(request)).await.unwrap().into_inner()
}

pub(crate) fn hit(response: GetResponse) -> Credential {
    match response.outcome {
        Some(Outcome::Credential(credential)) => credential,
        Some(Outcome::Miss(miss)) => panic!("{miss:?}"),
        None => panic!("no outcome"),
    }
}

/// The reason of a miss, and its `retry_after`.
pub(crate) fn miss(response: &GetResponse) -> (MissReason, Option<Duration>) {
    match &response.outcome {
        Some(Outcome::Miss(miss)) => {
            let retry_after = miss.retry_after.map(|after| after.try_into().unwrap());
            (miss.reason(), retry_after)
        }
        Some(Outcome::Credential(_)) => panic!("a hit"),
        None => panic!("no outcome"),
    }
}

/// Fails unless the answer is PENDING with a `retry_after` of at most a second.
pub(crate) fn assert_pending(response: &GetResponse) {
    let (reason, retry_after) = miss(response);
    assert_eq!(reason, MissReason::Pending);
    let retry_after = retry_after.expect("when to come back");
    assert!(
        retry_after > Duration::ZERO && retry_after <= SECOND,
        "{retry_after:?}"
    );
    assert!(response.lease.is_none());
}

/// The stable reason of a refusal.
pub(crate) fn reason(status: &Status) -> String {
    let details = status.get_error_details();
    let info = details.error_info().expect("an ErrorInfo");
    assert_eq!(info.domain, "credcache");
    info.reason.clone()
}

/// A call in a task of its own.
pub(crate) type Parked = JoinHandle<Result<GetResponse, Status>>;

/// Begins a Get, and returns when it is the `nth` waiting Get.
pub(crate) async fn park(stub: &mut Stub, request: GetRequest, nth: u64) -> Parked {
    let mut caller = stub.clone();
    let parked = tokio::spawn(async move { Ok(caller.get(request).await?.into_inner()) });
    until_waiting(stub, nth).await;
    parked
}

/// The answer of a parked Get.
pub(crate) async fn outcome(parked: Parked) -> GetResponse {
    within(parked).await.unwrap().unwrap()
}

/// Polls Stats until exactly so many Gets wait.
pub(crate) async fn until_waiting(stub: &mut Stub, count: u64) {
    within(async { while stats(stub).await.leases.unwrap().waiting != count {} }).await;
}
