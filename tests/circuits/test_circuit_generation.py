"""Circuits are made whole or not at all, and out of what was given."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ritual_artifacts import (
    ArtifactError,
    CircuitError,
    ConflictError,
    EZKLArtifact,
    RitualArtifactManager,
)
from ritual_artifacts.ezkl import ArtifactGenerationArgs, generate_ezkl_artifacts
from tests.circuits.conftest import FakeEzkl, generate

ALL_CALLS = [
    "gen_settings",
    "gen_random_data",
    "calibrate_settings",
    "compile_circuit",
    "gen_srs",
    "setup",
]


def srs_of(logrows: int) -> bytes:
    return logrows.to_bytes(4, "little") + bytes((128 << logrows) + 256)


def only_sources(model: Path) -> bool:
    """Say whether nothing has appeared beside the model, hidden or not."""
    return all(path.is_file() and path.suffix != ".json" for path in model.parent.iterdir())


def test_the_folder_of_a_circuit_is_a_complete_artifact(fake_ezkl: FakeEzkl, model: Path) -> None:
    artifact = generate(model)

    folder = model.with_suffix(".ezkl")
    assert fake_ezkl.calls == ALL_CALLS
    assert RitualArtifactManager.from_dir(EZKLArtifact, folder).artifact == artifact
    assert {path.name for path in folder.iterdir()} == {
        "calibration.json",
        "insecure_srs_file.srs",
        "model.compiled",
        "network.onnx",
        "ritual_manifest.json",
        "settings.json",
        "test.pk",
        "test.vk",
    }
    assert artifact.onnx_path.read_bytes() == model.read_bytes()
    assert {path.name for path in model.parent.iterdir()} == {"network.onnx", "network.ezkl"}


def test_the_arguments_are_passed_to_ezkl(
    fake_ezkl: FakeEzkl, model: Path, write: Callable[..., Path], tmp_path: Path
) -> None:
    calibration = write("samples.json", content=b'{"input_data": [[1.0]]}')

    artifact = generate(
        model,
        input_visibility="hashed",
        calibration_path=calibration,
        calibration_target="accuracy",
        max_logrows=9,
        output_dir=tmp_path / "deep" / "out",
        run_args={"input_scale": 3, "variables": {"N": 2}},
    )

    run_args = fake_ezkl.arguments("gen_settings")["py_run_args"]
    assert (run_args["input_visibility"], run_args["param_visibility"]) == ("hashed", "fixed")
    assert (run_args["input_scale"], run_args["variables"]) == (3, [["N", 2]])
    calibrate = fake_ezkl.arguments("calibrate_settings")
    assert (calibrate["target"], calibrate["max_logrows"]) == ("accuracy", 9)
    assert "gen_random_data" not in fake_ezkl.calls
    assert artifact.calibration_path.read_bytes() == calibration.read_bytes()
    assert artifact.onnx_path.parent == tmp_path / "deep" / "out"


def test_random_calibration_data_fit_open_dimensions(fake_ezkl: FakeEzkl, model: Path) -> None:
    generate(model, run_args={"variables": [("N", 2)]})

    assert fake_ezkl.arguments("gen_random_data")["variables"] == [["N", 2]]


def test_fixed_values_come_from_the_calibration_data(fake_ezkl: FakeEzkl, model: Path) -> None:
    artifact = generate(model, input_visibility="fixed")

    witness = fake_ezkl.arguments("gen_witness")["output"]
    assert fake_ezkl.arguments("setup")["witness_path"] == witness
    assert not artifact.settings_path.with_name("witness.json").exists()


def test_a_given_srs_becomes_part_of_the_artifact(
    fake_ezkl: FakeEzkl, model: Path, write: Callable[..., Path]
) -> None:
    srs = write("public.srs", content=srs_of(8))

    artifact = generate(model, srs_path=srs)

    assert "gen_srs" not in fake_ezkl.calls
    assert artifact.srs_path.name == "srs_file.srs"
    assert artifact.srs_path.read_bytes() == srs.read_bytes()


def test_the_srs_that_ezkl_has_downloaded_is_found(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> None:
    downloaded = tmp_path / "ezkl-home" / "srs" / "kzg6.srs"
    downloaded.parent.mkdir(parents=True)
    downloaded.write_bytes(srs_of(6))

    artifact = generate(model, generate_insecure_srs=False)

    assert "gen_srs" not in fake_ezkl.calls
    assert artifact.srs_path.read_bytes() == downloaded.read_bytes()


def test_without_any_srs_the_error_says_which_one_is_needed(fake_ezkl: FakeEzkl, model: Path) -> None:
    with pytest.raises(CircuitError, match=r"logrows 6.*ezkl\.get_srs\(logrows=6\).*srs_path"):
        generate(model, generate_insecure_srs=False)

    assert "setup" not in fake_ezkl.calls
    assert only_sources(model)


def test_a_generated_srs_causes_a_warning(fake_ezkl: FakeEzkl, model: Path) -> None:
    args = ArtifactGenerationArgs(
        onnx_path=model,
        input_visibility="public",
        output_visibility="public",
        param_visibility="fixed",
        generate_insecure_srs=True,
    )

    with pytest.warns(UserWarning, match="can forge proofs"):
        artifact = asyncio.run(generate_ezkl_artifacts(args))

    assert fake_ezkl.arguments("gen_srs")["logrows"] == 6
    assert artifact.srs_path.name == "insecure_srs_file.srs"


@pytest.mark.parametrize("name", ["settings.json", "TEST.PK", "a\nb"])
def test_a_model_with_a_name_that_is_taken_gets_another(
    name: str, fake_ezkl: FakeEzkl, write: Callable[..., Path], tmp_path: Path
) -> None:
    artifact = generate(write(name), output_dir=tmp_path / "out")

    assert "setup" in fake_ezkl.calls
    assert artifact.onnx_path.name == "model.onnx"


def test_a_link_to_a_model_is_followed(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.onnx"
    link.symlink_to(model)

    artifact = generate(link)

    assert "setup" in fake_ezkl.calls
    assert not artifact.onnx_path.is_symlink()
    assert artifact.onnx_path == tmp_path / "link.ezkl" / "link.onnx"


# --- invalid input -----------------------------------------------------------------------------------------


def test_without_ezkl_the_error_names_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ezkl", None)

    with pytest.raises(ArtifactError, match=r"ritual-artifacts\[ezkl\]"):
        generate(model)

    assert only_sources(model)


def test_an_ezkl_with_other_calls_is_refused(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> None:
    (tmp_path / "site" / "ezkl-23.0.5.dist-info" / "METADATA").write_text("Name: ezkl\nVersion: 11.6.2\n")

    with pytest.raises(ArtifactError, match=r"need ezkl 23, but 11\.6\.2 is installed"):
        generate(model)

    assert not fake_ezkl.calls


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"onnx_path": "missing.onnx"}, r"the ONNX model .*missing\.onnx does not exist"),
        ({"onnx_path": "."}, "is not a regular file"),
        ({"onnx_path": "empty"}, "is empty"),
        ({"srs_path": "missing.srs"}, r"the SRS .*missing\.srs does not exist"),
        ({"srs_path": "noise"}, "is not a KZG SRS"),
        ({"srs_path": "cut.srs"}, r"truncated: expected 8452 bytes for 2\^6 rows, got 100"),
        ({"srs_path": "good.srs", "generate_insecure_srs": True}, "pass one of them"),
        ({"calibration_path": "missing.json"}, r"the calibration data .*missing\.json does not exist"),
        ({"run_args": {"input_visibility": "public"}}, "is a separate argument"),
        ({"run_args": {"input_scale": float("nan")}}, "a value that JSON cannot represent"),
        ({"run_args": {"input_scale": object()}}, "a value that JSON cannot represent"),
        ({"max_logrows": 29}, "max_logrows: Input should be less than or equal to 28"),
        ({"nonsense": 1}, "nonsense: Extra inputs are not permitted"),
        ({"input_visibility": None}, "input_visibility: Input should be a valid string"),
    ],
)
def test_invalid_arguments_are_refused_before_any_work(
    change: dict[str, Any], message: str, fake_ezkl: FakeEzkl, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    for name, content in {
        "empty": b"",
        "noise": b"\xff" * 100,
        "cut.srs": srs_of(6)[:100],
        "good.srs": srs_of(6),
    }.items():
        Path(name).write_bytes(content)

    with pytest.raises(CircuitError, match=message):
        generate(**{"onnx_path": model, **change})

    assert not fake_ezkl.calls
    assert only_sources(model)


@pytest.mark.parametrize("name", ["onnx_path", "srs_path", "calibration_path", "output_dir"])
def test_a_path_with_a_nul_is_refused_before_any_work(name: str, fake_ezkl: FakeEzkl, model: Path) -> None:
    arguments = {"onnx_path": model, name: Path("a\0b")}

    with pytest.raises(CircuitError, match=f"{name}: .* contains a NUL"):
        generate(**arguments)

    assert not fake_ezkl.calls
    assert only_sources(model)


def test_an_srs_that_is_too_small_is_refused_before_keys_are_made(
    fake_ezkl: FakeEzkl, model: Path, write: Callable[..., Path]
) -> None:
    srs = write("small.srs", content=srs_of(5))

    with pytest.raises(CircuitError, match=r"too small.*at least 2\^6 rows, got 2\^5.*max_logrows to 5"):
        generate(model, srs_path=srs)

    assert "setup" not in fake_ezkl.calls
    assert only_sources(model)


@pytest.mark.parametrize("call", ALL_CALLS)
@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("something is wrong", "something is wrong"),
        ("panic", "index out of bounds"),
        ("crash", "code 3 before it finished.*out of luck"),
    ],
)
def test_a_failure_of_ezkl_leaves_no_files_behind(
    call: str, what: str, message: str, fake_ezkl: FakeEzkl, model: Path
) -> None:
    fake_ezkl.break_at(call, what)

    with pytest.raises(CircuitError, match=f"(?s){call}.*{message}") as caught:
        generate(model)

    assert ("ended with code" in str(caught.value)) == (what == "crash")
    assert fake_ezkl.calls[-1] == call
    assert only_sources(model)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_the_error_says_that_the_process_was_killed(fake_ezkl: FakeEzkl, model: Path) -> None:
    fake_ezkl.break_at("setup", "kill")

    with pytest.raises(CircuitError, match="code -9 before it finished; memory may have run out"):
        generate(model)


def test_a_file_that_ezkl_cannot_parse_is_not_a_valid_model(fake_ezkl: FakeEzkl, model: Path) -> None:
    fake_ezkl.break_at("gen_settings", "Failed: [graph] [tract] Reading proto model")

    with pytest.raises(CircuitError, match=r"network\.onnx is not a valid ONNX model: .*Reading proto model"):
        generate(model)


# --- where it lands ----------------------------------------------------------------------------------------


def test_a_folder_with_other_files_is_not_touched(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "thesis.pdf").write_text("years of work")

    for overwrite in (False, True):
        with pytest.raises(ConflictError, match=r"out already exists; move it"):
            generate(model, output_dir=target, overwrite=overwrite)

    assert not fake_ezkl.calls
    assert [path.name for path in target.iterdir()] == ["thesis.pdf"]


def test_an_empty_folder_is_filled(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()

    artifact = generate(model, output_dir=tmp_path / "out")

    assert "setup" in fake_ezkl.calls
    assert RitualArtifactManager.from_dir(EZKLArtifact, tmp_path / "out").artifact == artifact


def test_a_circuit_is_replaced_only_with_overwrite(fake_ezkl: FakeEzkl, model: Path) -> None:
    first = generate(model)
    old = first.settings_path.stat().st_ino

    with pytest.raises(ConflictError, match="pass overwrite=True to replace it"):
        generate(model)
    kept = first.settings_path.stat().st_ino
    generate(model, overwrite=True)

    assert kept == old
    assert first.settings_path.stat().st_ino != old
    assert fake_ezkl.calls.count("setup") == 2
    assert {path.name for path in model.parent.iterdir()} == {"network.onnx", "network.ezkl"}


def test_files_of_the_user_beside_a_circuit_are_not_replaced(fake_ezkl: FakeEzkl, model: Path) -> None:
    folder = generate(model).settings_path.parent
    (folder / "proofs").mkdir()
    (folder / "proofs" / "proof.json").write_text("{}")

    with pytest.raises(ConflictError, match=r"'proofs/proof\.json'; move them"):
        generate(model, overwrite=True)

    assert (folder / "proofs" / "proof.json").exists()
    assert fake_ezkl.calls.count("setup") == 1


def test_a_circuit_behind_a_link_is_replaced_where_it_is(
    fake_ezkl: FakeEzkl, model: Path, tmp_path: Path
) -> None:
    folder = generate(model).settings_path.parent
    link = tmp_path / "link"
    link.symlink_to(folder)
    before = sorted(tmp_path.iterdir())

    made = generate(model, output_dir=link, overwrite=True)

    assert made.settings_path.parent == folder.resolve()
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == before
    assert fake_ezkl.calls.count("setup") == 2


def test_a_circuit_that_cannot_be_replaced_stays(fake_ezkl: FakeEzkl, model: Path) -> None:
    first = generate(model)
    fake_ezkl.break_at("setup", "no luck")

    with pytest.raises(CircuitError, match="no luck"):
        generate(model, overwrite=True)

    assert RitualArtifactManager.from_dir(EZKLArtifact, first.settings_path.parent).artifact == first


def test_a_folder_that_another_process_made_meanwhile_is_kept(
    fake_ezkl: FakeEzkl, model: Path, tmp_path: Path
) -> None:
    target = tmp_path / "out"
    fake_ezkl.break_at("setup", f"make {target}")

    with pytest.raises(ConflictError, match="already exists"):
        generate(model, output_dir=target)

    assert [path.name for path in target.iterdir()] == ["theirs"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


# --- the process -------------------------------------------------------------------------------------------


def test_the_output_of_ezkl_is_not_shown(
    fake_ezkl: FakeEzkl, model: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    generate(model)

    assert fake_ezkl.calls
    assert capfd.readouterr() == ("", "")


def test_the_cache_of_ezkl_is_temporary(fake_ezkl: FakeEzkl, model: Path, tmp_path: Path) -> None:
    generate(model)

    caches = {Path(record["cache"]) for record in fake_ezkl.records}
    assert tmp_path / "ezkl-home" not in caches
    assert not any(cache.exists() for cache in caches)


def test_cancelling_ends_the_process_and_leaves_nothing_behind(fake_ezkl: FakeEzkl, model: Path) -> None:
    fake_ezkl.break_at("setup", "sleep")
    args = ArtifactGenerationArgs(
        onnx_path=model,
        input_visibility="public",
        output_visibility="public",
        param_visibility="fixed",
        generate_insecure_srs=True,
    )

    async def cancel_midway() -> None:
        task = asyncio.create_task(generate_ezkl_artifacts(args))
        while "setup" not in fake_ezkl.calls:  # noqa: ASYNC110 - another process makes the call
            await asyncio.sleep(0.01)
        task.cancel()
        await task

    started = time.monotonic()
    with pytest.warns(UserWarning, match="forge"), pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel_midway())

    assert time.monotonic() - started < 30
    assert only_sources(model)
    if os.name == "posix":
        with pytest.raises(ProcessLookupError):
            os.kill(fake_ezkl.records[-1]["pid"], 0)


def test_the_settings_decide_the_rows_of_a_generated_srs(fake_ezkl: FakeEzkl, model: Path) -> None:
    artifact = generate(model)

    settings = json.loads(artifact.settings_path.read_text())
    assert fake_ezkl.arguments("gen_srs")["logrows"] == settings["run_args"]["logrows"]
