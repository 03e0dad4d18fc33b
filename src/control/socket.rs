//! The socket file beside the database: its name, its creation, and which peers are trusted.
//!
//! The address of a socket has room for a path of 107 bytes. A longer path is reached through an open directory:
//! `/proc/self/fd/N`.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with},
    process::geteuid,
};

/// The longest path on every system: some have 104 bytes, including the final zero.
const LONGEST_PATH: usize = 103;
/// The longest name after `/proc/self/fd/N/`.
const LONGEST_NAME: usize = LONGEST_PATH - "/proc/self/fd/4294967295/".len();
/// How many connections wait to be accepted.
const BACKLOG: i32 = 128;

/// The location of the socket of a database. It is the same for every spelling of the database's path.
#[derive(Clone, Debug)]
pub(super) struct SocketLocation {
    directory: PathBuf,
    name: String,
}

impl SocketLocation {
    /// The location for this database. The directory must exist, the database need not.
    pub(super) fn beside(database: &Path) -> io::Result<Self> {
        let path = match fs::canonicalize(database) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = database.file_name().ok_or(error)?;
                let parent = database.parent().filter(|parent| !parent.as_os_str().is_empty());
                fs::canonicalize(parent.unwrap_or(Path::new(".")))?.join(name)
            }
            path => path?,
        };
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let plain = name.to_str().map(|name| format!("{name}.sock"));
        let name = plain.filter(|plain| plain.len() <= LONGEST_NAME).unwrap_or_else(|| {
            let hash = blake3::hash(name.as_bytes()).to_hex();
            format!(".patd-{}.sock", &hash[..16])
        });
        Ok(Self { directory: directory.to_owned(), name })
    }

    /// The path of the socket.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// A path that fits into a socket address. It is valid while the second value lives.
    pub(super) fn address(&self) -> io::Result<(PathBuf, Option<File>)> {
        let path = self.path();
        if path.as_os_str().len() <= LONGEST_PATH {
            return Ok((path, None));
        }
        if !cfg!(target_os = "linux") {
            return Err(io::Error::other(format!("the path is longer than {LONGEST_PATH} bytes")));
        }
        let directory = File::open(&self.directory)?;
        let short = {
            use std::os::fd::AsRawFd;
            PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(&self.name)
        };
        Ok((short, Some(directory)))
    }
}

/// A socket that listens. Its file is removed when this is dropped.
pub(super) struct ListeningSocket {
    pub(super) listener: UnixListener,
    file: SocketFile,
}

impl ListeningSocket {
    /// Creates the socket and removes the one of an earlier server. The caller must hold the server's lock of the database.
    pub(super) fn new(location: &SocketLocation) -> io::Result<Self> {
        let path = location.path();
        remove_stale(&path)?;
        let (address, _directory) = location.address()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        bind(&socket, &SocketAddrUnix::new(&address)?)?;
        let file = SocketFile { inode: fs::symlink_metadata(&path)?.ino(), path };
        // Set before it listens, so that nobody connects while the mode still comes from the umask.
        fs::set_permissions(&file.path, Permissions::from_mode(0o600))?;
        listen(&socket, BACKLOG)?;
        Ok(Self { listener: socket.into(), file })
    }

    /// The listener and its file.
    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

/// The file of a socket, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may have been replaced by another file.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode)
            && let Err(error) = fs::remove_file(&self.path)
        {
            log::warn!("control: {} was not removed: {error}", self.path.display());
        }
    }
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file is not a socket: move it away")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether this process trusts a peer that runs as `user`: itself, or root.
pub(super) fn is_trusted(user: u32) -> bool {
    user == 0 || user == geteuid().as_raw()
}
