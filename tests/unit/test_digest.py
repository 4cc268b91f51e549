"""The digest of an artifact: one form, usable as text."""

import hashlib
import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritual_artifacts.artifact.digest import Digest
from ritual_artifacts.errors import ArtifactModelError

HEX = hashlib.sha256(b"").hexdigest()


@given(st.binary())
def test_a_digest_is_the_sha256_of_the_bytes_and_survives_every_form(data: bytes) -> None:
    digest = Digest.of(data)

    assert digest == f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert digest.hex == hashlib.sha256(data).hexdigest()
    assert Digest.from_hex(digest.hex) == Digest.parse(digest) == Digest.parse(digest.hex) == digest
    assert pickle.loads(pickle.dumps(digest)) == digest  # noqa: S301 - our own bytes


def test_a_digest_is_text() -> None:
    digest = Digest.of(b"")

    assert json.dumps(digest) == f'"sha256:{HEX}"'
    assert f"{digest}" == f"sha256:{HEX}"
    assert f"sha256:{HEX}" in {str(digest), ""}
    assert hash(digest) == hash(f"sha256:{HEX}")


@pytest.mark.parametrize(
    "given_digest",
    [
        "",
        "v1",
        "sha256:",
        HEX[:-1],
        HEX + "0",
        HEX.upper(),
        f"SHA256:{HEX}",
        f"sha512:{HEX}",
        f"sha256:sha256:{HEX}",
        f" {HEX}",
        f"{HEX}\n",
        "g" * 64,
        "\uff10" * 64,
        None,
        5,
        HEX.encode(),
    ],
)
def test_anything_else_is_refused_with_the_name_of_the_argument(given_digest: Any) -> None:
    with pytest.raises(ArtifactModelError, match=r"^expected_digest must be 'sha256:' and 64"):
        Digest.parse(given_digest)
    with pytest.raises(ArtifactModelError, match=r"^--digest must be"):
        Digest.parse(given_digest, "--digest")
