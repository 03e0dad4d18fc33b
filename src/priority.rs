//! Which threads step back where there are too few cores for all.

/// Lets the threads that answer requests go before the calling one, by so many steps of niceness: Linux has one a thread,
/// other systems have one a process, which stays as it is. The thread still gets a share of a busy core. Where the system
/// refuses, all stay alike.
pub(crate) fn lower_priority(steps: i32) {
    #[cfg(target_os = "linux")]
    if let Err(error) = linux::lower(steps) {
        log::debug!("a thread keeps its priority: {error}");
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
        fn a_thread_steps_back_alone() {
            let own = || getpriority_process(Some(gettid())).unwrap();
            let before = own();
            let stepped_back = std::thread::spawn(move || lower(3).map(|()| own())).join().unwrap();
            assert_eq!(stepped_back, Ok((before + 3).min(19)));
            assert_eq!(own(), before);
        }
    }
}
