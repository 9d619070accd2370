//! Unix sockets: whose they are, and who may connect.

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path};

use credcache::{
    config::Config,
    server::{self, Bound, ServeError},
};
use tempfile::TempDir;

use crate::fixture::config;

async fn bind(path: &Path) -> Result<Bound, ServeError> {
    let listen = vec![format!("unix:{}", path.display()).parse().unwrap()];
    server::bind(&Config {
        listen,
        ..config("")
    })
    .await
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
