"""Settings from the environment.

An argument of a call wins over the environment, the environment over the default; an empty variable counts as
one that is not set. Nothing is read when the package is imported: each call of `load_settings` looks at the
environment again.
"""

from collections.abc import Callable
from pathlib import Path

from platformdirs import PlatformDirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ritual_artifacts.errors import ArtifactError

_DIRS = PlatformDirs("ritual-artifacts", appauthor=False)


class Settings(BaseSettings):
    """What the environment can set.

    A default folder is looked up when it is asked for: in a container whose user has no home there is none,
    and much can be done without.

    Attributes:
        given_cache_dir: `RITUAL_CACHE_DIR`.
        given_store_dir: `RITUAL_STORE_DIR`.
        given_state_dir: `RITUAL_STATE_DIR`.
        max_workers: Threads for hashing and copying (`RITUAL_MAX_WORKERS`, default: one per core).
        retry_wait: Seconds before a failed request is repeated for the first time (`RITUAL_RETRY_WAIT`).
        hf_endpoint: Address of the Hugging Face Hub (`HF_ENDPOINT`).
        hub_offline: Ask no Hugging Face Hub; only complete copies on this machine will do
            (`HF_HUB_OFFLINE`, as `huggingface_hub` understands it).
        arweave_gateways: Addresses of gateways, with commas between them (`RITUAL_ARWEAVE_GATEWAYS`).
        wallet_path: The JWK file of an Arweave wallet (`ARWEAVE_WALLET_FILE_PATH`).
    """

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, extra="ignore")

    given_cache_dir: Path | None = Field(default=None, alias="RITUAL_CACHE_DIR")
    given_store_dir: Path | None = Field(default=None, alias="RITUAL_STORE_DIR")
    given_state_dir: Path | None = Field(default=None, alias="RITUAL_STATE_DIR")
    max_workers: int | None = Field(default=None, ge=1, le=1024, alias="RITUAL_MAX_WORKERS")
    retry_wait: float | None = Field(default=None, gt=0, le=60, alias="RITUAL_RETRY_WAIT")
    hf_endpoint: str | None = Field(default=None, alias="HF_ENDPOINT")
    hub_offline: bool = Field(default=False, alias="HF_HUB_OFFLINE")
    arweave_gateways: str | None = Field(default=None, alias="RITUAL_ARWEAVE_GATEWAYS")
    wallet_path: Path | None = Field(default=None, alias="ARWEAVE_WALLET_FILE_PATH")

    @field_validator("hub_offline", mode="before")
    @classmethod
    def _read_as_the_hubs_library_does(cls, value: object) -> bool:
        return str(value).upper() in {"1", "ON", "YES", "TRUE"}

    @field_validator("given_cache_dir", "given_store_dir", "given_state_dir")
    @classmethod
    def _make_absolute(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else value.expanduser().absolute()
        except RuntimeError as error:  # '~somebody' who has no home here
            raise ValueError(str(error)) from None

    @property
    def cache_dir(self) -> Path:
        """Downloaded artifacts; default `~/.cache/ritual`, where infernet-ml looks too.

        Raises:
            ArtifactError: it is not set, and this user has no home.
        """
        return self.given_cache_dir or _default("CACHE", lambda: Path.home() / ".cache" / "ritual")

    @property
    def store_dir(self) -> Path:
        """The embedded local store; default: the platform's user data folder.

        Raises:
            ArtifactError: it is not set, and this user has no home.
        """
        return self.given_store_dir or _default("STORE", lambda: _DIRS.user_data_path / "store")

    @property
    def state_dir(self) -> Path:
        """Locks; default: the platform's user state folder.

        Raises:
            ArtifactError: it is not set, and this user has no home.
        """
        return self.given_state_dir or _default("STATE", lambda: _DIRS.user_state_path)


def _default(name: str, find: Callable[[], Path]) -> Path:
    try:
        folder = find()
    except RuntimeError:  # there is neither $HOME nor an entry in the list of users
        folder = Path()
    if not folder.is_absolute():  # platformdirs then leaves the '~' in it
        message = f"this user has no home folder; set RITUAL_{name}_DIR to a folder"
        raise ArtifactError(message)
    return folder


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ArtifactError: a variable has a value that cannot be used; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        message = f"the environment has a setting that cannot be used: {problems}"
        raise ArtifactError(message) from None
