//! `PATH.lock`, the lock that keeps two servers from using one socket.

use std::{
    ffi::OsString,
    fs::{File, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::Path,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    process::geteuid,
};

const NO_FILE: &str = "is not a regular file";

/// Locks `PATH.lock` for as long as the file is open. Of two servers that start on one stale
/// socket, only one may remove it; otherwise the second would remove the socket of the first. The
/// lock file stays, because its remover can't know whether another process is about to lock it.
///
/// # Errors
/// Another process has locked the file, or the file isn't this user's own. Other users who may
/// write to the directory could otherwise make the server wait, or make it write where they can't.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = open(&name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(in_use()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(name: &OsString) -> io::Result<File> {
    let refused = |kind, reason: &str| io::Error::new(kind, format!("{} {reason}", name.display()));
    // Opens without waiting: a FIFO would block until it has a reader.
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let file = match rustix::fs::open(name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(refused(ErrorKind::InvalidInput, "is a symbolic link")),
        // A FIFO without a reader, or a socket.
        Err(Errno::NXIO) => return Err(refused(ErrorKind::InvalidInput, NO_FILE)),
        Err(error) => {
            let error = io::Error::from(error);
            return Err(refused(error.kind(), &format!("can't be opened: {error}")));
        }
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refused(ErrorKind::InvalidInput, NO_FILE));
    }
    let user = geteuid().as_raw();
    if metadata.uid() != user {
        let reason = format!(
            "belongs to user {}, and the server runs as user {user}",
            metadata.uid()
        );
        return Err(refused(ErrorKind::PermissionDenied, &reason));
    }
    Ok(file)
}

pub(super) fn in_use() -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, "another process listens there")
}
