//! How much memory this process may use: that of the machine, or less if a container, a systemd unit or a shell sets a
//! limit.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The lowest of all limits, in bytes, or `None` if the system reports none.
pub(super) fn limit() -> Option<u64> {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|info| total(&info));
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let in_groups = limit_files(&groups).iter().filter_map(|path| read(path)?.trim().parse().ok()).min();
    let data = rlimit::Resource::DATA.get_soft().ok();
    [machine, in_groups, data].into_iter().flatten().min()
}

/// The total memory in `/proc/meminfo`, in bytes.
fn total(info: &str) -> Option<u64> {
    let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// The files that may have a limit: one for each control group of the process and for each group above it. A container may
/// see its own group as the outermost. A missing file, or the text "max", means no limit.
fn limit_files(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (mount, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            v1 if v1.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => continue,
        };
        let within = Path::new(path.trim_start_matches('/'));
        files.extend(within.ancestors().map(|group| Path::new(mount).join(group).join(file)));
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_the_machine_is_read() {
        assert_eq!(total("MemTotal:       24684904 kB\nMemFree: 1 kB\n"), Some(24_684_904 * 1024));
        assert_eq!(total("MemFree: 1 kB\n"), None);
        assert!(limit().is_some_and(|bytes| bytes > 1 << 20));
    }

    #[test]
    fn the_limits_of_all_control_groups_of_the_process_are_read() {
        let files = |groups| {
            let files = limit_files(groups);
            files.iter().map(|file| file.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(
            files("0::/system.slice/patd.service\n"),
            [
                "/sys/fs/cgroup/system.slice/patd.service/memory.max",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/memory.max"
            ]
        );
        assert_eq!(
            files("5:cpu,memory:/docker/1\n3:cpuset:/docker/1\n"),
            [
                "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes"
            ]
        );
        assert_eq!(files("rubbish\n"), Vec::<String>::new());
    }
}
