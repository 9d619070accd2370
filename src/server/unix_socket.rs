//! A Unix socket's file. Only the configured users can ever connect to it, a dead server's file is
//! taken over but a living one's is not, and the file is removed at the end.

mod lock;

use std::{
    fs::{self, File, Permissions},
    io::{self, ErrorKind},
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, lchown},
    },
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::{
    net::{UnixListener, UnixStream},
    task::spawn_blocking,
};

use self::lock::{in_use, lock};
use crate::config::{Group, UnixAccess};

/// The number of pending connections. The kernel cuts it to its own bound.
const BACKLOG: i32 = 1024;
const OWNER_ONLY: u32 = 0o600;

/// Removes the socket's file when dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: a file that has replaced this one meanwhile isn't removed.
    identity: (u64, u64),
    _lock: File,
}

/// Listens on `path`, for the users that `access` admits.
///
/// # Errors
/// Another process listens there, a file that isn't a socket has the name, or the group doesn't
/// exist or can't be set.
pub(super) async fn listen(
    path: &Path,
    access: &UnixAccess,
) -> io::Result<(UnixListener, SocketFile)> {
    let group = match access.group.clone() {
        Some(group) => Some(group_id(group).await?),
        None => None,
    };
    let lock = lock(path)?;
    remove_stale(path).await?;
    let socket = with_owner_only(Socket::new(Domain::UNIX, Type::STREAM, None)?);
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile {
        path: path.to_owned(),
        identity: identity(path)?,
        _lock: lock,
    };
    // Before `listen`, and the group before the mode: at no moment can a user connect who isn't
    // admitted.
    if let Some(group) = group {
        give_to(path, group)?;
    }
    fs::set_permissions(path, Permissions::from_mode(access.mode))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = UnixListener::from_std(OwnedFd::from(socket).into())?;
    Ok((listener, file))
}

/// The number of a group. The lookup has a thread of its own, because it may ask a directory
/// service.
async fn group_id(group: Group) -> io::Result<u32> {
    let name = match group {
        Group::Id(id) => return Ok(id),
        Group::Name(name) => name,
    };
    let display_name = name.clone();
    let found = spawn_blocking(move || nix::unistd::Group::from_name(&name)).await?;
    match found {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(io::Error::new(
            ErrorKind::NotFound,
            format!("unix.group: this host has no group {display_name:?}"),
        )),
        Err(error) => Err(io::Error::new(
            io::Error::from(error).kind(),
            format!("unix.group: can't look up group {display_name:?}: {error}"),
        )),
    }
}

fn give_to(path: &Path, group: u32) -> io::Result<()> {
    lchown(path, None, Some(group)).map_err(|error| {
        let message = format!(
            "unix.group: can't give the socket to group {group}, of which the server's user has \
             to be a member: {error}"
        );
        io::Error::new(error.kind(), message)
    })
}

/// Linux gives the file the mode of the socket that is bound to it, so that there is no moment in
/// which others may connect. On other systems the call fails, and the mode that is set after the
/// bind has to suffice.
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
            "the file is not a socket",
        ));
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        // A connect that would block has found a full backlog, and a living server.
        _ => Err(in_use()),
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
