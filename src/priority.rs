//! Lowers the priority of threads that do background work.

/// Raises the niceness of the calling thread, so that threads that answer requests come first on a busy core. Only on Linux,
/// where each thread has its own niceness. A failure is only logged.
pub(crate) fn lower_priority(steps: i32) {
    #[cfg(target_os = "linux")]
    if let Err(error) = linux::lower(steps) {
        log::debug!("the priority of a thread cannot be lowered: {error}");
    }
    #[cfg(not(target_os = "linux"))]
    let _ = steps;
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::{
        io,
        process::{getpriority_process, setpriority_process},
        thread::gettid,
    };

    pub(super) fn lower(steps: i32) -> io::Result<()> {
        let thread = Some(gettid());
        setpriority_process(thread, getpriority_process(thread)? + steps)
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_the_calling_thread_gets_a_lower_priority() {
            let niceness = || getpriority_process(Some(gettid())).unwrap();
            let before = niceness();
            let lowered = std::thread::spawn(move || lower(3).map(|()| niceness())).join().unwrap();
            assert_eq!(lowered, Ok((before + 3).min(19)));
            assert_eq!(niceness(), before);
        }
    }
}
