"""What a user can say about the connection to Arweave, and about one upload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ritual_artifacts.errors import BackendError
from ritual_artifacts.settings import load_settings

DEFAULT_GATEWAYS: Final = ("https://arweave.net", "https://permagate.io")
DEFAULT_TIMEOUT: Final = 60.0
DEFAULT_MAX_WORKERS: Final = 8

_NEEDLESS: Final = frozenset({"logger", "max_upload_size", "show_progress_bar"})
"""Options of ritual-arweave that change nothing here: files have no sections, `progress=` reports."""

_OWN_TAGS: Final = frozenset(
    {
        *("App-Name", "App-Version", "Artifact-Digest", "Bundle-Format", "Bundle-Version", "File-Name"),
        *("File-SHA256", "File-Size", "File-Type", "File-Version", "Repo-Name", "Repo-Version", "Type"),
        *("Path-Manifest", "Unix-Time"),
    }
)
"""Tags by which things are found again: of two with one name, the first would count."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """How to talk to Arweave.

    Attributes:
        gateways: Addresses of gateways or nodes, tried in order (default `RITUAL_ARWEAVE_GATEWAYS`, else
            public ones).
        wallet_path: A JWK file (default `ARWEAVE_WALLET_FILE_PATH`); needed for uploads only.
        timeout: Seconds without a byte after which a connection counts as cut.
        max_workers: Requests in flight at once.
    """

    gateways: tuple[str, ...] = DEFAULT_GATEWAYS
    wallet_path: str | Path | None = None
    timeout: float = DEFAULT_TIMEOUT
    max_workers: int = DEFAULT_MAX_WORKERS


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """What a user can say about one upload.

    Attributes:
        max_cost: Winston at most; an upload that costs more is refused before anything is posted.
        bundle: Put all small files and the manifests into one ANS-104 bundle: one signature to pay for, one
            transaction to confirm. Tools that know no bundles cannot read it.
        confirmations: Blocks to wait for, the one with the transaction included, before the call returns;
            0 returns as soon as everything is posted.
        reseed: Ask the gateways for every chunk of what is stored already, and post again what they lost.
        version_mapping: `File-Version` of a file, by its name in the artifact; default the repository's
            version, else `0.0.0`.
        extra_file_tags: More tags of a file, by its name in the artifact. A file that is stored already, or
            equal to another one of the artifact, keeps the tags that it was stored with.
    """

    max_cost: int | None = None
    bundle: bool = False
    confirmations: int = 0
    reseed: bool = False
    version_mapping: Mapping[str, str] = field(default_factory=dict)
    extra_file_tags: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def make_connection(options: Mapping[str, Any]) -> Connection:
    """Build a connection of what the user said and what the environment says.

    Args:
        options: Fields of `Connection`; `api_url` of ritual-arweave 0.1 stands for one gateway.

    Raises:
        BackendError: there is no such option, or it cannot have this value.
        ArtifactError: the environment has a setting that cannot be used.
    """
    given = {name: value for name, value in options.items() if name not in _NEEDLESS and value is not None}
    if "api_url" in given:
        given.setdefault("gateways", given["api_url"])
        del given["api_url"]
    _refuse_unknown(given, Connection)
    if "gateways" not in given and (from_environment := load_settings().arweave_gateways):
        given["gateways"] = from_environment
    if "gateways" in given:
        given["gateways"] = _check_gateways(given["gateways"])
    if "max_workers" not in given and (limit := load_settings().max_workers):
        given["max_workers"] = limit
    connection = Connection(**given)
    _check_number("max_workers", connection.max_workers, least=1)
    _check_seconds("timeout", connection.timeout)
    return connection


def make_upload_options(options: Mapping[str, Any]) -> UploadOptions:
    """Check what the user says of an upload.

    Raises:
        BackendError: there is no such option, or it cannot have this value.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _refuse_unknown(given, UploadOptions)
    chosen = UploadOptions(**given)
    if chosen.max_cost is not None:
        _check_number("max_cost", chosen.max_cost, least=0)
    _check_number("confirmations", chosen.confirmations, least=0)
    for name in ("bundle", "reseed"):
        if not isinstance(getattr(chosen, name), bool):
            message = f"{name} is {getattr(chosen, name)!r}, expected True or False"
            raise BackendError(message)
    _check_texts("version_mapping", chosen.version_mapping)
    _check_tags("extra_file_tags", chosen.extra_file_tags)
    return chosen


def _refuse_unknown(options: Mapping[str, Any], known: type[Connection | UploadOptions]) -> None:
    names = {f.name for f in fields(known)}
    for name in options:
        if name not in names:
            message = (
                f"the Arweave backend does not take the option {name!r}; "
                f"those that there are: {', '.join(sorted(names))}"
            )
            raise BackendError(message)


def _check_number(name: str, value: object, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        message = f"{name} is {value!r}, expected a whole number, {least} or more"
        raise BackendError(message)


def _check_seconds(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        message = f"{name} is {value!r}, expected seconds, more than 0"
        raise BackendError(message)


def _check_tags(name: str, value: object) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(path, str) for path in value):
        message = f"{name} is no mapping of a file's name to its tags"
        raise BackendError(message)
    for tags in value.values():
        _check_texts(name, tags)
        if taken := sorted(_OWN_TAGS & tags.keys()):
            message = (
                f"{name} has the tag {taken[0]!r}, which says what the transaction is; choose another name"
            )
            raise BackendError(message)


def _check_texts(name: str, value: object) -> None:
    if not isinstance(value, Mapping) or not all(
        isinstance(part, str) for pair in value.items() for part in pair
    ):
        message = f"{name} is no mapping of text to text"
        raise BackendError(message)


def _check_gateways(value: object) -> tuple[str, ...]:
    addresses = (
        value.split(",")
        if isinstance(value, str)
        else list(value)
        if isinstance(value, Sequence)
        else [value]
    )
    gateways = tuple(dict.fromkeys(_check_gateway(address) for address in addresses))
    if not gateways:
        message = "there is no gateway in the list (RITUAL_ARWEAVE_GATEWAYS, gateways=…)"
        raise BackendError(message)
    return gateways


def _check_gateway(address: object) -> str:
    try:
        parts = urlsplit(str(address).strip())
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        message = (
            "a gateway (RITUAL_ARWEAVE_GATEWAYS) must be a URL such as https://arweave.net, without a user"
        )
        raise BackendError(message)
    return parts.geturl().rstrip("/")
