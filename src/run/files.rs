//! How many files and connections the process may have open.

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets the process open as many as it may allow itself. What it is given at first is often 1,024, for the sake of programs
/// that use `select`. The connections of the webhook's port alone would use that up, and then no probe gets in.
#[cfg(unix)]
pub(super) fn allow_open_files() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current == maximum {
        return;
    }
    let most = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, most) {
        tracing::warn!(%error, limit = current, "cannot raise the limit of open files");
    }
}

/// Where there is no such limit, there is nothing to raise.
#[cfg(not(unix))]
pub(super) fn allow_open_files() {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_are_opened_as_the_system_allows() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let current = Some(maximum.map_or(1 << 20, |most| most - 1));
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
        allow_open_files();
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
