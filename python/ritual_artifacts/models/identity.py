"""Model ids: `{repository id}:{file},{file}`, a repository and the files in it that are the model."""

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
_SHOWN: Final = 20
"""Names of files that an error lists."""


class MlModelId(BaseModel):
    """A model: files of one repository.

    Two ids are equal when repository and files are, whatever their `ml_type`.

    Attributes:
        repo_id: The repository.
        files: Names of the model's files in it; none means all of them.
        ml_type: What kind of model it is, where that is known.
    """

    model_config = ConfigDict(frozen=True)

    repo_id: RitualRepoId
    files: list[str] = []
    ml_type: MLType | None = None

    if not TYPE_CHECKING:  # a type checker knows the arguments from the fields

        def __init__(self, /, **data: object) -> None:
            """Check every part.

            Raises:
                RepoIdError: a file is named twice, or its name could not be that of an artifact's file.
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
            message = f"the repository id {repo_id} holds ':', after which a model id has its files"
            raise ValueError(message)
        return repo_id

    @field_validator("files")
    @classmethod
    def _check_files(cls, files: list[str]) -> list[str]:
        for name in files:
            problem = "holds ',', which separates files in a model id" if "," in name else path_problem(name)
            if problem:
                message = f"the file name {name!r} {problem}"
                raise ValueError(message)
        if twice := [name for name, count in Counter(files).items() if count > 1]:
            message = f"the file {twice[0]!r} is named twice"
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
        """`{repository id}:{file},{file}`, or the repository id where no file is named."""
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
        except (AttributeError, TypeError):  # of those who call this without a type checker
            message = f"model id {unique_id!r} is no text"
            raise RepoIdError(message) from None
        if colon and not files:
            message = f"model id {unique_id!r} names no file after ':'; leave that out to mean every file"
            raise RepoIdError(message)
        names = files.split(",") if colon else []
        return MlModelId(repo_id=RitualRepoId.from_unique_id(repo_id), files=names, ml_type=ml_type)

    @classmethod
    def from_any(cls, model: "MlModelId | str", ml_type: MLType | None = None) -> "MlModelId":
        """Return the id that is given, as an id or as a text, with `ml_type` where that is given.

        Raises:
            RepoIdError: it is neither, or does not have the form of an id.
        """
        if not isinstance(model, MlModelId):
            return cls.from_unique_id(model, ml_type)
        return model if ml_type is None else model.model_copy(update={"ml_type": ml_type})

    def to_local_dir(self, cache: Path | str | None = None) -> Path:
        """Return the folder of the cache (default `RITUAL_CACHE_DIR`) that belongs to the repository."""
        return self.repo_id.to_local_dir(cache)

    @property
    def to_web3(self) -> bytes:
        """The ABI encoding `(bytes,string)` that goes on chain: the repository's, and the files.

        Needs the extra `web3`. It is a property here, and a method of `RitualRepoId`, as in infernet-ml.
        """
        return encode_web3(_WEB3_TYPES, [self.repo_id.to_web3(), ",".join(self.files)])

    @classmethod
    def from_web3(cls, encoding: bytes | str) -> "MlModelId":
        """Read what `to_web3` gave.

        Args:
            encoding: The encoding, as bytes or as hex digits with or without `0x`.

        Raises:
            RepoIdError: the bytes are not such an encoding.
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
    """A model whose files are here.

    Attributes:
        file_paths: Where they are, in the order of `files`.
    """

    file_paths: list[Path]

    @field_serializer("file_paths")
    def _write_paths(self, file_paths: list[Path]) -> list[str]:
        return [str(path.absolute()) for path in file_paths]

    @classmethod
    def from_model(cls, model_id: MlModelId, file_paths: Sequence[Path]) -> Self:
        """Find the files that an id names among `file_paths`.

        Raises:
            ArtifactNotFoundError: a file is not among them.
        """
        known = {"repo_id": model_id.repo_id, "files": model_id.files, "ml_type": model_id.ml_type}
        return cls.model_validate({**known, "file_paths": find_paths(model_id, file_paths)})


def find_paths(model_id: MlModelId, paths: Iterable[Path]) -> list[Path]:
    """Return those of `paths` that are the model's files, in the id's order; see `find_names`.

    Their names are relative to the innermost folder that all of them are in. Where these are not enough, as
    for the files of one subfolder, the folders above count too.

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
    """Return the innermost folder that all of the paths are in; nothing where there is none."""
    try:
        return Path(os.path.commonpath([path.parent for path in paths])).as_posix().rstrip("/")
    except ValueError:  # none at all, or on several drives
        return ""


def find_names(model_id: MlModelId, names: Sequence[str], where: str) -> list[str]:
    """Return those of `names` that are the model's files, in the id's order; all where it names none.

    An id may leave out the folders that a file is in. Of several files that it could mean then, the outermost
    is meant.

    Args:
        model_id: The model.
        names: Paths with `/`.
        where: Whose they are, for messages.

    Raises:
        ArtifactNotFoundError: a file is not among them, or several are equally near.
    """
    if not model_id.files:
        return list(names)
    found = []
    missing = []
    for wanted in model_id.files:
        may_be = sorted(_find_matching(wanted, names), key=_depth)
        nearest = [name for name in may_be if _depth(name) == _depth(may_be[0])]
        if len(nearest) > 1:
            message = f"{wanted!r} could be any of {listed(nearest)} in {where}; name it with its folders"
            raise ArtifactNotFoundError(message)
        found += nearest
        missing += [] if nearest else [wanted]
    if missing:
        message = f"{where} has no file {listed(missing)}; it has {listed(names) or 'no file'}"
        raise ArtifactNotFoundError(message)
    if len(set(found)) < len(found):
        message = f"two of the names {listed(model_id.files)} are one file of {where}; name each file once"
        raise ArtifactNotFoundError(message)
    return found


def _find_matching(wanted: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if f"/{name}".endswith(f"/{wanted}")]


def _depth(name: str) -> int:
    return name.count("/")


def listed(names: Sequence[str]) -> str:
    """Return names as an error shows them, the first of them where there are many."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(repr(name) for name in names[:_SHOWN]) + more
