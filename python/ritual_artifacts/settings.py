"""Settings from the environment.

An argument of a call wins over the environment, the environment over the default; an empty variable counts as
one that is not set. Nothing is read when the package is imported: each call of `load_settings` looks at the
environment again.
"""

from pathlib import Path

from platformdirs import PlatformDirs
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ritual_artifacts.errors import ArtifactError

_DIRS = PlatformDirs("ritual-artifacts", appauthor=False)


class Settings(BaseSettings):
    """What the environment can set, each variable with the prefix `RITUAL_`.

    Attributes:
        cache_dir: Downloaded artifacts (`RITUAL_CACHE_DIR`, default `~/.cache/ritual`, where infernet-ml
            looks too).
        store_dir: The embedded local store (`RITUAL_STORE_DIR`, default: the platform's user data folder).
        state_dir: Locks and journals (`RITUAL_STATE_DIR`, default: the platform's user state folder).
        max_workers: Threads for hashing and copying (`RITUAL_MAX_WORKERS`, default: one per core).
        hub_offline: Ask no Hugging Face Hub; only complete copies on this machine will do
            (`HF_HUB_OFFLINE`, as `huggingface_hub` understands it).
    """

    model_config = SettingsConfigDict(
        env_prefix="RITUAL_", env_ignore_empty=True, frozen=True, extra="ignore"
    )

    cache_dir: Path = Field(default_factory=lambda: Path.home() / ".cache" / "ritual")
    store_dir: Path = Field(default_factory=lambda: _DIRS.user_data_path / "store")
    state_dir: Path = Field(default_factory=lambda: _DIRS.user_state_path)
    max_workers: int | None = Field(default=None, ge=1, le=1024)
    hub_offline: bool = Field(default=False, validation_alias="HF_HUB_OFFLINE")

    @field_validator("hub_offline", mode="before")
    @classmethod
    def _read_as_the_hubs_library_does(cls, value: object) -> bool:
        return str(value).upper() in {"1", "ON", "YES", "TRUE"}

    @field_validator("cache_dir", "store_dir", "state_dir")
    @classmethod
    def _make_absolute(cls, value: Path) -> Path:
        try:
            return value.expanduser().absolute()
        except RuntimeError as error:  # '~somebody' who has no home here
            raise ValueError(str(error)) from None


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        ArtifactError: a variable has a value that cannot be used; the message names it.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"RITUAL_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        message = f"the environment has a setting that cannot be used: {problems}"
        raise ArtifactError(message) from None
