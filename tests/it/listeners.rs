//! Unix sockets: their owners, and the users who may connect.

use std::{
    fs,
    io::ErrorKind,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::Path,
    process::Command,
    sync::{
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

use credcache::{
    config::Config,
    server::{self, Bound, ServeError},
};
use rustix::{
    fs::{CWD, Mode, mkfifoat},
    process::{getegid, geteuid},
};
use tempfile::TempDir;

use crate::fixture::config;

async fn bind(path: &Path) -> Result<Bound, ServeError> {
    bind_with(path, "").await
}

async fn bind_with(path: &Path, tables: &str) -> Result<Bound, ServeError> {
    let listen = vec![format!("unix:{}", path.display()).parse().unwrap()];
    server::bind(&Config {
        listen,
        ..config(tables)
    })
    .await
}

/// A group that the socket can be given to. It isn't the default group, if another one is
/// available.
fn other_group() -> u32 {
    if geteuid().is_root() {
        4321
    } else {
        getegid().as_raw()
    }
}

fn refusal(outcome: Result<Bound, ServeError>) -> ErrorKind {
    match outcome {
        Err(ServeError::Bind { source, .. }) => source.kind(),
        other => panic!("{other:?} instead of a refusal"),
    }
}

#[tokio::test]
async fn socket_of_a_living_server_is_not_taken_over() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let living = bind(&path).await.unwrap();
    assert_eq!(refusal(bind(&path).await), ErrorKind::AddrInUse);
    assert!(path.exists());
    drop(living);
    assert!(!path.exists());
}

#[tokio::test]
async fn socket_of_a_dead_server_is_taken_over() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let bound = bind(&path).await.unwrap();
    tokio::net::UnixStream::connect(&path).await.unwrap();
    drop(bound);
}

#[tokio::test]
async fn socket_of_a_dead_server_is_left_to_who_is_taking_it_over() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let lock = fs::File::create(directory.path().join("c.sock.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(refusal(bind(&path).await), ErrorKind::AddrInUse);
    assert!(path.exists());
    drop(lock);
    bind(&path).await.unwrap();
}

#[tokio::test]
async fn living_server_keeps_its_lock() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let _bound = bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(refusal(bind(&path).await), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn only_the_owner_may_connect_to_the_socket() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let _bound = bind(&path).await.unwrap();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn file_that_is_no_socket_is_left_alone() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("notes");
    fs::write(&path, "mine").unwrap();
    assert_eq!(refusal(bind(&path).await), ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[tokio::test]
async fn socket_that_replaced_ours_is_not_removed() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let ours = bind(&path).await.unwrap();
    fs::remove_file(&path).unwrap();
    let _theirs = std::os::unix::net::UnixListener::bind(&path).unwrap();
    drop(ours);
    assert!(path.exists());
}

#[tokio::test]
async fn mode_and_group_are_those_of_the_configuration() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let group = other_group();
    let name = Command::new("id").arg("-gn").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap();
    for (group, expected) in [
        (format!("{group}"), group),
        (format!("'{}'", name.trim()), getegid().as_raw()),
    ] {
        let tables = format!("[unix]\nmode = '0660'\ngroup = {group}");
        let bound = bind_with(&path, &tables).await.unwrap();
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o660);
        assert_eq!(metadata.gid(), expected);
        tokio::net::UnixStream::connect(&path).await.unwrap();
        drop(bound);
    }
}

#[tokio::test]
async fn group_that_is_not_there_is_named_and_nothing_is_left() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let refused = bind_with(&path, "unix.group = 'no-such-group'").await;
    let message = refused.as_ref().unwrap_err().to_string();
    assert!(message.contains("no group \"no-such-group\""), "{message}");
    assert_eq!(refusal(refused), ErrorKind::NotFound);
    assert!(!path.exists());
}

/// Fails if another user is seen to be able to connect meanwhile.
#[test]
fn socket_is_open_to_its_group_alone_from_the_first_moment() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let group = other_group();
    let (over, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let watched = scope.spawn(|| {
            while !over.load(Relaxed) {
                if let Ok(metadata) = fs::metadata(&path) {
                    let (mode, gid) = (metadata.mode() & 0o777, metadata.gid());
                    assert!(mode & !0o660 == 0, "{mode:o}");
                    assert!(mode & 0o070 == 0 || gid == group, "{mode:o} for {gid}");
                    seen.fetch_add(1, Relaxed);
                }
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap();
        // An empty umask would open every file to all users that isn't created with care.
        let before = rustix::process::umask(Mode::empty());
        while seen.load(Relaxed) < 200 && !watched.is_finished() {
            let tables = format!("[unix]\nmode = '0660'\ngroup = {group}");
            drop(runtime.block_on(bind_with(&path, &tables)).unwrap());
        }
        rustix::process::umask(before);
        over.store(true, Relaxed);
        watched.join().unwrap();
    });
}

/// The error of a bind that may hang.
fn refusal_in_time(path: &Path) -> (ErrorKind, String) {
    let path = path.to_owned();
    let (refused, refusal) = mpsc::channel();
    // If the bind hangs, the thread is left alone.
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let Err(ServeError::Bind { source, .. }) = runtime.unwrap().block_on(bind(&path)) else {
            panic!("it isn't refused");
        };
        refused.send((source.kind(), source.to_string())).unwrap();
    });
    refusal.recv_timeout(Duration::from_secs(10)).unwrap()
}

#[test]
fn lock_that_is_no_file_of_our_own_is_refused_and_never_waited_for() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("c.sock");
    let lock = directory.path().join("c.sock.lock");

    let victim = directory.path().join("victim");
    symlink(&victim, &lock).unwrap();
    let (kind, message) = refusal_in_time(&path);
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(
        message.contains("c.sock.lock is a symbolic link"),
        "{message}"
    );
    assert!(!victim.exists());
    fs::remove_file(&lock).unwrap();

    mkfifoat(CWD, &lock, Mode::RUSR | Mode::WUSR).unwrap();
    let (kind, message) = refusal_in_time(&path);
    assert_eq!(kind, ErrorKind::InvalidInput);
    assert!(message.contains("is not a regular file"), "{message}");
    let _reader = fs::File::options()
        .read(true)
        .write(true)
        .open(&lock)
        .unwrap();
    assert_eq!(refusal_in_time(&path).0, ErrorKind::InvalidInput);
    fs::remove_file(&lock).unwrap();

    // Only root can give a file away.
    if geteuid().is_root() {
        fs::write(&lock, "").unwrap();
        chown(&lock, Some(4321), None).unwrap();
        let (kind, message) = refusal_in_time(&path);
        assert_eq!(kind, ErrorKind::PermissionDenied);
        assert!(message.contains("belongs to user 4321"), "{message}");
    }
    assert!(!path.exists());
}
