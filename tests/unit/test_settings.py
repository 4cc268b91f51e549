"""Settings: what the environment can set."""

import os
from pathlib import Path

import pytest

from ritual_artifacts.errors import ArtifactError
from ritual_artifacts.settings import load_settings

NAMES = ["cache_dir", "store_dir", "state_dir"]


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_comes_from_its_variable(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"RITUAL_{name.upper()}", str(tmp_path / "here"))

    assert getattr(load_settings(), name) == tmp_path / "here"


@pytest.mark.parametrize("name", NAMES)
def test_a_relative_folder_is_made_absolute(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(f"RITUAL_{name.upper()}", "below")

    assert getattr(load_settings(), name) == tmp_path / "below"


@pytest.mark.parametrize("name", NAMES)
def test_a_tilde_is_the_home_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv(f"RITUAL_{name.upper()}", "~/x")

    assert getattr(load_settings(), name) == tmp_path / "x"


@pytest.mark.parametrize("value", [None, ""], ids=["not set", "empty"])
def test_the_default_cache_is_where_infernet_ml_looks(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.delenv("RITUAL_CACHE_DIR")
    if value is not None:
        monkeypatch.setenv("RITUAL_CACHE_DIR", value)

    assert load_settings().cache_dir == tmp_path / ".cache" / "ritual"


def test_store_and_state_have_folders_of_their_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"RITUAL_{name.upper()}")

    settings = load_settings()

    assert len({settings.cache_dir, settings.store_dir, settings.state_dir}) == len(NAMES)
    assert all(getattr(settings, name).is_absolute() for name in NAMES)


def test_the_environment_is_read_at_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings().max_workers
    monkeypatch.setenv("RITUAL_MAX_WORKERS", "3")

    after = load_settings().max_workers

    assert (before, after) == (None, 3)


@pytest.mark.parametrize("value", ["0", "-1", "1025", "many", "1.5"])
def test_a_bad_number_of_workers_is_refused_by_the_variables_name(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RITUAL_MAX_WORKERS", value)

    with pytest.raises(ArtifactError, match="RITUAL_MAX_WORKERS"):
        load_settings()


def test_the_home_of_an_unknown_user_is_refused_by_the_variables_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RITUAL_STORE_DIR", "~nobody-by-this-name/store")

    with pytest.raises(ArtifactError, match="RITUAL_STORE_DIR"):
        load_settings()


@pytest.mark.skipif(os.name == "nt", reason="Windows always has a user's folder")
def test_without_a_home_only_the_folder_that_is_needed_must_be_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise KeyError

    monkeypatch.setattr("pwd.getpwuid", refuse)
    for name in ("HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", *(f"RITUAL_{n.upper()}" for n in NAMES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RITUAL_STORE_DIR", str(tmp_path))

    settings = load_settings()

    assert settings.store_dir == tmp_path
    assert settings.max_workers is None
    for name in ("cache_dir", "state_dir"):
        with pytest.raises(ArtifactError, match=f"no home folder; set RITUAL_{name.upper()}"):
            getattr(settings, name)


def test_settings_cannot_be_changed() -> None:
    settings = load_settings()

    with pytest.raises(ValueError, match="frozen"):
        settings.max_workers = 2  # type: ignore[misc]  # that it is refused is the claim


@pytest.mark.parametrize(
    ("value", "offline"), [("1", True), ("true", True), ("ON", True), ("0", False), ("", False), ("2", False)]
)
def test_offline_mode_is_read_as_huggingface_hub_reads_it(
    value: str, *, offline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)

    assert load_settings().hub_offline is offline
