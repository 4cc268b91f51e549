"""One upload to the Hub as an `UploadSession`: hash the files, then publish them with manifest and card."""

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan
from ritual_artifacts.backends.base import UploadSession
from ritual_artifacts.backends.huggingface.card import CARD_FILENAME, write_card
from ritual_artifacts.backends.huggingface.commit import Publisher
from ritual_artifacts.backends.huggingface.hub import Hub
from ritual_artifacts.backends.huggingface.options import MAIN, HubUpload
from ritual_artifacts.backends.huggingface.result import HuggingFaceUploadResult
from ritual_artifacts.backends.huggingface.sources import (
    MAX_HELD_BYTES,
    Addition,
    Stamp,
    refuse_changed,
    take_stamps,
)
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.repo_id import RitualRepoId


class HuggingFaceUpload(UploadSession):
    """One upload to the Hub."""

    def __init__(self, hub: Hub, plan: ArtifactPlan, repo_id: RitualRepoId, options: HubUpload) -> None:
        """Prepare an upload; nothing is sent yet.

        Raises:
            RepoIdError: the revision cannot be the version of an id.
        """
        self._hub = hub
        self._plan = plan
        self._repo_id = repo_id
        self._published_id = _with_revision(repo_id, hub.connection.revision_of(repo_id))
        self._options = options
        self._stamps: list[Stamp] = []
        self._digests: list[FileDigest] = []

    def read_files(self) -> list[FileDigest]:
        """Hash each file, as git does too if it is small; see `UploadSession`."""
        context = self._hub.context
        self._stamps = take_stamps(self._plan.files)
        meter = context.meter("hash", self._plan.size)
        self._digests = hash_files(
            [file.source for file in self._plan.files],
            follow_symlinks=False,
            max_workers=context.settings.max_workers,
            progress=meter.advance,
            git_sha1_max_size=MAX_HELD_BYTES,
        )
        return self._digests

    def publish(self, manifest: Manifest) -> HuggingFaceUploadResult:
        """Send what the Hub does not have, and commit it; see `UploadSession`."""
        publisher = Publisher(
            self._hub,
            self._repo_id,
            self._options,
            refuse_changed=lambda: refuse_changed(self._plan.files, self._stamps),
            meter=self._hub.context.meter("upload", manifest.size, len(manifest.files)),
        )
        contents = {
            file.path: Addition.of_file(file.path, digest)
            for file, digest in zip(self._plan.files, self._digests, strict=True)
        }
        contents[MANIFEST_FILENAME] = Addition.of_bytes(MANIFEST_FILENAME, manifest.to_bytes())
        published = publisher.publish(contents, self._make_card(manifest))
        sent = sum(entry.size for entry in manifest.files if entry.path in published.sent)
        return HuggingFaceUploadResult(
            repo_id=self._published_id,
            revision=published.commit_info.oid,
            url=published.commit_info.pr_url or published.commit_info.commit_url,
            digest=manifest.digest,
            files=manifest.files,
            bytes_sent=sent,
            bytes_reused=manifest.size - sent,
            commit_info=published.commit_info,
        )

    def _make_card(self, manifest: Manifest) -> Addition | None:
        if not self._options.card or any(entry.path == CARD_FILENAME for entry in manifest.files):
            return None
        card = write_card(manifest, self._published_id, self._hub.connection.repo_type, self._options)
        return Addition.of_bytes(CARD_FILENAME, card)


def _with_revision(repo_id: RitualRepoId, revision: str | None) -> RitualRepoId:
    """Return the id with the version that is published, also if an option names it."""
    if revision in {None, MAIN} or "/" in str(revision):  # a version contains no slash, a pull request does
        return repo_id
    return repo_id.with_version(revision)
