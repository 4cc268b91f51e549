"""Repository ids: `{storage}/{owner}/{name}[/{version}]`."""

from collections.abc import Sequence
from enum import IntEnum, StrEnum
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from ritual_artifacts.errors import ArtifactError, RepoIdError
from ritual_artifacts.names import component_problem
from ritual_artifacts.settings import load_settings

UNVERSIONED_MARKER: Final = "default"
"""Folder of the cache that stands for "no version"; the name is infernet-ml's."""

BACKEND_GROUP: Final = "ritual_artifacts.backends"
"""The entry-point group by which packages bring storages."""

_WEB3_TYPES: Final = ("uint8", "string", "string", "string")


class StorageId(StrEnum):
    """Where a repository is stored."""

    Local = "local"
    Arweave = "arweave"
    Huggingface = "huggingface"

    def to_storage_id_int(self) -> "StorageIdInt":
        """Return the number that stands for this storage on chain."""
        return StorageIdInt[self.name]


class StorageIdInt(IntEnum):
    """The storages as numbers, as they are ABI-encoded on chain."""

    Local = 0
    Arweave = 1
    Huggingface = 2

    def to_storage_id(self) -> StorageId:
        """Return the storage that this number stands for."""
        return StorageId[self.name]


def find_storage_name(text: str) -> str | None:
    """Return the name of an installed storage, a `StorageId` where it is one of ours; else None.

    The packages that bring storages are looked up, not imported.
    """
    if text in set(StorageId):
        return StorageId(text)
    return text if any(point.name == text for point in entry_points(group=BACKEND_GROUP)) else None


def _name_storages() -> str:
    others = {point.name for point in entry_points(group=BACKEND_GROUP)} - set(StorageId)
    return ", ".join([*StorageId, *sorted(others)])


class RitualRepoId(BaseModel):
    """One repository, and optionally one version of it, on one storage.

    Attributes:
        storage: Where it is stored: the name of an installed storage, a `StorageId` where it is one of ours.
        owner: Who owns it: a Hugging Face user or organisation, an Arweave address, any word locally.
        name: Its name.
        version: A revision on Hugging Face, a version label elsewhere; None means the newest.
    """

    model_config = ConfigDict(frozen=True)

    storage: StorageId | str
    owner: str
    name: str
    version: str | None = None

    if not TYPE_CHECKING:  # a type checker knows the arguments from the fields

        def __init__(self, /, **data: object) -> None:
            """Check every part, so that an id is safe to use as a path wherever it came from.

            Raises:
                RepoIdError: a part is missing, empty, `.`, `..`, or has a separator, a control character or
                    another shape that some file system cannot keep.
            """
            try:
                super().__init__(**data)
            except ValidationError as error:
                first = error.errors()[0]
                part = ".".join(map(str, first["loc"]))
                if first["type"] == "missing":
                    message = f"repository id has no {part}"
                else:
                    problem = first.get("ctx", {}).get("error", first["msg"])
                    message = f"repository id has a bad {part} {first['input']!r}: {problem}"
                raise RepoIdError(message) from None

    @field_validator("storage", mode="plain")
    @classmethod
    def _check_storage(cls, value: object) -> str:
        known = find_storage_name(value) if isinstance(value, str) else None
        if known is None:
            message = f"the storage must be one of {_name_storages()}"
            raise ValueError(message)
        return known

    @field_validator("owner", "name", "version")
    @classmethod
    def _check_part(cls, value: str | None) -> str | None:
        if value is not None and (problem := component_problem(value)):
            message = f"it {problem}"
            raise ValueError(message)
        return value

    @field_validator("version")
    @classmethod
    def _check_version(cls, value: str | None) -> str | None:
        if value is not None and value.casefold() == UNVERSIONED_MARKER:  # one folder on some file systems
            message = f"{UNVERSIONED_MARKER!r} is the cache's name for 'no version'; leave the version out"
            raise ValueError(message)
        return value

    def __str__(self) -> str:
        """Return the unique id."""
        return self.to_unique_id()

    def to_unique_id(self) -> str:
        """Return `{storage}/{owner}/{name}[/{version}]`."""
        version = f"/{self.version}" if self.version else ""
        return f"{self.storage}/{self.owner}/{self.name}{version}"

    @classmethod
    def from_unique_id(cls, unique_id: str) -> Self:
        """Parse `{storage}/{owner}/{name}[/{version}]`.

        Raises:
            RepoIdError: the id does not have that form.
        """
        try:
            storage, _, rest = unique_id.partition("/")
        except (AttributeError, TypeError):  # of those who call this without a type checker
            message = f"repository id {unique_id!r} is no text"
            raise RepoIdError(message) from None
        if find_storage_name(storage) is None:
            known = _name_storages()
            message = f"repository id {unique_id!r} must start with a storage ({known}), then owner/name"
            raise RepoIdError(message)
        return cls._parse(storage, rest, unique_id)

    @classmethod
    def from_hf_repo_id(cls, hf_repo_id: str) -> Self:
        """Parse a Hugging Face id, `owner/name` or `owner/name/revision`.

        Raises:
            RepoIdError: the id does not have that form.
        """
        return cls._parse(StorageId.Huggingface, hf_repo_id, hf_repo_id)

    @classmethod
    def from_arweave_repo_id(cls, arweave_repo_id: str) -> Self:
        """Parse an Arweave id, `owner/name` or `owner/name/version`.

        Raises:
            RepoIdError: the id does not have that form.
        """
        return cls._parse(StorageId.Arweave, arweave_repo_id, arweave_repo_id)

    @classmethod
    def _parse(cls, storage: str, rest: str, given: str) -> Self:
        match rest.split("/"):
            case [owner, name]:
                return cls(storage=storage, owner=owner, name=name)
            case [owner, name, version]:
                return cls(storage=storage, owner=owner, name=name, version=version)
            case _:
                message = f"repository id {given!r} must have an owner, a name and at most a version"
                raise RepoIdError(message)

    @property
    def hf_id(self) -> str:
        """`owner/name`, as Hugging Face writes it.

        Raises:
            RepoIdError: the repository is on another storage.
        """
        return self._id_on(StorageId.Huggingface)

    @property
    def ar_id(self) -> str:
        """`owner/name`, as ritual-arweave writes it.

        Raises:
            RepoIdError: the repository is on another storage.
        """
        return self._id_on(StorageId.Arweave)

    def _id_on(self, storage: StorageId) -> str:
        if self.storage != storage:
            message = f"repository {self} is not on {storage}"
            raise RepoIdError(message)
        return f"{self.owner}/{self.name}"

    def without_version(self) -> Self:
        """Return the id of the repository as a whole."""
        return self.with_version(None)

    def with_version(self, version: str | None) -> Self:
        """Return the id of another version of the repository."""
        return type(self)(storage=self.storage, owner=self.owner, name=self.name, version=version)

    def to_local_dir(self, cache: Path | str | None = None) -> Path:
        """Return the folder of the cache that belongs to this id.

        Args:
            cache: Root of the cache; default `RITUAL_CACHE_DIR`.
        """
        root = load_settings().cache_dir if cache is None else Path(cache)
        return root / self.storage / self.owner / self.name / (self.version or UNVERSIONED_MARKER)

    @classmethod
    def from_local_dir(cls, local_dir: Path | str, cache: Path | str | None = None) -> Self:
        """Return the id that `to_local_dir` gave this folder to.

        Args:
            local_dir: A folder four levels below the cache.
            cache: Root of the cache; default `RITUAL_CACHE_DIR`.

        Raises:
            RepoIdError: the folder is not one of the cache.
        """
        root = load_settings().cache_dir if cache is None else Path(cache)
        try:
            storage, owner, name, version = Path(local_dir).relative_to(root).parts
        except ValueError:
            message = f"{local_dir} is not an artifact folder of the cache {root}"
            raise RepoIdError(message) from None
        parts = [storage, owner, name] if version == UNVERSIONED_MARKER else [storage, owner, name, version]
        return cls.from_unique_id("/".join(parts))

    def to_web3(self) -> bytes:
        """Return the ABI encoding `(uint8,string,string,string)` that goes on chain.

        The empty string stands for "no version". Needs the extra `web3`.

        Raises:
            RepoIdError: the storage has no number on chain.
            ArtifactError: the extra is not installed.
        """
        if not isinstance(self.storage, StorageId):
            message = f"{self} has no number on chain: only {', '.join(StorageId)} have one"
            raise RepoIdError(message)
        number = self.storage.to_storage_id_int().value
        return encode_web3(_WEB3_TYPES, [number, self.owner, self.name, self.version or ""])

    @classmethod
    def from_web3(cls, repo_id: bytes | str) -> Self:
        """Read what `to_web3` wrote.

        Args:
            repo_id: The encoding, as bytes or as hex digits with or without `0x`.

        Raises:
            RepoIdError: the bytes are not such an encoding.
        """
        number, owner, name, version = decode_web3(_WEB3_TYPES, repo_id, "repository id")
        try:
            storage = StorageIdInt(number).to_storage_id()
        except ValueError as error:
            message = f"not an ABI-encoded repository id: {error}"
            raise RepoIdError(message) from None
        return cls(storage=storage, owner=owner, name=name, version=version or None)


def encode_web3(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Return the ABI encoding of some values.

    Raises:
        ArtifactError: the extra `web3` is not installed.
    """
    try:
        from eth_abi.abi import encode  # noqa: PLC0415 - part of an extra
    except ImportError:
        _refuse_without_web3()
    return encode(types, values)


def decode_web3(types: Sequence[str], encoding: bytes | str, what: str) -> tuple[Any, ...]:
    """Read an ABI encoding, as bytes or as hex digits with or without `0x`.

    Args:
        types: What it holds.
        encoding: The encoding.
        what: What it stands for, for messages.

    Raises:
        RepoIdError: the bytes are not such an encoding.
        ArtifactError: the extra `web3` is not installed.
    """
    try:
        from eth_abi.abi import decode  # noqa: PLC0415 - part of an extra
        from eth_abi.exceptions import DecodingError  # noqa: PLC0415
    except ImportError:
        _refuse_without_web3()
    try:
        data = bytes.fromhex(encoding.removeprefix("0x")) if isinstance(encoding, str) else encoding
        return decode(types, data)
    except (DecodingError, ValueError, OverflowError) as error:  # eth_abi trusts lengths and offsets
        message = f"not an ABI-encoded {what}: {error}"
        raise RepoIdError(message) from None


def _refuse_without_web3() -> NoReturn:
    message = "on-chain ids need the extra 'web3': pip install 'ritual-artifacts[web3]'"
    raise ArtifactError(message) from None
