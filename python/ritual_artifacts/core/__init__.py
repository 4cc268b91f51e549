"""Typed interfaces to the Rust extension: the only modules that import `ritual_artifacts._core`."""
