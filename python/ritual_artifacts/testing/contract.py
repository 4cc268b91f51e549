"""The claims of the contract suite: what every backend does, and what one with immutable versions does."""

import contextlib
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ritual_artifacts.artifact.manifest import Manifest, parse_manifest
from ritual_artifacts.artifact.planning import MANIFEST_FILENAME, plan_files
from ritual_artifacts.backends import Revision, connect
from ritual_artifacts.context import Context
from ritual_artifacts.core.hashing import hash_files
from ritual_artifacts.errors import (
    ArtifactModelError,
    ArtifactNotFoundError,
    BackendError,
    ConflictError,
    IntegrityError,
    RepoIdError,
    SourceChangedError,
)
from ritual_artifacts.events import Progress
from ritual_artifacts.manager import RitualArtifactManager
from ritual_artifacts.testing.harness import BackendHarness, Number, Pair, Sample, names_below, write_file


class BackendContract(BackendHarness):
    """What every backend does. Subclass it under a name that begins with `Test`."""

    # --- the storage ---

    def test_the_storage_is_found_by_its_name(self) -> None:
        assert self.storage.name == self.storage_name
        assert self.storage.title

    def test_this_installation_can_use_the_storage(self) -> None:
        self.storage.check(Context.create())

    def test_every_option_is_described(self) -> None:
        for options in (self.storage.connection_options, self.storage.upload_options):
            assert options.title
            assert [name for name, field in options.model_fields.items() if not field.description] == []

    def test_an_unknown_connection_option_is_refused(self) -> None:
        with pytest.raises(BackendError, match="colour"):
            connect(self.repo(), {**self.connection_options, "colour": "red"}, Context.create())

    def test_an_unknown_upload_option_is_refused(self, sample: Sample) -> None:
        with pytest.raises(BackendError, match="colour"):
            self.upload(sample, upload_kwargs={"colour": "red"})

        with pytest.raises(ArtifactNotFoundError):
            self.open()

    # --- round trips ---

    def test_a_downloaded_artifact_equals_the_published_one(self, sample: Sample, tmp_path: Path) -> None:
        result = self.upload(sample)

        manager = self.download(tmp_path / "out")

        assert manager.artifact.contents() == sample.contents()
        assert manager.artifact.note == "ø"
        assert manager.digest == result.digest == RitualArtifactManager(artifact=sample).digest
        assert names_below(tmp_path / "out") == {"a.bin", "b.bin", "circuit.bin", MANIFEST_FILENAME}

    def test_the_storage_holds_each_file_and_the_manifest(self, sample: Sample) -> None:
        result = self.upload(sample)

        stored = {name: self.raw_read(self.repo(), name) for name in sample.contents()}
        manifest = parse_manifest(self.raw_read(self.repo(), MANIFEST_FILENAME))

        assert stored == sample.contents()
        assert isinstance(manifest, Manifest)
        assert manifest.digest == result.digest

    def test_the_result_says_what_was_published(self, sample: Sample) -> None:
        result = self.upload(sample, "v1")

        assert result.repo_id == self.repo("v1")
        assert result.revision == self.open("v1").name
        assert {entry.path: entry.size for entry in result.files} == _sizes(sample)
        assert (result.bytes_sent, result.bytes_reused) == (59_000, 0)
        assert json.loads(json.dumps(result.details())) == result.details()
        assert all(line and line.isprintable() for line in [result.url, *result.summary()])

    def test_a_second_upload_of_the_same_artifact_sends_nothing(self, sample: Sample, tmp_path: Path) -> None:
        self.upload(sample)

        again = self.upload(sample)

        assert (again.bytes_sent, again.bytes_reused) == (0, 59_000)
        assert self.download(tmp_path / "out").artifact.contents() == sample.contents()

    def test_the_files_of_some_fields_can_be_downloaded_alone(self, sample: Sample, tmp_path: Path) -> None:
        self.upload(Pair(circuit=sample.circuit, proof=write_file(tmp_path / "sources" / "proof.bin", 100)))

        manager = RitualArtifactManager.from_repo(
            Pair, self.repo(), tmp_path / "out", repomanager_kwargs=self.connection_options, fields=["proof"]
        )

        assert names_below(tmp_path / "out") == {"proof.bin"}
        assert manager.artifact.circuit is None

    def test_progress_only_grows_and_ends_at_the_total(self, sample: Sample, tmp_path: Path) -> None:
        uploaded, downloaded = _Reports(), _Reports()

        self.upload(sample, progress=uploaded)
        self.download(tmp_path / "out", progress=downloaded)

        uploaded.check()
        downloaded.check()

    # --- revisions ---

    def test_an_opened_revision_stays_what_it_was(self, sample: Sample, changed: Sample) -> None:
        result = self.upload(sample)
        revision = self.open()

        self.upload(changed)

        assert revision.name == result.revision != self.open().name
        assert _manifest(revision).digest == result.digest
        assert _read_all(revision) == sample.contents()

    @pytest.mark.parametrize("offset", [0, 1, 12_345, 49_999, 50_000])
    def test_a_file_is_read_from_an_offset_to_its_end(self, offset: int, sample: Sample) -> None:
        self.upload(sample)
        revision = self.open()
        entry = next(entry for entry in _manifest(revision).files if entry.path == "circuit.bin")

        data = b"".join(revision.read(entry, offset))

        assert data == sample.circuit.read_bytes()[offset:]

    def test_several_threads_read_from_one_revision(self, sample: Sample) -> None:
        self.upload(sample)
        revision = self.open()

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: _read_all(revision), range(8)))

        assert found == [sample.contents()] * 8

    def test_a_digest_and_a_listing_agree_with_the_manifest(self, sample: Sample) -> None:
        self.upload(sample)
        revision = self.open()
        manifest = _manifest(revision)

        digest, listing = revision.digest, revision.listing()

        assert digest in {None, manifest.digest}
        for entry in manifest.files:
            assert listing is None or listing[entry.path].size == entry.size
            assert listing is None or listing[entry.path].sha256 in {None, entry.sha256}

    def test_a_local_path_holds_the_bytes_of_the_file(self, sample: Sample) -> None:
        self.upload(sample)
        revision = self.open()
        entries = _manifest(revision).files

        paths = {entry.path: revision.local_path(entry) for entry in entries}

        assert all(path is None or path.read_bytes() == sample.contents()[n] for n, path in paths.items())

    def test_a_revision_that_is_found_by_its_name_is_the_same(self, sample: Sample) -> None:
        result = self.upload(sample)
        backend = self.connect()

        with contextlib.suppress(RepoIdError):  # the storage cannot find it
            assert backend.open(backend.identify(result.revision)).name == result.revision

    # --- versions ---

    def test_no_version_means_the_newest(self, sample: Sample, changed: Sample, tmp_path: Path) -> None:
        self.upload(sample, "v1")
        self.upload(changed)

        assert self.download(tmp_path / "newest").artifact.contents() == changed.contents()
        assert self.download(tmp_path / "first", "v1").artifact.contents() == sample.contents()

    def test_a_missing_repository_is_not_found(self, tmp_path: Path) -> None:
        with pytest.raises(ArtifactNotFoundError, match=f"{self.owner}/model"):
            self.download(tmp_path / "out")

        assert not (tmp_path / "out").exists()

    def test_a_missing_version_is_not_found(self, sample: Sample, tmp_path: Path) -> None:
        self.upload(sample, "v1")

        with pytest.raises(ArtifactNotFoundError, match="v2"):
            self.download(tmp_path / "out", "v2")

    def test_a_pinned_version_never_changes(self, sample: Sample, changed: Sample) -> None:
        first = self.upload(sample, "v1")

        with contextlib.suppress(ConflictError):
            self.upload(changed, "v1")

        pinned = self.storage.is_pinned(self.repo("v1"), self.connection_options)
        assert not pinned or self.open("v1").name == first.revision

    def test_versions_of_one_digest_keep_their_own_values(self, sample: Sample, tmp_path: Path) -> None:
        values = {"v1": 1, "v2": 1.0}
        uploaded = {v: self.upload(Number(file=sample.circuit, value=n), v) for v, n in values.items()}

        for version, value in values.items():
            found = RitualArtifactManager.from_repo(
                Number,
                self.repo(version),
                tmp_path / version,
                repomanager_kwargs=self.connection_options,
            )
            assert repr(found.artifact.value) == repr(value)
        assert uploaded["v1"].digest == uploaded["v2"].digest
        assert uploaded["v1"].revision != uploaded["v2"].revision

    @pytest.mark.parametrize(("old", "new"), [(1.0, 1), (1, 1.0), (0.0, -0.0)], ids=repr)
    def test_the_newest_version_keeps_its_own_value(self, old: float, new: float, sample: Sample) -> None:
        for value in (old, new):
            self.upload(Number(file=sample.circuit, value=value))
            found = RitualArtifactManager.from_repo(
                Number, self.repo(), repomanager_kwargs=self.connection_options
            )
            assert repr(found.artifact.value) == repr(value)

    # --- uploads ---

    def test_nothing_is_visible_before_it_is_published(self, sample: Sample) -> None:
        backend, plan, context = self.connect(), plan_files(sample), Context.create()

        with backend.start_upload(plan, self.repo(), backend.upload_options({}), context) as session:
            digests = session.read_files()
            with pytest.raises(ArtifactNotFoundError):
                self.open()
            result = session.publish(Manifest.build(plan, digests, self.repo()))

        expected = hash_files([file.source for file in plan.files])
        assert [(each.size, each.sha256) for each in digests] == [(e.size, e.sha256) for e in expected]
        assert self.open().name == result.revision

    @pytest.mark.parametrize("error", [None, KeyboardInterrupt()], ids=["left", "interrupted"])
    def test_an_upload_that_is_not_published_leaves_nothing(
        self, error: BaseException | None, sample: Sample, tmp_path: Path
    ) -> None:
        backend, context = self.connect(), Context.create()
        upload = backend.start_upload(plan_files(sample), self.repo(), backend.upload_options({}), context)

        with contextlib.suppress(KeyboardInterrupt), upload as session:
            session.read_files()
            if error is not None:
                raise error

        with pytest.raises(ArtifactNotFoundError):
            self.open()
        self.upload(sample)
        assert self.download(tmp_path / "out").artifact.contents() == sample.contents()

    def test_a_file_that_changes_during_the_upload_is_not_published(
        self, sample: Sample, tmp_path: Path
    ) -> None:
        before = sample.contents()
        backend, plan, context = self.connect(), plan_files(sample), Context.create()

        with backend.start_upload(plan, self.repo(), backend.upload_options({}), context) as session:
            manifest = Manifest.build(plan, session.read_files(), self.repo())
            sample.circuit.write_bytes(b"changed")
            try:
                session.publish(manifest)  # a storage that has copied the bytes already can still do this
            except SourceChangedError as error:
                assert "circuit.bin" in str(error)  # noqa: PT017 - and it may not be raised

        try:
            found = self.download(tmp_path / "out").artifact.contents()
        except ArtifactNotFoundError:
            return
        assert found == before

    def test_an_estimate_is_a_price_or_nothing(self, sample: Sample) -> None:
        backend = self.connect()

        price = backend.estimate(plan_files(sample), self.repo(), backend.upload_options({}))

        assert price is None or (price.amount >= 0 and price.text)
        with pytest.raises(ArtifactNotFoundError):
            self.open()

    # --- wrong bytes ---

    def test_a_wrong_byte_never_reaches_its_final_path(self, sample: Sample, tmp_path: Path) -> None:
        result = self.upload(sample)
        self.damage(self.repo(), ["circuit.bin"])

        with pytest.raises(IntegrityError) as caught:
            self.download(tmp_path / "out")

        [mismatch] = caught.value.mismatches
        expected = next(entry.sha256 for entry in result.files if entry.path == "circuit.bin")
        source = str(self.repo())
        assert (mismatch.path, mismatch.field, mismatch.source) == ("circuit.bin", "circuit", source)
        assert mismatch.expected == expected != mismatch.actual
        for part in ("circuit.bin", "'circuit'", expected, mismatch.actual, source):
            assert part in str(caught.value)
        assert not {"circuit.bin", MANIFEST_FILENAME} & names_below(tmp_path / "out")

    def test_every_wrong_file_is_named_at_once(self, sample: Sample, tmp_path: Path) -> None:
        self.upload(sample)
        self.damage(self.repo(), ["circuit.bin", "a.bin"])

        with pytest.raises(IntegrityError) as caught:
            self.download(tmp_path / "out")

        assert [mismatch.path for mismatch in caught.value.mismatches] == ["a.bin", "circuit.bin"]

    def test_wrong_bytes_leave_an_older_download_as_it_was(
        self, sample: Sample, changed: Sample, tmp_path: Path
    ) -> None:
        self.upload(sample)
        self.download(tmp_path / "out")
        self.upload(changed)
        self.damage(self.repo(), ["circuit.bin"])

        with pytest.raises(IntegrityError):
            self.download(tmp_path / "out")

        manager = RitualArtifactManager.from_dir(Sample, tmp_path / "out")
        assert manager.artifact.contents() == sample.contents()

    def test_only_the_expected_digest_is_downloaded(self, sample: Sample, tmp_path: Path) -> None:
        digest = self.upload(sample).digest

        with pytest.raises(IntegrityError, match="0" * 64):
            self.download(tmp_path / "out", expected_digest="sha256:" + "0" * 64)
        with pytest.raises(ArtifactModelError, match="expected_digest"):
            self.download(tmp_path / "out", expected_digest="v1")

        assert not (tmp_path / "out").exists()
        assert self.download(tmp_path / "out", expected_digest=digest).digest == digest


class ImmutableVersionsContract(BackendContract):
    """What a backend does whose version labels never change their content."""

    def test_a_label_never_changes_its_content(self, sample: Sample, changed: Sample, tmp_path: Path) -> None:
        first = self.upload(sample, "v1")

        with pytest.raises(ConflictError, match="v1"):
            self.upload(changed, "v1")

        assert self.download(tmp_path / "out", "v1").digest == first.digest

    def test_the_same_content_under_the_same_label_changes_nothing(
        self, sample: Sample, changed: Sample, tmp_path: Path
    ) -> None:
        first = self.upload(sample, "v1")
        newer = self.upload(changed, "v2")

        again = self.upload(sample, "v1")

        assert again.revision == first.revision
        assert self.download(tmp_path / "out").digest == newer.digest


class _Reports:
    """Progress reports of one call."""

    def __init__(self) -> None:
        self._stages: dict[str, list[Progress]] = {}

    def __call__(self, progress: Progress) -> None:
        self._stages.setdefault(progress.stage, []).append(progress)

    def check(self) -> None:
        assert self._stages
        for reports in self._stages.values():
            done = [report.bytes_done for report in reports]
            assert done == sorted(done)
            assert done[-1] == reports[-1].bytes_total
            assert len({report.bytes_total for report in reports}) == 1


def _sizes(sample: Sample) -> dict[str, int]:
    return {name: len(content) for name, content in sample.contents().items()}


def _manifest(revision: Revision) -> Manifest:
    return Manifest.from_bytes(revision.manifest_bytes())


def _read_all(revision: Revision) -> dict[str, bytes]:
    return {entry.path: b"".join(revision.read(entry)) for entry in _manifest(revision).files}
