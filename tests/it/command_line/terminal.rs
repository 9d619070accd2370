//! What is written to a terminal, and what isn't repeated.

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    process::Stdio,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::task::spawn_blocking;

use super::{assert_ended, json, run, serve};
use crate::fixture::{credcache, within};

/// Sequences that move the cursor in every possible way, and a character that reverses text.
const EVIL: &str = "a\x1b[2J\u{9b}1;1H\u{202e}b\x07\r";

/// Runs a command line with a terminal as its stdout, and returns what the terminal received.
async fn on_a_terminal(server: &str, line: &str) -> String {
    let terminal: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let path = ptsname(&terminal, Vec::new()).unwrap();
    let path = std::ffi::OsStr::from_bytes(path.as_bytes());
    let screen = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut command = credcache(&line.split_whitespace().collect::<Vec<_>>());
    command
        .env("CREDCACHE_SERVER", server)
        .stdin(Stdio::null())
        .stdout(screen);
    let sent = spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // Only the child now holds the terminal's other side, which ends with it.
        drop(command);
        let mut sent = Vec::new();
        let _ = File::from(terminal).read_to_end(&mut sent);
        assert!(child.wait().unwrap().success());
        String::from_utf8(sent).unwrap()
    });
    within(sent).await.unwrap()
}

#[tokio::test]
async fn value_reaches_a_terminal_escaped_and_a_pipe_byte_for_byte() {
    let (_server, address) = serve().await;
    let value = [EVIL.as_bytes(), b"\xff\xfe"].concat();
    run(&address, "put aws reader --ttl 30s", &value).await;
    assert_eq!(run(&address, "get aws reader", b"").await.stdout, value);
    let shown = "a\\u{1b}[2J\\u{9b}1;1H\\u{202e}b\\u{7}\\r\\xff\\xfe\r\n";
    assert_eq!(on_a_terminal(&address, "get aws reader").await, shown);
    let fetched = on_a_terminal(&address, "fetch aws reader --ttl 30s -- true").await;
    assert_eq!(fetched, shown);
}

#[tokio::test]
async fn json_is_the_same_document_with_nothing_in_it_that_acts_on_a_terminal() {
    let (_server, address) = serve().await;
    run(&address, "put aws reader --ttl 30s", EVIL.as_bytes()).await;
    let got = run(&address, "get aws reader --output json", b"").await;
    assert_eq!(json(&got)["value"], EVIL);
    for text in [
        String::from_utf8(got.stdout).unwrap(),
        on_a_terminal(&address, "get aws reader --output json").await,
    ] {
        assert!(
            text.contains("\\u009b") && text.contains("\\u202e"),
            "{text:?}"
        );
        assert!(text.trim_end().chars().all(|c| !c.is_control()), "{text:?}");
    }
}

#[tokio::test]
async fn secret_in_the_wrong_place_is_not_repeated() {
    let (_server, address) = serve().await;
    for line in [
        "get aws reader hunter2-Token",
        "put aws reader --ttl 30s hunter2-Token",
        "put aws reader --ttl 30s --lease hunter2-Token",
        "put aws reader --ttl hunter2-Token",
        "put aws reader --ttl 30s --attribute hunter2-Token",
        "get aws reader --output hunter2-Token",
        "get hunter2-Token reader",
        "hunter2-Token aws reader",
    ] {
        let refused = run(&address, line, b"token").await;
        assert_eq!(refused.status.code(), Some(64), "{line}");
        let message = String::from_utf8(refused.stderr).unwrap();
        assert!(!message.contains("hunter2"), "{line}: {message}");
    }
    // The arguments don't act on the terminal either.
    let missing = run(
        &address,
        "put aws reader --ttl 30s --value-file /\x1b[2J\u{9b}",
        b"",
    )
    .await;
    assert_ended(&missing, 64, "/\\u{1b}[2J\\u{9b}");
}

#[tokio::test]
async fn empty_variable_counts_as_unset() {
    let mut health = credcache(&["health", "--timeout", "1ms"]);
    health.env("CREDCACHE_SERVER", "");
    let ended = spawn_blocking(move || health.output().unwrap());
    let output = within(ended).await.unwrap();
    // The outcome depends on whether a server listens at the default address.
    assert_ne!(output.status.code(), Some(64), "{output:?}");

    let mut check = credcache(&["check-config"]);
    check
        .env("CREDCACHE_CONFIG", "")
        .env("CREDCACHE_LISTEN", "")
        .env("CREDCACHE_LIMITS_MAX_VALUE", "");
    let ended = spawn_blocking(move || check.output().unwrap());
    let output = within(ended).await.unwrap();
    assert_ended(&output, 0, "");
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("127.0.0.1:50051")
    );
}
