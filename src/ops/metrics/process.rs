//! What the process itself takes, under the names that all Prometheus clients use.
//!
//! Linux shows it in `/proc`; elsewhere nothing is shown. Each scrape reads it.

/// What the process takes now.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    /// Seconds of processors, since the start.
    pub(super) cpu: f64,
    /// Bytes in memory.
    pub(super) resident: u64,
    /// Bytes of address space.
    pub(super) virtual_memory: u64,
    /// Open files and connections.
    pub(super) open_files: u64,
    /// The most of them; `None`: no limit.
    pub(super) most_files: Option<u64>,
}

/// Returns what the process takes now; `None` where the system does not show it.
#[cfg(target_os = "linux")]
pub(super) fn now() -> Option<Process> {
    use rustix::{
        param::page_size,
        process::{Resource, getrlimit},
        time::{ClockId, clock_gettime},
    };

    let pages = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = pages.split_ascii_whitespace();
    let mut bytes = || Some(pages.next()?.parse::<u64>().ok()? * page_size() as u64);
    let (virtual_memory, resident) = (bytes()?, bytes()?);
    // The folder that is being read is one of them.
    let open = std::fs::read_dir("/proc/self/fd").ok()?.count();
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let time = std::time::Duration::try_from(time).ok()?;
    Some(Process {
        cpu: time.as_secs_f64(),
        resident,
        virtual_memory,
        open_files: open.saturating_sub(1) as u64,
        most_files: getrlimit(Resource::Nofile).current,
    })
}

/// Returns what the process takes now; `None` where the system does not show it.
#[cfg(not(target_os = "linux"))]
pub(super) fn now() -> Option<Process> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_takes_grows_with_it() {
        let before = now().unwrap();
        assert!(
            before.resident > 1 << 20 && before.virtual_memory >= before.resident,
            "{before:?}"
        );
        let files: Vec<_> = (0..50)
            .map(|_| std::fs::File::open("/proc/self/statm").unwrap())
            .collect();
        let mut sum = 0_u64;
        while now().unwrap().cpu < before.cpu + 0.02 {
            sum = sum.wrapping_add(1);
        }
        let after = now().unwrap();
        // Other tests open and close files meanwhile.
        assert!(after.open_files >= 50, "{sum} {after:?}");
        assert!(after.most_files.is_none_or(|most| most >= after.open_files));
        drop(files);
    }
}
