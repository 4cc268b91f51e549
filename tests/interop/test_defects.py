"""What the migration guide says of infernet-ml 2.0.0, seen by running it; each beside what happens here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts import IntegrityError, RitualArtifactManager
from ritual_artifacts.models import MlModelId, ModelManager
from tests.interop.theirs import PREAMBLE, Infernet, fails, run
from tests.servers.hub import Hub

REPO = "huggingface/alice/circuit"

ATTEMPTS = """
def tell(call):
    try:
        return json.loads(json.dumps(call(), default=str))
    except Exception as error:
        return f"{type(error).__name__}: {error}"

"""


class Circuit(BaseModel):
    circuit_file: Path
    weights: list[Path]
    version: str


@pytest.fixture
def circuit(write: Callable[..., Path]) -> Circuit:
    return Circuit(circuit_file=write("circuit.bin"), weights=[write("a.safetensors")], version="v1")


def options(hub: Hub) -> dict[str, Any]:
    return {"endpoint": hub.endpoint, "token": hub.token}


def publish(circuit: Circuit, hub: Hub, repo: str = REPO) -> None:
    RitualArtifactManager(artifact=circuit).to_repo(repo, repo_manager_kwargs=options(hub))


# --- calls that infernet-ml documents ----------------------------------------------------------------------


def test_documented_calls_fail_inside_infernet_ml(circuit: Circuit, infernet: Infernet) -> None:
    script = """
manager = RitualArtifactManager(artifact=Circuit.model_validate_json(sys.argv[1]))
attempt(lambda: {
    "to_arweave": tell(lambda: manager.to_arweave(repo_name="my-repo-name", wallet_path="wallet.json")),
    "to_repo": tell(lambda: manager.to_repo(repo_id="huggingface/a/b", repo_type="huggingface")),
    "local": tell(lambda: manager.to_repo("local/a/b")),
    "download_model": tell(lambda: ModelManager.download_model(
        repo_id="huggingface/a/b", file_name="m.onnx", output_dir="out")),
    "keywords": tell(lambda: ModelManager().download_model(
        repo_id="huggingface/a/b", file_name="m.onnx", output_dir="out")),
    "plain metadata": tell(lambda: ModelManager.upload_model(
        directory=".", repo_id="huggingface/a/b", metadata={"my-metadata-key": "my-metadata-value"})),
    "upload options": tell(lambda: manager.to_repo("huggingface/a/b", upload_kwargs={"commit_message": "x"})),
})
"""

    found = run(infernet, ATTEMPTS + script, circuit.model_dump_json())

    assert {call: why.partition("() ")[2] or why for call, why in found.items()} == {
        "to_arweave": "ValueError: Invalid arweave repository id: my-repo-name",
        "to_repo": "got an unexpected keyword argument 'repo_type'",
        "local": "Exception: Invalid storage id: local",
        "download_model": "missing 2 required positional arguments: 'self' and 'model'",
        "keywords": "missing 1 required positional argument: 'model'",
        "plain metadata": "AttributeError: 'str' object has no attribute 'id'",
        "upload options": "got an unexpected keyword argument 'commit_message'",
    }


def test_options_of_an_arweave_download_are_lost_inside_infernet_ml(infernet: Infernet) -> None:
    script = """
import infernet_ml.resource.artifact_manager as module

class Recorder:
    given = []
    def __init__(self, **kwargs):
        self.given.append(kwargs)
    def download_repo(self, *args, **kwargs):
        raise ConnectionError("recorded")

module.RepoManager = Recorder
tell(lambda: RitualArtifactManager.from_arweave(Circuit, "a/b", repomanager_kwargs={"wallet_path": "w"}))
attempt(lambda: Recorder.given)
"""

    assert run(infernet, ATTEMPTS + script) == [{}]


# --- what is written to the log ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        "from_huggingface_hub(Circuit, 'alice/circuit', sys.argv[1], token=sys.argv[2])",
        "from_repo(Circuit, sys.argv[3], sys.argv[1], repomanager_kwargs={'token': sys.argv[2]})",
    ],
)
def test_infernet_ml_logs_the_token(
    call: str, hub: Hub, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    publish(circuit, hub)

    printed = infernet(
        f"{PREAMBLE}RitualArtifactManager.{call}",
        tmp_path / "theirs",
        hub.token,
        REPO,
        environment={"HF_ENDPOINT": hub.endpoint, "HF_HUB_OFFLINE": "0"},
    )

    assert hub.token in printed


def test_we_do_not_log_the_token(
    hub: Hub, circuit: Circuit, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("DEBUG"):
        publish(circuit, hub)
        RitualArtifactManager.from_repo(
            Circuit, REPO, tmp_path, hub.token, repomanager_kwargs={"endpoint": hub.endpoint}
        )

    assert hub.token not in caplog.text


# --- what is compared --------------------------------------------------------------------------------------


def test_infernet_ml_compares_no_hash(circuit: Circuit, infernet: Infernet, tmp_path: Path) -> None:
    RitualArtifactManager(artifact=circuit).to_dir(tmp_path / "out")
    (tmp_path / "out" / "circuit.bin").write_bytes(b"another circuit")

    result = run(
        infernet,
        "attempt(lambda: RitualArtifactManager.from_dir(Circuit, sys.argv[1]).artifact.circuit_file"
        ".read_text())",
        tmp_path / "out",
    )

    assert result == "another circuit"
    with pytest.raises(IntegrityError, match=r"circuit\.bin"):
        RitualArtifactManager.from_dir(Circuit, tmp_path / "out")


def test_infernet_ml_accepts_a_partial_download_as_complete(
    hub: Hub, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    publish(circuit, hub)
    half = tmp_path / "half"
    RitualArtifactManager(artifact=circuit).to_dir(half)
    (half / "a.safetensors").unlink()
    script = """
def download():
    artifact = RitualArtifactManager.from_repo(Circuit, "huggingface/alice/circuit", sys.argv[1]).artifact
    return [path.exists() for path in [artifact.circuit_file, *artifact.weights]]
attempt(download)
"""

    result = run(infernet, script, half, hub=hub)
    ours = RitualArtifactManager.from_repo(Circuit, REPO, half, repomanager_kwargs=options(hub))

    assert result == [True, False]
    assert ours.artifact.weights[0].read_bytes() == circuit.weights[0].read_bytes()


def test_infernet_ml_cannot_resume_an_interrupted_download(
    hub: Hub, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    publish(circuit, hub)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "circuit.bin").write_bytes(circuit.circuit_file.read_bytes())

    result = run(
        infernet,
        "attempt(lambda: RitualArtifactManager.from_repo(Circuit, sys.argv[1], sys.argv[2]) and None)",
        REPO,
        tmp_path / "half",
        hub=hub,
    )
    ours = RitualArtifactManager.from_repo(Circuit, REPO, tmp_path / "half", repomanager_kwargs=options(hub))

    assert fails(result, "FileNotFoundError", "ritual_manifest.json")
    assert ours.artifact.weights[0].is_file()


# --- names and versions ------------------------------------------------------------------------------------


def test_infernet_ml_overwrites_files_of_equal_names(
    write: Callable[..., Path], infernet: Infernet, tmp_path: Path
) -> None:
    circuit = Circuit(
        circuit_file=write("one/model.bin", content=b"one"),
        weights=[write("two/model.bin", content=b"two")],
        version="v1",
    )
    script = """
RitualArtifactManager(artifact=Circuit.model_validate_json(sys.argv[1])).to_dir(sys.argv[2])
artifact = RitualArtifactManager.from_dir(Circuit, sys.argv[2]).artifact
attempt(lambda: [path.read_text() for path in [artifact.circuit_file, *artifact.weights]])
"""

    result = run(infernet, script, circuit.model_dump_json(), tmp_path / "theirs")
    RitualArtifactManager(artifact=circuit).to_dir(tmp_path / "ours")
    ours = RitualArtifactManager.from_dir(Circuit, tmp_path / "ours").artifact

    assert result in (["two", "two"], ["one", "one"])
    assert [path.read_text() for path in [ours.circuit_file, *ours.weights]] == ["one", "two"]


def test_infernet_ml_ignores_the_version_when_it_reads_and_when_it_writes(
    hub: Hub, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    publish(circuit, hub, f"{REPO}/v1")
    circuit.circuit_file.write_bytes(b"newer")
    publish(circuit, hub)
    script = """
def read():
    name = "huggingface/alice/circuit/v1"
    return RitualArtifactManager.from_repo(Circuit, name, sys.argv[1]).artifact.circuit_file.read_text()
attempt(read)
"""
    write_script = """
manager = RitualArtifactManager(artifact=Circuit.model_validate_json(sys.argv[1]))
attempt(lambda: manager.to_repo("huggingface/alice/circuit/v2") and None)
"""

    result = run(infernet, script, tmp_path / "theirs", hub=hub)
    ours = RitualArtifactManager.from_repo(
        Circuit, f"{REPO}/v1", tmp_path / "ours", repomanager_kwargs=options(hub)
    )
    before = len(hub.repo("alice/circuit").branches)
    written = run(infernet, write_script, circuit.model_dump_json(), hub=hub)

    assert result == "newer"
    assert ours.artifact.circuit_file.read_bytes() != b"newer"
    assert written is None
    assert len(hub.repo("alice/circuit").branches) == before


def test_infernet_ml_never_looks_for_a_newer_version(
    hub: Hub, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    script = """
call = lambda: RitualArtifactManager.from_repo(Circuit, "huggingface/alice/circuit", sys.argv[1])
attempt(lambda: call().artifact.circuit_file.read_bytes().hex())
"""
    publish(circuit, hub)
    old = circuit.circuit_file.read_bytes()
    run(infernet, script, tmp_path / "out", hub=hub)
    circuit.circuit_file.write_bytes(b"newer")
    publish(circuit, hub)

    again = run(infernet, script, tmp_path / "out", hub=hub)
    RitualArtifactManager.from_repo(
        Circuit, REPO, tmp_path / "out", overwrite=True, repomanager_kwargs=options(hub)
    )

    assert bytes.fromhex(again) == old
    assert (tmp_path / "out" / "circuit.bin").read_bytes() == b"newer"


# --- models ------------------------------------------------------------------------------------------------


def test_clearing_the_cache_of_infernet_ml_removes_every_file(infernet: Infernet, tmp_path: Path) -> None:
    folders = [tmp_path / "theirs", tmp_path / "ours"]
    for folder in folders:
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")

    run(infernet, "attempt(lambda: ModelManager(sys.argv[1]).clear_cache())", folders[0])
    ModelManager(folders[1]).clear_cache()

    assert [folder.exists() for folder in folders] == [False, True]
    assert (folders[1] / "notes.txt").read_text() == "mine"


def test_infernet_ml_looks_for_a_model_in_the_default_cache_only(
    hub: Hub, write: Callable[..., Path], infernet: Infernet, tmp_path: Path
) -> None:
    folder = write("model/iris.onnx").parent
    ModelManager.upload_model(folder, "huggingface/alice/iris", repo_manager_kwargs=options(hub))
    script = """
Path("~/.cache/ritual").expanduser().mkdir(parents=True)
manager = ModelManager(sys.argv[1])
manager.download_model("huggingface/alice/iris:iris.onnx")
attempt(lambda: manager.has_model("huggingface/alice/iris:iris.onnx"))
"""

    theirs = run(infernet, script, tmp_path / "cache", hub=hub)

    assert theirs is False
    assert ModelManager(tmp_path / "cache").has_model("huggingface/alice/iris:iris.onnx")


def test_infernet_ml_fetches_every_file_of_a_model(
    hub: Hub, write: Callable[..., Path], infernet: Infernet
) -> None:
    write("model/iris.onnx")
    folder = write("model/iris.torch", 2_000_000).parent
    ModelManager.upload_model(folder, "huggingface/alice/iris", repo_manager_kwargs=options(hub))
    script = """
attempt(lambda: sorted(files(ModelManager().download_model("huggingface/alice/iris:iris.onnx"))))
"""

    theirs = run(infernet, script, hub=hub)
    ours = ModelManager().download_model("huggingface/alice/iris:iris.onnx", repomanager_kwargs=options(hub))

    assert theirs == ["iris.onnx", "iris.torch"]
    assert [path.name for path in ours.files] == ["iris.onnx"]


def test_a_model_id_without_files_gets_an_empty_one_in_the_encoding_of_infernet_ml(
    infernet: Infernet,
) -> None:
    script = """
model_id = MlModelId.from_unique_id("local/me/iris")
attempt(lambda: [MlModelId.from_web3(model_id.to_web3).files, len({hash(model_id), hash(
    MlModelId.from_unique_id("local/me/other"))})])
"""

    theirs = run(infernet, script)
    ours = MlModelId.from_unique_id("local/me/iris")

    assert theirs == [[""], 1]
    assert MlModelId.from_web3(ours.to_web3) == ours
    assert hash(ours) != hash(MlModelId.from_unique_id("local/me/other"))


# --- types and results -------------------------------------------------------------------------------------

WRITE_AND_READ = """
import datetime, decimal
from typing import Any, Dict, Tuple
from pydantic import SecretStr

source, target = map(Path, sys.argv[1:])

class Inner(BaseModel):
    file: Path

def round_trip(name, annotation, value):
    cls = type(name, (BaseModel,), {"__annotations__": {"file": Path, "value": annotation}})
    artifact = cls(file=source, value=value)
    RitualArtifactManager(artifact=artifact).to_dir(target / name)
    return RitualArtifactManager.from_dir(cls, target / name).artifact.value == value

link = target / "link.bin"
target.mkdir()
link.symlink_to(source)
"""


def test_infernet_ml_cannot_keep_these_types(circuit: Circuit, infernet: Infernet, tmp_path: Path) -> None:
    script = """
attempt(lambda: {
    "files in a dictionary": tell(lambda: round_trip("A", Dict[str, Path], {"a": source})),
    "files in a tuple": tell(lambda: round_trip("B", Tuple[Path, ...], (source,))),
    "files in a model": tell(lambda: round_trip("C", Inner, Inner(file=source))),
    "a list of words": tell(lambda: round_trip("D", List[str], ["a"])),
    "a date": tell(lambda: round_trip("E", datetime.date, datetime.date(2026, 1, 1))),
    "a decimal": tell(lambda: round_trip("F", decimal.Decimal, decimal.Decimal("1.5"))),
    "a secret": tell(lambda: round_trip("G", SecretStr, SecretStr("x"))),
    "a word": tell(lambda: round_trip("H", str, "a")),
})
"""

    found = run(infernet, ATTEMPTS + WRITE_AND_READ + script, circuit.circuit_file, tmp_path / "out")

    assert {name: str(result).partition(": ")[0] for name, result in found.items()} == {
        "files in a dictionary": "TypeError",
        "files in a tuple": "TypeError",
        "files in a model": "TypeError",
        "a list of words": "AttributeError",
        "a date": "TypeError",
        "a decimal": "TypeError",
        "a secret": "TypeError",
        "a word": "True",
    }


def test_results_and_errors_of_infernet_ml(
    hub: Hub, circuit: Circuit, infernet: Infernet, tmp_path: Path
) -> None:
    script = """
manager = RitualArtifactManager(artifact=Circuit(circuit_file=link, weights=[source], version="v1"))
model_id = MlModelId.from_unique_id("local/me/iris:iris.onnx")
attempt(lambda: {
    "to_dir": manager.to_dir(target / "dir"),
    "to_repo": type(manager.to_repo("huggingface/alice/circuit")).__name__,
    "a link": (target / "dir" / "link.bin").read_bytes() == source.read_bytes(),
    "upload_model": ModelManager.upload_model(target / "dir", "huggingface/alice/model", {}),
    "a malformed id": tell(lambda: RitualRepoId.from_unique_id("x"))[:10],
    "another storage": tell(lambda: RitualRepoId.from_unique_id("local/a/b").hf_id),
    "a missing file": tell(lambda: ModelArtifact(files=[], metadata={}).get_file(model_id))[:10],
    "unknown arguments": tell(lambda: MlModelInfo(memory_requirements=1, cpu_core=1).cpu_cores),
    "ids change": tell(lambda: setattr(model_id, "files", ["other"])),
    "a part that leads out": RitualRepoId.from_unique_id("local/../b").owner,
})
"""

    found = run(infernet, ATTEMPTS + WRITE_AND_READ + script, circuit.circuit_file, tmp_path / "out", hub=hub)

    assert found == {
        "to_dir": None,
        "to_repo": "CommitInfo",
        "a link": True,
        "upload_model": None,
        "a malformed id": "ValueError",
        "another storage": "AssertionError: ",
        "a missing file": "ValueError",
        "unknown arguments": None,
        "ids change": None,
        "a part that leads out": "..",
    }
