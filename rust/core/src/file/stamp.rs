//! The times of a file, and what they say about writes by other processes.

use std::fs::{File, Metadata};
use std::io;
use std::time::SystemTime;

#[cfg(target_os = "linux")]
use std::time::Duration;

/// A file's times, which change when it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// `None` if the file system does not record it.
    modified: Option<SystemTime>,
    /// When content or attributes changed; no program can set it.
    #[cfg(unix)]
    changed: (i64, i64),
}

impl Stamp {
    #[cfg(unix)]
    pub(super) fn of(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        Self { modified: metadata.modified().ok(), changed }
    }

    /// On Windows, the time of a write may be recorded later, so it says nothing.
    #[cfg(not(unix))]
    pub(super) fn of(_metadata: &Metadata) -> Self {
        Self { modified: None }
    }

    /// Make sure that the next write to the file changes its times, even if it happens right now; return what
    /// the file is like then, if that has changed.
    ///
    /// The kernel takes times from a clock that ticks every 1 to 10 ms, so two writes can have the same time.
    /// If the last write is from the current tick, the modification time is set a nanosecond back, to a time
    /// that no later write gets. (Since Linux 6.13, most local file systems give a file that was looked at since
    /// its last write a precise time instead; nothing is left to do there.)
    #[cfg(target_os = "linux")]
    pub(super) fn seal(file: &File, metadata: &Metadata) -> io::Result<Option<Metadata>> {
        let modified = metadata.modified()?;
        if !can_recur(modified, ticked()) {
            return Ok(None);
        }
        file.set_modified(modified - Duration::from_nanos(1))?;
        let sealed = file.metadata()?;
        if sealed.modified()? < modified {
            return Ok(Some(sealed));
        }
        // Another write came first, or the file system does not store such a time.
        Err(io::ErrorKind::Unsupported.into())
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unnecessary_wraps, reason = "it can fail on Linux")]
    pub(super) fn seal(_file: &File, _metadata: &Metadata) -> io::Result<Option<Metadata>> {
        Ok(None)
    }
}

/// The time that the kernel gives to a file written now.
#[cfg(target_os = "linux")]
fn ticked() -> SystemTime {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
    let (seconds, nanoseconds) = (now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs());
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_nanos(nanoseconds)
}

/// Whether a later write can get the time `modified`, if `now` is the time that a write gets now.
#[cfg(target_os = "linux")]
fn can_recur(modified: SystemTime, now: SystemTime) -> bool {
    // Some file systems store full seconds alone, or even ones.
    let is_coarse =
        modified.duration_since(SystemTime::UNIX_EPOCH).is_ok_and(|time| time.subsec_nanos() == 0);
    let resolution = if is_coarse { Duration::from_secs(2) } else { Duration::from_nanos(1) };
    now.duration_since(modified).is_ok_and(|age| age < resolution)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_time_that_a_later_write_could_get_is_set_back() {
        let file = tempfile::tempfile().unwrap();
        // Repeated only if the clock ticks in between.
        let (modified, sealed) = loop {
            let modified = ticked();
            file.set_modified(modified).unwrap();
            if let Some(sealed) = Stamp::seal(&file, &file.metadata().unwrap()).unwrap() {
                break (modified, sealed);
            }
        };

        assert!(sealed.modified().unwrap() < modified);
        assert_eq!(file.metadata().unwrap().modified().unwrap(), sealed.modified().unwrap());
    }

    #[test]
    fn only_a_time_of_the_current_tick_can_recur() {
        let tick = SystemTime::UNIX_EPOCH + Duration::new(1000, 4_000_000);
        let second = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let after = |time: SystemTime, nanoseconds| time + Duration::from_nanos(nanoseconds);

        assert!(can_recur(tick, tick));
        assert!(!can_recur(tick, after(tick, 4_000_000)));
        assert!(!can_recur(after(tick, 1), tick)); // a precise time
        assert!(can_recur(second, after(second, 1_999_999_999)));
        assert!(!can_recur(second, after(second, 2_000_000_000)));
    }
}
