//! Writes on a full disk.

#![cfg(unix)]

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use ritual_artifacts_core::{CancelToken, Error, PartialFile, Progress};

const TARGET: &str = "RITUAL_TEST_FULL_DISK_TARGET";

fn content() -> Vec<u8> {
    (0_u32..50_000).flat_map(u32::to_le_bytes).collect()
}

fn open(path: &Path) -> PartialFile {
    PartialFile::open(path, &Progress::new(), &CancelToken::new()).unwrap()
}

/// A limit on the size of files makes a write fail midway, like a full disk, and needs no disk of its
/// own. It applies to a whole process, so the test runs itself again under the limit.
#[test]
fn a_partial_that_filled_the_disk_holds_a_beginning_and_is_continued_later() {
    if let Some(path) = env::var_os(TARGET) {
        return fill_the_disk(Path::new(&path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("partial");

    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 20; exec \"$0\" --quiet"])
        .arg(env::current_exe().unwrap())
        .env(TARGET, &path)
        .status()
        .unwrap();
    assert!(status.success());

    let content = content();
    let landed = fs::read(&path).unwrap();
    assert!(!landed.is_empty() && landed.len() < content.len());
    assert!(content.starts_with(&landed));
    let mut resumed = open(&path);
    resumed.write(&content[landed.len()..]).unwrap();
    resumed.finish().unwrap();
    assert_eq!(fs::read(&path).unwrap(), content);
}

/// Runs under the limit, in its own process.
fn fill_the_disk(path: &Path) {
    let mut partial = open(path);

    let result = partial.write(&content());

    assert!(matches!(result, Err(Error::Io { .. })), "{result:?}");
    assert_eq!(partial.size(), fs::metadata(path).unwrap().len());
    assert!(matches!(partial.write(b"more"), Err(Error::Broken { .. })));
}
