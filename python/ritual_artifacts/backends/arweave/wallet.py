"""An Arweave wallet: an RSA key of 4096 bits in a JWK file. Nothing here shows the private key."""

import hashlib
import json
import logging
import os
import stat
from pathlib import Path
from typing import Any, Final, Self

from ritual_artifacts.backends.arweave.encoding import decode, encode
from ritual_artifacts.core.hashing import make_folder, read_regular
from ritual_artifacts.errors import ArtifactError, WalletError

log = logging.getLogger(__name__)

RSA_BYTES: Final = 512
RSA_EXPONENT: Final = 65537

_MAX_FILE_BYTES: Final = 64 << 10
_PARTS: Final = ("n", "e", "d", "p", "q", "dp", "dq", "qi")
"""The parts of an RSA private key, as RFC 7518, section 6.3, names them."""
_HINT: Final = "expected a JSON Web Key of an RSA key with 4096 bits, as Arweave wallets export it"
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Wallet:
    """A key that signs transactions.

    Attributes:
        owner: The modulus of the key, 512 bytes, big-endian: the `owner` of a transaction.
        address: SHA-256 of the modulus, in base64url.
    """

    __slots__ = ("_signer", "address", "owner")

    def __init__(self, jwk: dict[str, Any], source: str) -> None:
        """Check a key.

        Args:
            jwk: The key.
            source: Where the key was read from, for messages.

        Raises:
            WalletError: it is not a private RSA key of 4096 bits.
        """
        _check(jwk, source)
        # Slow to import, and downloads do not need it.
        from arweave.arweave_lib import Wallet as Signer  # noqa: PLC0415

        try:
            self._signer = Signer.from_data({name: jwk[name] for name in ("kty", *_PARTS)})
        except Exception as error:  # noqa: BLE001 - its message may hold a part of the key
            kind = type(error).__name__
            message = f"the wallet {source} has a key that cannot be used ({kind}); {_HINT}"
            raise WalletError(message) from None
        self.owner: Final = decode(jwk["n"], "the key's modulus")
        self.address: Final = address_of(self.owner)

    def __repr__(self) -> str:
        """Name the wallet by its address alone."""
        return f"Wallet({self.address})"

    def __reduce__(self) -> tuple[Any, ...]:
        """Refuse to be pickled or copied."""
        message = "a wallet cannot be pickled: that would write its private key"
        raise WalletError(message)

    def sign(self, message: bytes) -> bytes:
        """Sign a message: RSA-PSS with SHA-256, 512 bytes."""
        signature: bytes = self._signer.sign(message)
        return signature

    @classmethod
    def load(cls, path: Path | str | None) -> Self:
        """Read a wallet from its file.

        Args:
            path: The JWK file; None: the user named none.

        Raises:
            WalletError: there is no wallet, it cannot be read, or it is not a key for Arweave.
        """
        place = _expand(path)
        try:
            data = read_regular(place, _MAX_FILE_BYTES + 1)
            mode = place.stat().st_mode
        except OSError as error:
            message = f"the wallet {place} cannot be read: {error.strerror}"
            raise WalletError(message) from None
        if data is None or len(data) > _MAX_FILE_BYTES:
            message = f"the wallet {place} is not a file of at most {_MAX_FILE_BYTES} bytes; {_HINT}"
            raise WalletError(message)
        if os.name != "nt" and mode & _OTHERS:
            log.warning("other users of this machine can read the wallet %s; run: chmod 600 %s", place, place)
        try:
            jwk = json.loads(data)
        except (ValueError, RecursionError):
            message = f"the wallet {place} is not valid JSON; {_HINT}"
            raise WalletError(message) from None
        return cls(jwk, str(place))

    @classmethod
    def create(cls, path: Path | str) -> Self:
        """Generate a key and write it to a new file that only the user can read.

        Raises:
            WalletError: the file exists; a wallet is never replaced.
        """
        from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key  # noqa: PLC0415

        place = Path(path).expanduser().absolute()
        make_folder(place.parent)
        try:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            message = f"{place} exists, and a wallet is never replaced; choose another file"
            raise WalletError(message) from None
        try:
            numbers = generate_private_key(RSA_EXPONENT, RSA_BYTES * 8).private_numbers()
            public = numbers.public_numbers
            parts = (
                public.n,
                public.e,
                numbers.d,
                numbers.p,
                numbers.q,
                numbers.dmp1,
                numbers.dmq1,
                numbers.iqmp,
            )
            values = [encode(part.to_bytes((part.bit_length() + 7) // 8)) for part in parts]
            jwk = {"kty": "RSA"} | dict(zip(_PARTS, values, strict=True))
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                json.dump(jwk, file)
                file.flush()
                os.fsync(file.fileno())
        except BaseException:
            place.unlink(missing_ok=True)
            raise
        return cls(jwk, str(place))


def _expand(path: Path | str | None) -> Path:
    if path is None:
        message = "no wallet was given; pass wallet_path=… (--wallet), or set ARWEAVE_WALLET_FILE_PATH"
        raise WalletError(message)
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError as error:  # '~name' of a user without a home folder
        raise WalletError(str(error)) from None


def address_of(owner: bytes) -> str:
    """Return the address of a key, given its modulus."""
    return encode(hashlib.sha256(owner).digest())


def _check(jwk: object, source: str) -> None:
    if not isinstance(jwk, dict) or jwk.get("kty") != "RSA":
        message = f"the wallet {source} is not an RSA key; {_HINT}"
        raise WalletError(message)
    if missing := [name for name in _PARTS if not isinstance(jwk.get(name), str)]:
        kind = "a public key, which cannot sign" if "d" in missing else "incomplete"
        message = f"the wallet {source} is {kind}: it lacks {', '.join(missing)}; {_HINT}"
        raise WalletError(message)
    try:
        sizes = {name: len(decode(jwk[name], name)) for name in _PARTS}
        exponent = int.from_bytes(decode(jwk["e"], "e"))
    except ArtifactError:  # its message repeats a part of the key
        message = f"a part of the wallet {source} is not base64url; {_HINT}"
        raise WalletError(message) from None
    if sizes["n"] != RSA_BYTES or exponent != RSA_EXPONENT:
        message = f"the wallet {source} has {sizes['n'] * 8} bits and the exponent {exponent}; {_HINT}"
        raise WalletError(message)
