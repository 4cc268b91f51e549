"""The options of the Arweave backend, completed with the defaults from the environment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ritual_artifacts.backends.arweave.encoding import parse_ar
from ritual_artifacts.backends.options import Flag, Options
from ritual_artifacts.errors import BackendError
from ritual_artifacts.settings import Settings

DEFAULT_GATEWAYS: Final = ("https://arweave.net", "https://permagate.io")
DEFAULT_TIMEOUT: Final = 60.0
DEFAULT_MAX_WORKERS: Final = 8

_OWN_TAGS: Final = frozenset(
    {
        *("App-Name", "App-Version", "Artifact-Digest", "Bundle-Format", "Bundle-Version", "File-Name"),
        *("File-SHA256", "File-Size", "File-Type", "File-Version", "Repo-Name", "Repo-Version", "Type"),
        *("Path-Manifest", "Unix-Time"),
    }
)
"""Tags that this package searches for: of two with the same name, the first would count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Intervals and time limits of the network. For tests and private networks; the defaults fit Arweave.

    Attributes:
        poll_seconds: Seconds between two status checks of a transaction that is not mined; a block takes two
            minutes.
        recheck_seconds: A posted transaction is looked up again after this time, as long as it is needed.
        kept_seconds: After this time nodes may have dropped the chunks of a transaction that is not mined;
            they keep them for half an hour.
        confirmation_seconds: How long `wait_for` waits at least.
        block_seconds: How long `wait_for` waits for each block, where that is longer.
    """

    poll_seconds: float = 15.0
    recheck_seconds: float = 300.0
    kept_seconds: float = 1500.0
    confirmation_seconds: float = 3600.0
    block_seconds: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How to talk to Arweave: the options, with every default filled in.

    Attributes:
        gateways: Addresses of gateways or nodes, tried in order.
        wallet_path: A JWK file; needed for uploads only.
        timeout: Seconds without a byte after which a connection counts as lost.
        max_workers: Requests in flight at once.
        timing: How the network's pace is met.
    """

    gateways: tuple[str, ...] = DEFAULT_GATEWAYS
    wallet_path: str | Path | None = None
    timeout: float = DEFAULT_TIMEOUT
    max_workers: int = DEFAULT_MAX_WORKERS
    timing: Timing = Timing()


class ConnectionOptions(Options):
    """Options of every call that talks to Arweave."""

    title = "the Arweave backend"
    # Options of ritual-arweave: files have no sections here, and `progress=` reports.
    ignored: ClassVar[frozenset[str]] = frozenset({"logger", "max_upload_size", "show_progress_bar"})
    credential = "wallet_path"

    gateways: tuple[str, ...] | None = Field(
        default=None,
        description="Addresses of gateways or nodes, tried in order: a list, or text with commas. "
        "Default: `RITUAL_ARWEAVE_GATEWAYS`, else public gateways. `api_url` is accepted as another name.",
    )
    wallet_path: Annotated[str | Path | None, Flag(("--wallet",), metavar="FILE")] = Field(
        default=None,
        description="The JWK file of the wallet, which uploads need. Default: `ARWEAVE_WALLET_FILE_PATH`.",
    )
    timeout: float = Field(
        default=DEFAULT_TIMEOUT,
        gt=0,
        allow_inf_nan=False,
        description="Seconds without a byte after which a connection counts as lost.",
    )
    max_workers: int | None = Field(
        default=None,
        ge=1,
        description=f"Requests in flight at once. Default: `RITUAL_MAX_WORKERS`, else {DEFAULT_MAX_WORKERS}.",
    )
    timing: Timing = Field(
        default=Timing(), description="How the network's pace is met; for tests and private networks."
    )

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Build the options from what the user gave; `api_url` of ritual-arweave 0.1 names one gateway.

        Raises:
            AuthenticationError: the wallet's path cannot be valid.
            BackendError: there is no such option, or it cannot have this value.
        """
        given = dict(given)
        alias = given.pop("api_url", None)
        if alias is not None and given.get("gateways") is None:
            given["gateways"] = alias
        return super().parse(given)

    @field_validator("gateways", mode="before")
    @classmethod
    def _read_gateways(cls, value: object) -> tuple[str, ...] | None:
        return None if value is None else parse_gateways(value)

    def fill_in(self, settings: Settings) -> Connection:
        """Return the connection that these options and the environment describe.

        Raises:
            BackendError: the gateways of the environment cannot be used.
        """
        gateways = self.gateways
        if gateways is None and settings.arweave_gateways:
            try:
                gateways = parse_gateways(settings.arweave_gateways)
            except ValueError as error:
                message = f"RITUAL_ARWEAVE_GATEWAYS: {error}"
                raise BackendError(message) from None
        return Connection(
            gateways=gateways or DEFAULT_GATEWAYS,
            wallet_path=self.wallet_path or settings.wallet_path,
            timeout=self.timeout,
            max_workers=self.max_workers or settings.max_workers or DEFAULT_MAX_WORKERS,
            timing=self.timing,
        )


class UploadOptions(Options):
    """Further options of an upload to Arweave."""

    title = "an upload to Arweave"

    max_cost: Annotated[int | None, Flag(("--max-cost",), metavar="AR", parse=parse_ar)] = Field(
        default=None,
        ge=0,
        description="Refuse an upload that costs more, before anything is posted "
        "(winston in Python, AR on the command line).",
    )
    bundle: Annotated[bool, Flag(("--bundle",))] = Field(
        default=False,
        description="Put small files and the manifests into one ANS-104 bundle: one transaction to pay for "
        "and to confirm. Tools that do not support bundles cannot read it.",
    )
    confirmations: Annotated[int, Flag(("--confirmations",))] = Field(
        default=0,
        ge=0,
        description="Wait until the artifact is this many blocks deep, its own block included; "
        "0 returns as soon as everything is posted.",
    )
    reseed: Annotated[bool, Flag(("--reseed",))] = Field(
        default=False,
        description="Ask the gateways for every chunk that is stored already, and post lost ones again.",
    )
    version_mapping: Mapping[str, str] = Field(
        default={},
        description="The tag `File-Version` of a file, by its name in the artifact. "
        "Default: the repository's version, else `0.0.0`.",
    )
    extra_file_tags: Mapping[str, Mapping[str, str]] = Field(
        default={},
        description="Further tags of a file, by its name in the artifact. A file that is stored already, or "
        "equal to another one of the artifact, keeps the tags that it was stored with.",
    )

    @field_validator("extra_file_tags")
    @classmethod
    def _check_tags(cls, value: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
        for tags in value.values():
            if taken := sorted(_OWN_TAGS & tags.keys()):
                message = f"the tag {taken[0]!r} describes the transaction itself; choose another name"
                raise ValueError(message)
        return value


def parse_gateways(value: object) -> tuple[str, ...]:
    """Return the addresses in a list or in text with commas, each once.

    Raises:
        ValueError: there are none, or one is not an address.
    """
    if isinstance(value, str):
        addresses: Sequence[object] = value.split(",")
    else:
        addresses = value if isinstance(value, Sequence) else [value]
    gateways = tuple(dict.fromkeys(_parse_gateway(address) for address in addresses))
    if not gateways:
        message = "the list of gateways is empty"
        raise ValueError(message)
    return gateways


def _parse_gateway(address: object) -> str:
    try:
        parts = urlsplit(str(address).strip())
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        _ = parts.port
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment:
        message = "a gateway must be a URL such as https://arweave.net, without a user name or a query"
        raise ValueError(message)
    return parts.geturl().rstrip("/")
