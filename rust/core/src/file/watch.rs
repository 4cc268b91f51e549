//! Notices that a file is opened, by whichever process.

use std::path::Path;

/// A file that is watched until this is dropped.
///
/// The kernel reports every later open, and when an earlier writer closes the file. A write that comes at the same
/// moment as one here, so that the file's times do not show it, is noticed by that.
#[cfg(target_os = "linux")]
pub(super) struct Watch(Option<i32>);

#[cfg(target_os = "linux")]
impl Watch {
    /// Watch the file at `path`, which is open already.
    pub(super) fn start(path: &Path) -> Self {
        Self(queue::QUEUE.as_ref().and_then(|queue| queue.add(path)))
    }

    /// Whether the file was opened; never, if the kernel cannot watch it.
    pub(super) fn has_noticed(&self) -> bool {
        let queue = queue::QUEUE.as_ref();
        self.0.zip(queue).is_some_and(|(watched, queue)| queue.has_noticed(watched))
    }
}

#[cfg(target_os = "linux")]
impl Drop for Watch {
    fn drop(&mut self) {
        if let (Some(watched), Some(queue)) = (self.0, queue::QUEUE.as_ref()) {
            queue.remove(watched);
        }
    }
}

#[cfg(target_os = "linux")]
mod queue {
    use std::collections::HashMap;
    use std::mem::MaybeUninit;
    use std::os::fd::OwnedFd;
    use std::path::Path;
    use std::process;
    use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

    /// The kernel's reports. One for the process, because closing it takes ten milliseconds; `None` if the
    /// kernel's limit is reached.
    pub(super) static QUEUE: LazyLock<Option<Queue>> = LazyLock::new(Queue::open);

    pub(super) struct Queue {
        reports: OwnedFd,
        process: u32,
        /// Each watched file, and whether it was opened.
        watched: Mutex<HashMap<i32, bool>>,
    }

    impl Queue {
        fn open() -> Option<Self> {
            let reports = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
            Some(Self { reports, process: process::id(), watched: Mutex::default() })
        }

        pub(super) fn add(&self, path: &Path) -> Option<i32> {
            if process::id() != self.process {
                return None; // a fork shares its parent's queue, and would take the parent's reports
            }
            let events = WatchFlags::OPEN | WatchFlags::CLOSE_WRITE | WatchFlags::DONT_FOLLOW;
            let mut watched = self.lock();
            let watch = inotify::add_watch(&self.reports, path, events).ok()?;
            watched.entry(watch).or_insert(false);
            Some(watch)
        }

        pub(super) fn has_noticed(&self, watch: i32) -> bool {
            if process::id() != self.process {
                return false;
            }
            let mut watched = self.lock();
            self.read(&mut watched);
            // Two watches of one file are the same, so another may have ended this one.
            watched.get(&watch).copied().unwrap_or(true)
        }

        pub(super) fn remove(&self, watch: i32) {
            if process::id() == self.process {
                let mut watched = self.lock();
                if watched.remove(&watch).is_some() {
                    let _ = inotify::remove_watch(&self.reports, watch); // a removed file's has ended
                }
                self.read(&mut watched);
            }
        }

        fn read(&self, watched: &mut HashMap<i32, bool>) {
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut reader = Reader::new(&self.reports, &mut buffer);
            while let Ok(report) = reader.next() {
                if report.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                    for opened in watched.values_mut() {
                        *opened = true;
                    }
                }
                if report.events().intersects(ReadFlags::OPEN | ReadFlags::CLOSE_WRITE)
                    && let Some(opened) = watched.get_mut(&report.wd())
                {
                    *opened = true;
                }
            }
        }

        fn lock(&self) -> MutexGuard<'_, HashMap<i32, bool>> {
            // What panics leaves the map as it is.
            self.watched.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

/// Other systems report no opens by other processes, or deny them (Windows).
#[cfg(not(target_os = "linux"))]
pub(super) struct Watch;

#[cfg(not(target_os = "linux"))]
#[allow(clippy::unused_self, reason = "not so on Linux")]
impl Watch {
    pub(super) fn start(_path: &Path) -> Self {
        Self
    }

    pub(super) fn has_noticed(&self) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::{self, File};
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    fn file() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"content").unwrap();
        (folder, path)
    }

    #[test]
    fn a_later_open_is_noticed_and_an_earlier_one_is_not() {
        let (_folder, path) = file();
        let earlier = File::open(&path).unwrap();
        let watch = Watch::start(&path);
        drop(earlier);
        assert!(!watch.has_noticed());

        drop(File::open(&path));

        assert!(watch.has_noticed());
        assert!(watch.has_noticed());
    }

    #[test]
    fn an_earlier_writer_is_noticed_when_it_closes_the_file() {
        let (_folder, path) = file();
        let earlier = File::options().write(true).open(&path).unwrap();
        let watch = Watch::start(&path);

        drop(earlier);

        assert!(watch.has_noticed());
    }

    #[test]
    fn each_file_has_its_own_watch() {
        let ((_one, first), (_two, second)) = (file(), file());
        let (of_first, of_second) = (Watch::start(&first), Watch::start(&second));

        drop(File::open(&first));

        assert!(of_first.has_noticed() && !of_second.has_noticed());
        drop(of_first);
        assert!(!of_second.has_noticed());
    }

    #[test]
    fn a_second_watch_of_a_file_does_not_hide_what_the_first_would_notice() {
        let (_folder, path) = file();
        let first = Watch::start(&path);
        let second = Watch::start(&path);
        drop(first);

        drop(File::open(&path));

        assert!(second.has_noticed());
    }
}
