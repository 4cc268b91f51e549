"""One upload to the Hub: hash, look what is there, send the rest, commit once."""

from ritual_artifacts.artifact.manifest import Manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, ArtifactPlan
from ritual_artifacts.backends.huggingface.card import CARD_FILENAME, write_card
from ritual_artifacts.backends.huggingface.commit import Publisher
from ritual_artifacts.backends.huggingface.hub import Hub
from ritual_artifacts.backends.huggingface.options import MAIN, UploadOptions
from ritual_artifacts.backends.huggingface.result import HuggingFaceUploadResult
from ritual_artifacts.backends.huggingface.sources import Addition, Stamp, refuse_changed, take_stamps
from ritual_artifacts.core.hashing import FileDigest, hash_files
from ritual_artifacts.errors import BackendError
from ritual_artifacts.events import ProgressCallback, ProgressMeter
from ritual_artifacts.repo_id import RitualRepoId


class HuggingFaceUpload:
    """An `UploadSession` of the Hub."""

    def __init__(self, hub: Hub, repo_id: RitualRepoId, options: UploadOptions) -> None:
        """Prepare an upload; nothing is asked yet.

        Raises:
            RepoIdError: the revision cannot be the version of an id.
        """
        self._hub = hub
        self._repo_id = repo_id
        self._published_id = _with_revision(repo_id, hub.connection.revision_of(repo_id))
        self._options = options
        self._stamps: list[Stamp] = []

    def read_files(self, plan: ArtifactPlan, progress: ProgressCallback | None) -> list[FileDigest]:
        """Hash each file; see `UploadSession`."""
        self._stamps = take_stamps(plan.files)
        meter = ProgressMeter(progress, "hash", plan.size)
        return hash_files([f.source for f in plan.files], follow_symlinks=False, progress=meter.advance)

    def publish(
        self, manifest: Manifest, plan: ArtifactPlan, progress: ProgressCallback | None
    ) -> HuggingFaceUploadResult:
        """Send what the Hub does not have, and commit it; see `UploadSession`."""
        if manifest.digest is None:
            message = "an artifact needs the size of every file before it can be published"
            raise BackendError(message)
        meter = ProgressMeter(progress, "upload", manifest.size, len(manifest.files))
        publisher = Publisher(
            self._hub,
            self._repo_id,
            self._options,
            refuse_changed=lambda: refuse_changed(plan.files, self._stamps),
            meter=meter,
        )
        contents = {
            entry.path: Addition(entry.path, file.source, entry.sha256, entry.size or 0)
            for entry, file in zip(manifest.files, plan.files, strict=True)
        }
        contents[MANIFEST_FILENAME] = Addition.of_bytes(MANIFEST_FILENAME, manifest.to_bytes())
        published = publisher.publish(contents, self._make_card(manifest))
        sent = sum(entry.size or 0 for entry in manifest.files if entry.path in published.sent)
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
    """Return the id with the version that is published, also where an option names it."""
    if revision in {None, MAIN} or "/" in str(revision):  # a version has no slash, a pull request has
        return repo_id
    return repo_id.with_version(revision)
