//! Against a server in the same process, which counts what reaches it.

use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, runtime::Builder};

use super::{Call, closed, open};
use crate::{failure::Failure, h2load::Shape};

const ANSWER: &[u8] = b"an answer";
/// How long the server stands still for `/stall`.
const STALL: Duration = Duration::from_millis(500);

#[derive(Default)]
struct Log {
    count: AtomicU64,
    /// Of the first hundred, path and length of the body, as one text.
    seen: Mutex<Vec<String>>,
}

/// Answers everything with `ANSWER`, but `/empty` with nothing.
fn server() -> (String, Arc<Log>) {
    let log = Arc::new(Log::default());
    let (tell, told) = std::sync::mpsc::channel();
    let served = log.clone();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            let listener = TcpListener::bind(any).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let log = served.clone();
                let service = service_fn(move |request| answer(request, log.clone()));
                let served = http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(socket), service);
                tokio::spawn(served);
            }
        });
    });
    (told.recv().unwrap().to_string(), log)
}

async fn answer(
    request: Request<Incoming>,
    log: Arc<Log>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    if path == "/stall" {
        thread::sleep(STALL);
    }
    let answer = if path == "/empty" { &[] } else { ANSWER };
    if log.count.fetch_add(1, Ordering::Relaxed) < 100 {
        log.seen
            .lock()
            .unwrap()
            .push(format!("{path} {}", body.len()));
    }
    Ok(Response::new(Full::new(Bytes::from_static(answer))))
}

/// With a message of that many bytes, seven more than which its body has.
fn call(path: &str, bytes: usize) -> Call {
    Call::new(path, &vec![7_u8; bytes], ANSWER.len()).unwrap()
}

#[test]
fn closed_loop_makes_as_many_calls_as_asked_and_keeps_their_order() {
    let (address, log) = server();
    let calls = [call("/a", 3), call("/b", 5)];
    let shape = Shape::new(1, 1);
    closed::run(&address, shape, 90, |nth| {
        &calls[usize::from(!nth.is_multiple_of(3))]
    })
    .unwrap();
    assert_eq!(log.count.load(Ordering::Relaxed), 90);
    let expected = ["/a 10", "/b 12", "/b 12"];
    assert_eq!(*log.seen.lock().unwrap(), expected.repeat(30));
}

#[test]
fn bodies_beyond_the_window_wait_for_it() {
    let (address, log) = server();
    let large = call("/large", 10_000);
    closed::run(&address, Shape::new(2, 100), 2_000, |_| &large).unwrap();
    assert_eq!(log.count.load(Ordering::Relaxed), 2_000);
}

#[test]
fn answer_without_a_body_ends_the_load() {
    let (address, _log) = server();
    let empty = call("/empty", 3);
    let outcome = closed::run(&address, Shape::new(1, 1), 10, |_| &empty);
    assert!(matches!(outcome, Err(Failure::WrongAnswer(_))));
}

#[test]
fn open_loop_makes_every_call_that_is_due_and_tells_what_each_took() {
    let (address, log) = server();
    let (get, put, event) = ([call("/get", 3)], [call("/put", 5)], call("/event", 7));
    let plan = open::Plan {
        address: &address,
        connections: 3,
        duration: Duration::from_millis(200),
        gets: open::Flow {
            calls: &get,
            rate: 1_000.0,
        },
        others: Some(open::Flow {
            calls: &put,
            rate: 500.0,
        }),
        event: Some((Duration::from_millis(100), &event)),
        watches: None,
    };
    let outcome = open::run(&plan).unwrap();
    assert_eq!(outcome.latencies.len(), 200);
    assert_eq!(log.count.load(Ordering::Relaxed), 200 + 100 + 1);
    assert!(outcome.answered.unwrap() >= Duration::from_millis(100));
    // Evenly due, however they were answered.
    let mut due: Vec<Duration> = outcome.latencies.iter().map(|(due, _)| *due).collect();
    due.sort_unstable();
    let expected = (0..200).map(Duration::from_millis);
    assert!(due.into_iter().eq(expected));
    assert!(outcome.latencies.iter().all(|(_, took)| !took.is_zero()));
}

#[test]
fn calls_that_fall_due_while_the_server_stands_still_are_charged_for_it() {
    let (address, log) = server();
    let (get, stall, watch) = ([call("/get", 3)], call("/stall", 3), call("/watch", 3));
    let stalled_at = Duration::from_millis(50);
    let plan = open::Plan {
        address: &address,
        connections: 1,
        duration: Duration::from_millis(400),
        // More than the connection has streams for while nothing is answered.
        gets: open::Flow {
            calls: &get,
            rate: 1_000.0,
        },
        others: None,
        event: Some((stalled_at, &stall)),
        watches: Some(open::Watches {
            call: &watch,
            connections: 2,
            each: 5,
        }),
    };
    let measured = open::run(&plan).unwrap();
    assert_eq!(measured.latencies.len(), 400);
    assert_eq!(log.count.load(Ordering::Relaxed), 400 + 1 + 2 * 5);
    // At the latest then the server stood still.
    let still = measured.answered.unwrap() - STALL;
    let charged = measured.latencies.iter().filter(|(due, _)| *due >= still);
    assert!(charged.clone().count() > 0, "the stall came too late");
    assert!(
        charged
            .clone()
            .all(|(due, took)| *due + *took >= stalled_at + STALL)
    );
}
