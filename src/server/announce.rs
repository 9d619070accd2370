//! Prints the bound addresses to stdout for scripts, one `listening on ADDR` per line.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    thread,
};

use tracing::{info, warn};

use super::bound_addr::BoundAddr;

/// Prints the addresses on a thread that nothing waits for: a full or unread stdout is no reason
/// not to serve or not to end.
pub(super) fn announce<'a>(addresses: impl Iterator<Item = &'a BoundAddr>) {
    let mut text = String::new();
    for address in addresses {
        info!(%address, "listening");
        // Writing to a string can't fail.
        let _ = writeln!(text, "listening on {address}");
    }
    let print = move || {
        let mut stdout = io::stdout().lock();
        let printed = stdout.write_all(text.as_bytes());
        if let Err(error) = printed.and_then(|()| stdout.flush()) {
            warn!(%error, "can't print the addresses to stdout");
        }
    };
    let started = thread::Builder::new().name("announce".into()).spawn(print);
    if let Err(error) = started {
        warn!(%error, "can't start a thread to print the addresses");
    }
}
