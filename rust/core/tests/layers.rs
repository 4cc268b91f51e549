//! The modules of the crate import in one direction: what hashes and moves bytes knows no storage.

use std::fs;
use std::path::{Path, PathBuf};

/// All Rust files at `path`, a file or a folder.
fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_dir() {
        let entries = fs::read_dir(path).unwrap();
        return entries.flat_map(|entry| sources(&entry.unwrap().path())).collect();
    }
    vec![path.to_owned()]
}

#[test]
fn the_engine_and_what_it_stands_on_do_not_import_arweave() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let modules = "cancel.rs digest.rs engine.rs engine error.rs file.rs file progress.rs sha256.rs sha256 source.rs";

    for path in modules.split(' ').flat_map(|module| sources(&folder.join(module))) {
        let text = fs::read_to_string(&path).unwrap();
        let imports = text.lines().filter(|line| line.contains("arweave::"));
        assert_eq!(imports.collect::<Vec<_>>(), [""; 0], "{}", path.display());
    }
}
