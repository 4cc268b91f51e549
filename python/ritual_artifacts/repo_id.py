"""Repository ids, `{storage}/{owner}/{name}[/{version}]`, with their paths and on-chain encodings."""

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
"""Name of the cache folder for "no version", as in infernet-ml."""

BACKEND_GROUP: Final = "ritual_artifacts.backends"
"""The entry-point group in which packages register storages."""

_WEB3_TYPES: Final = ("uint8", "string", "string", "string")


class StorageId(StrEnum):
    """Where a repository is stored."""

    Local = "local"
    Arweave = "arweave"
    Huggingface = "huggingface"

    def to_storage_id_int(self) -> "StorageIdInt":
        """Return the on-chain number of this storage."""
        return StorageIdInt[self.name]


class StorageIdInt(IntEnum):
    """The on-chain numbers of the storages."""

    Local = 0
    Arweave = 1
    Huggingface = 2

    def to_storage_id(self) -> StorageId:
        """Return the storage with this number."""
        return StorageId[self.name]


def find_storage_name(text: str) -> str | None:
    """Return the name of an installed storage, as a `StorageId` if it is one; None if it is not installed.

    Packages that register storages are not imported.
    """
    if text in set(StorageId):
        return StorageId(text)
    return text if any(point.name == text for point in entry_points(group=BACKEND_GROUP)) else None


def _list_storages() -> str:
    others = {point.name for point in entry_points(group=BACKEND_GROUP)} - set(StorageId)
    return ", ".join([*StorageId, *sorted(others)])


class RitualRepoId(BaseModel):
    """One repository, and optionally one version of it, on one storage.

    Attributes:
        storage: The name of an installed storage, as a `StorageId` if it is one.
        owner: The owner: a Hugging Face user or organisation, an Arweave address, any word locally.
        name: The repository's name.
        version: A revision on Hugging Face, a version label elsewhere; None means the newest.
    """

    model_config = ConfigDict(frozen=True)

    storage: StorageId | str
    owner: str
    name: str
    version: str | None = None

    if not TYPE_CHECKING:  # a type checker knows the arguments from the fields

        def __init__(self, /, **data: object) -> None:
            """Check every part, so that even an untrusted id is safe to use as a path.

            Raises:
                RepoIdError: a part is missing, empty, `.`, `..`, contains a separator or a control character,
                    or is not a valid name on some file system.
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
                    message = f"repository id has an invalid {part} {first['input']!r}: {problem}"
                raise RepoIdError(message) from None

    @field_validator("storage", mode="plain")
    @classmethod
    def _check_storage(cls, value: object) -> str:
        known = find_storage_name(value) if isinstance(value, str) else None
        if known is None:
            message = f"the storage must be one of {_list_storages()}"
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
        # Some file systems ignore case.
        if value is not None and value.casefold() == UNVERSIONED_MARKER:
            message = f"{UNVERSIONED_MARKER!r} means 'no version' in the cache; leave the version out"
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
        except (AttributeError, TypeError):  # callers without a type checker
            message = f"a repository id must be a string, got {unique_id!r}"
            raise RepoIdError(message) from None
        if find_storage_name(storage) is None:
            known = _list_storages()
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
                message = f"repository id {given!r} must have an owner, a name and optionally a version"
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
        """Return this id's folder in the cache.

        Args:
            cache: Root of the cache; default `RITUAL_CACHE_DIR`.
        """
        root = load_settings().cache_dir if cache is None else Path(cache)
        return root / self.storage / self.owner / self.name / (self.version or UNVERSIONED_MARKER)

    @classmethod
    def from_local_dir(cls, local_dir: Path | str, cache: Path | str | None = None) -> Self:
        """Return the id that has this folder in the cache; the inverse of `to_local_dir`.

        Args:
            local_dir: A folder four levels below the cache.
            cache: Root of the cache; default `RITUAL_CACHE_DIR`.

        Raises:
            RepoIdError: the folder is not an artifact folder of the cache.
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
        """Return the on-chain ABI encoding, `(uint8,string,string,string)`.

        An empty string means "no version". Needs the extra `web3`.

        Raises:
            RepoIdError: the storage has no on-chain number.
            ArtifactError: the extra is not installed.
        """
        if not isinstance(self.storage, StorageId):
            message = f"the storage of {self} has no on-chain number; only {', '.join(StorageId)} have one"
            raise RepoIdError(message)
        number = self.storage.to_storage_id_int().value
        return encode_web3(_WEB3_TYPES, [number, self.owner, self.name, self.version or ""])

    @classmethod
    def from_web3(cls, repo_id: bytes | str) -> Self:
        """Decode the output of `to_web3`.

        Args:
            repo_id: The encoding, as bytes or as hex digits with or without `0x`.

        Raises:
            RepoIdError: the encoding is invalid.
            ArtifactError: the extra `web3` is not installed.
        """
        number, owner, name, version = decode_web3(_WEB3_TYPES, repo_id, "repository id")
        try:
            storage = StorageIdInt(number).to_storage_id()
        except ValueError as error:
            message = f"not an ABI-encoded repository id: {error}"
            raise RepoIdError(message) from None
        return cls(storage=storage, owner=owner, name=name, version=version or None)


def encode_web3(types: Sequence[str], values: Sequence[Any]) -> bytes:
    """Return the ABI encoding of `values`.

    Raises:
        ArtifactError: the extra `web3` is not installed.
    """
    try:
        from eth_abi.abi import encode  # noqa: PLC0415 - part of an extra
    except ImportError:
        _refuse_without_web3()
    return encode(types, values)


def decode_web3(types: Sequence[str], encoding: bytes | str, what: str) -> tuple[Any, ...]:
    """Decode an ABI encoding.

    Args:
        types: The ABI types of the values.
        encoding: The encoding, as bytes or as hex digits with or without `0x`.
        what: What is encoded, for error messages.

    Raises:
        RepoIdError: the encoding is invalid.
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
    except (DecodingError, ValueError, OverflowError) as error:  # eth_abi does not check lengths and offsets
        message = f"not an ABI-encoded {what}: {error}"
        raise RepoIdError(message) from None


def _refuse_without_web3() -> NoReturn:
    message = "on-chain ids need the extra 'web3': pip install 'ritual-artifacts[web3]'"
    raise ArtifactError(message) from None
