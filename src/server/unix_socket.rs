//! A Unix socket's file: made so that only its owner may connect, taken over
//! from the dead but not from the living, and removed at the end.

use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

/// Pending connections; the kernel cuts it to its own bound.
const BACKLOG: i32 = 1024;
const OWNER_ONLY: u32 = 0o600;

/// Removes the socket's file when it goes.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: who has replaced the file meanwhile keeps theirs.
    identity: (u64, u64),
    _lock: File,
}

/// Listens on `path`.
///
/// # Errors
/// When somebody listens there already, or something else than a socket has
/// the name.
pub(super) async fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let lock = lock(path)?;
    remove_stale(path).await?;
    let socket = with_owner_only(Socket::new(Domain::UNIX, Type::STREAM, None)?);
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, Permissions::from_mode(OWNER_ONLY))?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path)?,
        _lock: lock,
    };
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
    Ok((listener, file))
}

/// Locks `PATH.lock` for as long as the file is open: of two servers that start
/// on one stale socket only one may remove it, or the second would remove the
/// first one's. The lock's file stays, for who removes it can't know whether
/// somebody else is about to lock it.
fn lock(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(OWNER_ONLY)
        .open(name)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(taken()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn taken() -> io::Error {
    io::Error::new(ErrorKind::AddrInUse, "another process listens there")
}

/// Linux gives the file the mode of the socket it is bound to, so that there's
/// no moment when others may connect. Elsewhere the call fails, and the mode
/// that is set after the bind has to do.
fn with_owner_only(socket: Socket) -> Socket {
    let file = File::from(OwnedFd::from(socket));
    let _ = file.set_permissions(Permissions::from_mode(OWNER_ONLY));
    OwnedFd::from(file).into()
}

async fn remove_stale(path: &Path) -> io::Result<()> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata?,
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(
            ErrorKind::AlreadyExists,
            "the file is no socket",
        ));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        // With a full backlog it would block, but lives.
        _ => Err(taken()),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
