"""The options of the local store."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, field_validator

from ritual_artifacts.backends.options import Options


class LocalOptions(Options):
    """Options of every call that uses the local store."""

    title: ClassVar[str] = "the local store"

    root: Path | str | None = Field(
        default=None, description="The store's folder; default `RITUAL_STORE_DIR`."
    )

    @field_validator("root")
    @classmethod
    def _check_root(cls, value: Path | str | None) -> Path | str | None:
        if value == "" or "\0" in str(value):  # "" would be the current folder
            message = f"{str(value)!r} is not the path of a folder"
            raise ValueError(message)
        return value


class LocalUploadOptions(Options):
    """An upload to the local store has no options of its own."""

    title: ClassVar[str] = "an upload to the local store"
