"""Prints `docs/reference/options.md` from the option models of the storages; a test compares the two."""

import sys
import textwrap
import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from ritual_artifacts.backends import Options, Storage, find_storage
from ritual_artifacts.repo_id import StorageId

INTRODUCTION = """\
# Options of the storages

Python takes connection options as `repo_manager_kwargs=` (or `repomanager_kwargs=`), and options of
an upload as `upload_kwargs=`. The command line takes those that have a flag, in every command that
talks to the storage. An option that a storage does not have is refused before anything is read or
sent. `ritual-artifacts upload --help` shows the flags of all storages of an installation, also those
of other packages.
"""


def render() -> str:
    """Return the page."""
    sections = [INTRODUCTION]
    for name in StorageId:
        storage = find_storage(name)
        sections.append(f"## {storage.title[:1].upper()}{storage.title[1:]}\n\n{_describe(storage)}")
        for title, model in (("Connection", storage.connection_options), ("Upload", storage.upload_options)):
            rows = list(_rows(model))
            if rows:
                head = ["| option | type | flag | meaning |", "| --- | --- | --- | --- |"]
                sections.append("\n".join([f"### {title}\n", *head, *rows]) + "\n")
    return "\n".join(sections)


def _describe(storage: Storage) -> str:
    text = f"Ids begin with `{storage.name}/`."
    if (credential := storage.credential) is not None:
        text += (
            f" The credential is the option `{credential.option}` or the argument `{credential.argument}`, "
            f"else the environment variable `{credential.variable}`."
        )
    return textwrap.fill(text, 100, break_long_words=False, break_on_hyphens=False) + "\n"


def _rows(model: type[Options]) -> Iterator[str]:
    flags = {name: flag for name, flag, _ in model.flags()}
    for name, info in model.model_fields.items():
        spelled = ", ".join(f"`{each}`" for each in flags[name].names) if name in flags else ""
        meaning = " ".join((info.description or "").split()).replace("|", "\\|")
        yield f"| `{name}` | {_type(info)} | {spelled} | {meaning} |"


def _type(info: FieldInfo) -> str:
    return " or ".join(dict.fromkeys(_names(info.annotation))) or "any"


def _names(annotation: Any) -> Iterator[str]:  # noqa: ANN401 - a type
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _names(get_args(annotation)[0])
    elif origin in {Union, types.UnionType}:
        for part in get_args(annotation):
            yield from _names(part)
    elif origin is Literal:
        yield from (f"`{value!r}`" for value in get_args(annotation))
    elif origin is not None:
        yield {"Sequence": "list", "Mapping": "dict"}.get(origin.__name__, origin.__name__)
    elif annotation is not type(None):
        yield getattr(annotation, "__name__", str(annotation))


if __name__ == "__main__":
    sys.stdout.write(render())
