//! `PATH.lock`, by which two servers keep out of each other's way.

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

const NO_FILE: &str = "is no regular file";

/// Locks `PATH.lock` for as long as the file is open: of two servers that start
/// on one stale socket only one may remove it, or the second would remove the
/// first one's. The lock's file stays, for who removes it can't know whether
/// somebody else is about to lock it.
///
/// # Errors
/// When somebody else has locked it, or it isn't a file of our own: others may
/// write to the directory, and would let the server wait, or write where they
/// can't.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = open(&name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(taken()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn open(name: &OsString) -> io::Result<File> {
    let refused = |kind, why: &str| io::Error::new(kind, format!("{} {why}", name.display()));
    // Without waiting: a FIFO would keep it until somebody reads there.
    let flags = OFlags::WRONLY
        | OFlags::CREATE
        | OFlags::NOFOLLOW
        | OFlags::NONBLOCK
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    let file = match rustix::fs::open(name, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(Errno::LOOP) => return Err(refused(ErrorKind::InvalidInput, "is a symbolic link")),
        // A FIFO that nobody reads, or a socket.
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
        let why = format!(
            "belongs to user {}, and the server runs as user {user}",
            metadata.uid()
        );
        return Err(refused(ErrorKind::PermissionDenied, &why));
    }
    Ok(file)
}

pub(super) fn taken() -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, "another process listens there")
}
