"""Settings from environment variables.

An argument of a call takes precedence over the environment, and the environment over the default. An empty
variable counts as unset. Importing the package reads nothing; each call of `load_settings` reads the
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
    """The settings of this package.

    A default folder is determined only when it is needed: a container's user without a home folder has none,
    and many calls need none.

    Attributes:
        given_cache_dir: `RITUAL_CACHE_DIR`.
        given_store_dir: `RITUAL_STORE_DIR`.
        given_state_dir: `RITUAL_STATE_DIR`.
        max_workers: Threads for hashing and copying (`RITUAL_MAX_WORKERS`, default: one per core).
        retry_wait: Seconds before the first retry of a failed request (`RITUAL_RETRY_WAIT`).
        hf_endpoint: URL of the Hugging Face Hub (`HF_ENDPOINT`).
        hub_offline: Send no requests to the Hugging Face Hub, and use only complete copies on this machine
            (`HF_HUB_OFFLINE`, parsed as in `huggingface_hub`).
        arweave_gateways: URLs of gateways, separated by commas (`RITUAL_ARWEAVE_GATEWAYS`).
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
    def _parse_hub_offline(cls, value: object) -> bool:
        return str(value).upper() in {"1", "ON", "YES", "TRUE"}

    @field_validator("given_cache_dir", "given_store_dir", "given_state_dir")
    @classmethod
    def _make_absolute(cls, value: Path | None) -> Path | None:
        try:
            return None if value is None else value.expanduser().absolute()
        except RuntimeError as error:  # '~user' of an unknown user
            raise ValueError(str(error)) from None

    @property
    def cache_dir(self) -> Path:
        """The folder of downloaded artifacts; default `~/.cache/ritual`, which infernet-ml uses too.

        Raises:
            ArtifactError: it is not set, and this user has no home folder.
        """
        return self.given_cache_dir or _find_default("CACHE", lambda: Path.home() / ".cache" / "ritual")

    @property
    def store_dir(self) -> Path:
        """The folder of the local store; default: `store` in the platform's user data folder.

        Raises:
            ArtifactError: it is not set, and this user has no home folder.
        """
        return self.given_store_dir or _find_default("STORE", lambda: _DIRS.user_data_path / "store")

    @property
    def state_dir(self) -> Path:
        """The folder of journals and locks; default: the platform's user state folder.

        Raises:
            ArtifactError: it is not set, and this user has no home folder.
        """
        return self.given_state_dir or _find_default("STATE", lambda: _DIRS.user_state_path)


def _find_default(name: str, find: Callable[[], Path]) -> Path:
    try:
        folder = find()
    except RuntimeError:  # neither $HOME nor the user database has one
        folder = Path()
    if not folder.is_absolute():  # without a home folder, platformdirs keeps the '~'
        message = f"this user has no home folder; set RITUAL_{name}_DIR to a folder"
        raise ArtifactError(message)
    return folder


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ArtifactError: a variable has an invalid value; the message names the variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{e['loc'][0]}: {e['msg']}" for e in error.errors())
        message = f"invalid setting in the environment: {problems}"
        raise ArtifactError(message) from None
