//! Locks on ranges of bytes of a file, which belong to the open file and not to the process (`F_OFD_SETLK`).

pub(super) use self::system::{is_locked_by_another, lock, lock_shared, unlock};

/// A range of bytes. The file may be shorter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes {
    pub(super) start: i64,
    pub(super) end: i64,
}

#[cfg(target_os = "linux")]
mod system {
    use std::{fs::File, io};

    use nix::{
        errno::Errno,
        fcntl::{FcntlArg, fcntl},
        libc,
    };

    use crate::store::sqlite::byte_locks::Bytes;

    fn request(kind: i32, bytes: Bytes) -> libc::flock {
        libc::flock {
            // They are small constants, of a type that depends on the system.
            l_type: kind as _,
            l_whence: libc::SEEK_SET as _,
            l_start: bytes.start,
            l_len: bytes.end - bytes.start,
            l_pid: 0,
        }
    }

    fn set(file: &File, kind: i32, bytes: Bytes) -> io::Result<bool> {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&request(kind, bytes))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(in crate::store::sqlite) fn lock(file: &File, bytes: Bytes) -> io::Result<bool> {
        set(file, libc::F_WRLCK, bytes)
    }

    pub(in crate::store::sqlite) fn lock_shared(file: &File, bytes: Bytes) -> io::Result<bool> {
        set(file, libc::F_RDLCK, bytes)
    }

    pub(in crate::store::sqlite) fn unlock(file: &File, bytes: Bytes) -> io::Result<()> {
        set(file, libc::F_UNLCK, bytes).map(drop)
    }

    pub(in crate::store::sqlite) fn is_locked_by_another(file: &File, bytes: Bytes) -> io::Result<bool> {
        if bytes.start == bytes.end {
            // A length of zero would mean: to the end of the file.
            return Ok(false);
        }
        let mut found = request(libc::F_WRLCK, bytes);
        fcntl(file, FcntlArg::F_OFD_GETLK(&mut found))?;
        Ok(i32::from(found.l_type) != libc::F_UNLCK)
    }
}

/// Other systems have no locks of this kind. There, nothing keeps a second server out.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::{fs::File, io};

    use crate::store::sqlite::byte_locks::Bytes;

    pub(in crate::store::sqlite) fn lock(_: &File, _: Bytes) -> io::Result<bool> {
        Ok(true)
    }

    pub(in crate::store::sqlite) fn lock_shared(_: &File, _: Bytes) -> io::Result<bool> {
        Ok(true)
    }

    pub(in crate::store::sqlite) fn unlock(_: &File, _: Bytes) -> io::Result<()> {
        Ok(())
    }

    pub(in crate::store::sqlite) fn is_locked_by_another(_: &File, _: Bytes) -> io::Result<bool> {
        Ok(false)
    }
}
