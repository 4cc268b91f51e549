"""Options of commands that come from storages: those of another package never change what ours mean."""

from typing import Annotated, Any, ClassVar

import pytest

from ritual_artifacts.backends import Flag, Options, Storage, registry
from ritual_artifacts.backends.memory import MemoryStorage
from ritual_artifacts.cli import options
from ritual_artifacts.cli.options import takes_storage_options
from ritual_artifacts.cli.output import JsonOption


def declare(kind: type, *names: str) -> type[Storage]:
    """Return a storage with one option."""

    class ShelfOptions(Options):
        title: ClassVar[str] = "the shelf"

        value: Annotated[kind | None, Flag(names)] = None  # type: ignore[valid-type]

    class Shelf(MemoryStorage):
        title: ClassVar[str] = "shelf"
        connection_options: ClassVar[type[Options]] = ShelfOptions

    return Shelf


def spellings(monkeypatch: pytest.MonkeyPatch, storage: type[Storage]) -> dict[str, Any]:
    """Return the options of a command, by their first spelling, with their types."""
    names = ["huggingface", "shelf"]
    found = {"huggingface": registry.find_storage("huggingface"), "shelf": storage()}
    monkeypatch.setattr(options, "available_storages", lambda: names)
    monkeypatch.setattr(options, "find_storage", found.__getitem__)
    options._declared_options.cache_clear()

    @takes_storage_options()
    def command(*, given: options.Given, as_json: JsonOption = False) -> None:
        del given, as_json

    options._declared_options.cache_clear()
    hints = command.__annotations__.values()
    return {hint.__metadata__[0].default: hint.__origin__ for hint in hints}


def test_an_option_of_another_storage_is_one_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spellings(monkeypatch, declare(int, "--depth", "-d"))["--depth"] == int | None


def test_storages_can_share_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spellings(monkeypatch, declare(str, "--revision"))["--revision"] == str | None


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (int, ("--revision",)),
        (str, ("--depth", "--revision")),
        (str, ("--a b",)),
        (str, ("revision",)),
        (str, ()),
    ],
)
def test_an_option_that_clashes_is_left_out_with_a_warning(
    kind: type, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = spellings(monkeypatch, declare(kind, *names))

    assert found.keys() == {"--revision", "--repo-type", "--json"}
    assert found["--revision"] == str | None
    assert "of shelf is left out" in caplog.text


def test_an_option_of_the_command_itself_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert spellings(monkeypatch, declare(int, "--json"))["--json"] is bool
