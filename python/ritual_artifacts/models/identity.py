"""Model ids, `{repository id}:{file},{file}`: a repository, and the model's files in it."""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_serializer, field_validator

from ritual_artifacts.artifact.introspection import explain
from ritual_artifacts.errors import ArtifactNotFoundError, RepoIdError
from ritual_artifacts.models.information import MLType
from ritual_artifacts.names import path_problem
from ritual_artifacts.repo_id import RitualRepoId, decode_web3, encode_web3

_WEB3_TYPES: Final = ("bytes", "string")
_MAX_SHOWN: Final = 20
"""Number of file names that an error message lists."""


class MlModelId(BaseModel):
    """A model: files of one repository.

    Two ids are equal if their repositories and files are equal; `ml_type` is ignored.

    Attributes:
        repo_id: The repository.
        files: Names of the model's files in it; empty for all files.
        ml_type: The kind of model, if known.
    """

    model_config = ConfigDict(frozen=True)

    repo_id: RitualRepoId
    files: list[str] = []
    ml_type: MLType | None = None

    if not TYPE_CHECKING:  # a type checker knows the arguments from the fields

        def __init__(self, /, **data: object) -> None:
            """Check every part.

            Raises:
                RepoIdError: a file is named twice, or its name cannot be that of an artifact file.
            """
            try:
                super().__init__(**data)
            except ValidationError as error:
                first = error.errors()[0]
                problem = first.get("ctx", {}).get("error") or explain(error, "the id")
                message = f"not a model id: {problem}"
                raise RepoIdError(message) from None

    @field_validator("repo_id")
    @classmethod
    def _check_repo_id(cls, repo_id: RitualRepoId) -> RitualRepoId:
        if ":" in repo_id.to_unique_id():
            message = f"the repository id {repo_id} contains ':', which precedes the files in a model id"
            raise ValueError(message)
        return repo_id

    @field_validator("files")
    @classmethod
    def _check_files(cls, files: list[str]) -> list[str]:
        for name in files:
            problem = path_problem(name)
            if "," in name:
                problem = "contains ',', which separates the files in a model id"
            if problem:
                message = f"the file name {name!r} {problem}"
                raise ValueError(message)
        if duplicates := [name for name, count in Counter(files).items() if count > 1]:
            message = f"the file {duplicates[0]!r} is named twice"
            raise ValueError(message)
        return files

    @property
    def version(self) -> str | None:
        """The repository's version."""
        return self.repo_id.version

    @property
    def hf_repo_id(self) -> str:
        """`owner/name`, as Hugging Face writes it.

        Raises:
            RepoIdError: the model is on another storage.
        """
        return self.repo_id.hf_id

    @property
    def arweave_repo_id(self) -> str:
        """`owner/name`, as ritual-arweave writes it.

        Raises:
            RepoIdError: the model is on another storage.
        """
        return self.repo_id.ar_id

    @property
    def unique_id(self) -> str:
        """`{repository id}:{file},{file}`, or the repository id alone if no file is named."""
        files = f":{','.join(self.files)}" if self.files else ""
        return f"{self.repo_id}{files}"

    @classmethod
    def from_unique_id(cls, unique_id: str, ml_type: MLType | None = None) -> "MlModelId":
        """Parse `{repository id}[:{file},{file}…]`.

        Raises:
            RepoIdError: the id does not have that form.
        """
        try:
            repo_id, colon, files = unique_id.partition(":")
        except (AttributeError, TypeError):  # callers without a type checker
            message = f"a model id must be a string, got {unique_id!r}"
            raise RepoIdError(message) from None
        if colon and not files:
            message = f"model id {unique_id!r} names no file after ':'; remove the ':' to mean all files"
            raise RepoIdError(message)
        names = files.split(",") if colon else []
        return MlModelId(repo_id=RitualRepoId.from_unique_id(repo_id), files=names, ml_type=ml_type)

    @classmethod
    def from_any(cls, model: "MlModelId | str", ml_type: MLType | None = None) -> "MlModelId":
        """Return the id that is given as an id or a string, with `ml_type` if that is given.

        Raises:
            RepoIdError: it is neither, or is malformed.
        """
        if not isinstance(model, MlModelId):
            return cls.from_unique_id(model, ml_type)
        return model if ml_type is None else model.model_copy(update={"ml_type": ml_type})

    def to_local_dir(self, cache: Path | str | None = None) -> Path:
        """Return the repository's folder in the cache (default `RITUAL_CACHE_DIR`)."""
        return self.repo_id.to_local_dir(cache)

    @property
    def to_web3(self) -> bytes:
        """The on-chain ABI encoding, `(bytes,string)`: the repository id's encoding, and the files.

        Needs the extra `web3`. As in infernet-ml, this is a property, but a method in `RitualRepoId`.
        """
        return encode_web3(_WEB3_TYPES, [self.repo_id.to_web3(), ",".join(self.files)])

    @classmethod
    def from_web3(cls, encoding: bytes | str) -> "MlModelId":
        """Decode the value of `to_web3`.

        Args:
            encoding: The encoding, as bytes or as hex digits with or without `0x`.

        Raises:
            RepoIdError: the encoding is invalid.
        """
        repo_id, files = decode_web3(_WEB3_TYPES, encoding, "model id")
        names = files.split(",") if files else []
        return MlModelId(repo_id=RitualRepoId.from_web3(repo_id), files=names)

    def __str__(self) -> str:
        """Return the unique id."""
        return self.unique_id

    def __eq__(self, other: object) -> bool:
        """Compare the unique ids."""
        return self.unique_id == other.unique_id if isinstance(other, MlModelId) else NotImplemented

    def __hash__(self) -> int:
        """Hash the unique id."""
        return hash(self.unique_id)


class DownloadedModel(MlModelId):
    """A downloaded model, with the paths of its files.

    Attributes:
        file_paths: The paths, in the order of `files`.
    """

    file_paths: list[Path]

    @field_serializer("file_paths")
    def _write_paths(self, file_paths: list[Path]) -> list[str]:
        return [str(path.absolute()) for path in file_paths]

    @classmethod
    def from_model(cls, model_id: MlModelId, file_paths: Sequence[Path]) -> Self:
        """Return the downloaded model, whose files are found by name in `file_paths`.

        Raises:
            ArtifactNotFoundError: a file is not among them.
        """
        known = {"repo_id": model_id.repo_id, "files": model_id.files, "ml_type": model_id.ml_type}
        return cls.model_validate({**known, "file_paths": find_paths(model_id, file_paths)})


def find_paths(model_id: MlModelId, paths: Iterable[Path]) -> list[Path]:
    """Return the paths of the model's files from `paths`, in the id's order; see `find_names`.

    The names of the paths are relative to their innermost common folder. If the id names more folders than
    that, as for the files of one subfolder, the full paths are used.

    Raises:
        ArtifactNotFoundError: a file is not among them.
    """
    whole = {path.as_posix(): path for path in paths}
    top = f"{_find_top(whole.values())}/"
    relative = {name.removeprefix(top): path for name, path in whole.items()}
    is_enough = all(_find_matching(wanted, relative) for wanted in model_id.files)
    by_name: Mapping[str, Path] = relative if is_enough else whole
    return [by_name[name] for name in find_names(model_id, list(by_name), "the given paths")]


def _find_top(paths: Iterable[Path]) -> str:
    """Return the innermost common folder of the paths, or an empty string if there is none."""
    try:
        return Path(os.path.commonpath([path.parent for path in paths])).as_posix().rstrip("/")
    except ValueError:  # no paths, or paths on different drives
        return ""


def find_names(model_id: MlModelId, names: Sequence[str], where: str) -> list[str]:
    """Return the names of the model's files from `names`, in the id's order; all if it names none.

    An id may leave out the folders of a file. If several files match, the one in the fewest folders is used.

    Args:
        model_id: The model.
        names: Relative paths with `/`.
        where: The artifact or folder with these files, for error messages.

    Raises:
        ArtifactNotFoundError: a file is not among `names`, or several match in equally few folders.
    """
    if not model_id.files:
        return list(names)
    found = []
    missing = []
    for wanted in model_id.files:
        matching = sorted(_find_matching(wanted, names), key=_depth)
        outermost = [name for name in matching if _depth(name) == _depth(matching[0])]
        if len(outermost) > 1:
            shown = format_names(outermost)
            message = f"{wanted!r} is ambiguous in {where}: it could be {shown}; include its folders"
            raise ArtifactNotFoundError(message)
        found += outermost
        missing += [] if outermost else [wanted]
    if missing:
        message = f"{where} has no file {format_names(missing)}; it has {format_names(names) or 'no files'}"
        raise ArtifactNotFoundError(message)
    if len(set(found)) < len(found):
        shown = format_names(model_id.files)
        message = f"two of the names {shown} are the same file of {where}; name each file once"
        raise ArtifactNotFoundError(message)
    return found


def _find_matching(wanted: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if f"/{name}".endswith(f"/{wanted}")]


def _depth(name: str) -> int:
    return name.count("/")


def format_names(names: Sequence[str]) -> str:
    """Format names for an error message; of many names, only the first ones are shown."""
    more = f" and {len(names) - _MAX_SHOWN} more" if len(names) > _MAX_SHOWN else ""
    return ", ".join(repr(name) for name in names[:_MAX_SHOWN]) + more
