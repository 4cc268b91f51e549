"""Memory backends with one fault each, for which the contract suite must fail; see `test_contract_fails.py`.

A fault replaces one method. For each there is a test class with the one test that must fail.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.artifact.manifest import AnyEntry, Manifest
from ritual_artifacts.backends import RemoteFile, UploadResult
from ritual_artifacts.backends.memory import (
    MemoryOptions,
    MemoryRevision,
    MemoryStorage,
    MemoryUpload,
    MemoryUploadOptions,
    StoredArtifact,
    StoredRepository,
)
from ritual_artifacts.core.hashing import FileDigest
from tests.backends import test_contract


def repository_of(upload: MemoryUpload) -> StoredRepository:
    repositories = upload.space.repositories
    return repositories.setdefault(str(upload.repo_id.without_version()), StoredRepository())


def read_from_the_start(read: Any, revision: MemoryRevision, entry: AnyEntry, _: int = 0) -> Iterator[bytes]:
    found: Iterator[bytes] = read(revision, entry)
    return found


def change_older_versions(publish: Any, upload: MemoryUpload, manifest: Manifest) -> UploadResult:
    result: UploadResult = publish(upload, manifest)
    repository = repository_of(upload)
    for stored in repository.revisions.values():
        stored.files.update(repository.revisions[result.revision].files)
    return result


def move_labels(publish: Any, upload: MemoryUpload, manifest: Manifest) -> UploadResult:
    repository_of(upload).labels.pop(upload.repo_id.version or "", None)
    result: UploadResult = publish(upload, manifest)
    return result


def keep_the_newest(publish: Any, upload: MemoryUpload, manifest: Manifest) -> UploadResult:
    newest = repository_of(upload).newest
    result: UploadResult = publish(upload, manifest)
    repository_of(upload).newest = newest or result.revision
    return result


def show_early(read_files: Any, upload: MemoryUpload) -> list[FileDigest]:
    repository = repository_of(upload)
    repository.revisions["early"] = StoredArtifact(Digest(), b"", {})
    repository.newest = "early"
    found: list[FileDigest] = read_files(upload)
    return found


def send_again(publish: Any, upload: MemoryUpload, manifest: Manifest) -> UploadResult:
    result: UploadResult = publish(upload, manifest)
    return replace(result, bytes_sent=manifest.size, bytes_reused=0)


def publish_changed_files(_: Any, upload: MemoryUpload, manifest: Manifest) -> dict[str, bytes]:
    return {e.path: f.source.read_bytes() for e, f in zip(manifest.files, upload.plan.files, strict=True)}


def accept_unknown(parse: Any, given: dict[str, Any]) -> Any:
    return parse({name: value for name, value in given.items() if name != "colour"})


# By the test that must fail: what is replaced, and by what.
FAULTS: Final[dict[str, tuple[type, str, Callable[..., Any]]]] = {
    "test_a_file_is_read_from_an_offset_to_its_end": (MemoryRevision, "read", read_from_the_start),
    "test_an_opened_revision_stays_what_it_was": (MemoryUpload, "publish", change_older_versions),
    "test_a_label_never_changes_its_content": (MemoryUpload, "publish", move_labels),
    "test_a_pinned_version_never_changes": (MemoryUpload, "publish", move_labels),
    "test_no_version_means_the_newest": (MemoryUpload, "publish", keep_the_newest),
    "test_nothing_is_visible_before_it_is_published": (MemoryUpload, "read_files", show_early),
    "test_an_upload_that_is_not_published_leaves_nothing": (MemoryUpload, "read_files", show_early),
    "test_a_second_upload_of_the_same_artifact_sends_nothing": (MemoryUpload, "publish", send_again),
    "test_a_file_that_changes_during_the_upload_is_not_published": (
        MemoryUpload,
        "_read_again",
        publish_changed_files,
    ),
    "test_an_unknown_connection_option_is_refused": (MemoryOptions, "parse", accept_unknown),
    "test_an_unknown_upload_option_is_refused": (MemoryUploadOptions, "parse", accept_unknown),
    "test_a_digest_and_a_listing_agree_with_the_manifest": (
        MemoryRevision,
        "listing",
        lambda _, revision: {path: RemoteFile(1) for path in revision.stored.files},
    ),
    "test_a_local_path_holds_the_bytes_of_the_file": (
        MemoryRevision,
        "local_path",
        lambda *_: Path(__file__),
    ),
    "test_this_installation_can_use_the_storage": (
        MemoryStorage,
        "check",
        lambda _, storage, context: storage.connect({}, context),
    ),
}


def make_class(name: str) -> type[test_contract.TestMemory]:
    target, method, fault = FAULTS[name]

    @pytest.fixture(autouse=True)
    def replace_method(self: test_contract.TestMemory, monkeypatch: pytest.MonkeyPatch) -> None:
        del self
        honest = getattr(target, method)

        def faulty(*given: Any, **named: Any) -> Any:
            return fault(honest, *given, **named)

        monkeypatch.setattr(target, method, staticmethod(faulty) if method == "parse" else faulty)

    base = test_contract.TestMemory
    others = {other: None for other in dir(base) if other.startswith("test_") and other != name}
    return type(f"Test_{name}", (base,), {"replace_method": replace_method, **others})


globals().update({f"Test_{name}": make_class(name) for name in FAULTS})
