"""Generation and verification of proofs, with circuits whose files are verified first."""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from ritual_artifacts.errors import CircuitError
from ritual_artifacts.ezkl.artifact import EZKLArtifact
from ritual_artifacts.ezkl.files import AnyArtifact, check_files, fetch, fetch_for_verifying, require_all
from ritual_artifacts.ezkl.inputs import flatten, lay_out
from ritual_artifacts.ezkl.process import Cancel, Step, StepFailed, require_ezkl, run_in_thread, run_steps
from ritual_artifacts.ezkl.proof import EZKLProof, check_shape, find_contradiction, keep, read_json
from ritual_artifacts.ezkl.srs import INSECURE_SRS_NAME
from ritual_artifacts.manager import RitualArtifactManager
from ritual_artifacts.repo_id import RitualRepoId
from ritual_artifacts.secret import hide

log = logging.getLogger(__name__)

Files = TypeVar("Files", bound=EZKLArtifact)
AnyFiles = TypeVar("AnyFiles", bound=AnyArtifact)

_REFUSED: Final = "[halo2]"
"""Prefix of ezkl's errors about an invalid proof; all other errors are about the files."""


def prove(
    circuit: EZKLArtifact | RitualArtifactManager[Files],
    inputs: Any,  # noqa: ANN401 - arrays of any library
    *,
    proof_directory: Path | None = None,
) -> EZKLProof:
    """Run the model on inputs, and prove the computation.

    The artifact's files are verified first, and the proof is verified before it is returned.

    Args:
        circuit: A manager, as returned by `from_repo` and `from_dir`, or its artifact. If an artifact's
            folder has no manifest for it, its files cannot be verified, and are used as they are.
        inputs: Numbers for a model with one input: an array of NumPy or PyTorch, nested lists, or a
            dictionary with one of these; for a model with more inputs a list of these, in its order.
        proof_directory: Keep proof and witness in a new folder below this one. The witness has every value
            of the computation, including the private ones. By default, no file is kept.

    Raises:
        IntegrityError: a file differs from the manifest; nothing was computed.
        CircuitError: the inputs do not fit the model, or the files do not belong together.
        ArtifactError: ezkl is not installed.
        OSError: a file cannot be read.
    """
    require_ezkl()
    return _prove(require_all(check_files(circuit)), inputs, directory=proof_directory)


def verify(
    circuit: AnyArtifact | RitualArtifactManager[AnyFiles],
    proof: EZKLProof | Mapping[str, Any] | Path | str,
) -> bool:
    """Return whether a proof is valid for this circuit, and its readable values are what it proves.

    The artifact's files are verified first. The proof is untrusted: it is verified with the circuit's key,
    and refused if its readable values differ from the proven ones.

    Args:
        circuit: A manager, as returned by `from_repo` and `from_dir`, or its artifact; see `prove`. An
            `EZKLVerifierArtifact` is enough.
        proof: The proof, as returned by `prove`, in ezkl's format, as a JSON string, or the path of a file
            with it. A string that begins with `{` is parsed as JSON.

    Raises:
        IntegrityError: a file of the circuit differs from the manifest.
        CircuitError: this is not a proof, or ezkl cannot read the circuit.
        ArtifactError: ezkl is not installed.
        OSError: a file cannot be read.
    """
    require_ezkl()
    return _verify(check_files(circuit), _read_proof(proof))


# --- infernet-ml's names -----------------------------------------------------------------------------------


async def generate_proof(
    artifact_files: EZKLArtifact | RitualArtifactManager[Files],
    input_data: Any,  # noqa: ANN401 - arrays of any library
    output_data: Any = None,  # noqa: ANN401 - the same
    prover_key: bytes | None = None,
    proof_directory: Path | None = None,
) -> EZKLProof:
    """Generate a proof like `prove`, without blocking the event loop.

    Args:
        artifact_files: The circuit; see `prove`.
        input_data: The inputs; see `prove`.
        output_data: Outputs to pass to ezkl with the inputs.
        prover_key: A proving key to use instead of the artifact's.
        proof_directory: See `prove`.

    Raises:
        IntegrityError: see `prove`, which lists the other errors too.
    """

    def job(cancel: Cancel) -> EZKLProof:
        require_ezkl()
        return _prove(
            require_all(check_files(artifact_files)),
            input_data,
            outputs=output_data,
            proving_key=prover_key,
            directory=proof_directory,
            cancel=cancel,
        )

    return await run_in_thread(job)


async def generate_proof_from_repo_id(
    repo_id: str | RitualRepoId,
    input_vector: Any,  # noqa: ANN401 - arrays of any library
    hf_token: str | None = None,
    *,
    expected_digest: str | None = None,
) -> EZKLProof:
    """Download and verify a circuit, and generate a proof with it; see `prove`.

    Args:
        repo_id: `{storage}/{owner}/{name}[/{version}]`.
        input_vector: The inputs; see `prove`.
        hf_token: Token for Hugging Face.
        expected_digest: Accept only the circuit with this digest.

    Raises:
        IntegrityError: a file differs from the manifest.
        BackendError: the storage is not available or failed.
        CircuitError: see `prove`.
    """
    hf_token = hide("hf_token", hf_token)

    def job(cancel: Cancel) -> EZKLProof:
        circuit = fetch(repo_id, hf_token, expected_digest)
        return _prove(circuit, input_vector, cancel=cancel)

    return await run_in_thread(job)


async def verify_proof(
    proof: EZKLProof, artifact_files: AnyArtifact | RitualArtifactManager[AnyFiles]
) -> bool:
    """Verify a proof like `verify`, without blocking the event loop.

    A proof with a verifying key that differs from the circuit's is not valid for this circuit.

    Args:
        proof: The proof; see `verify`.
        artifact_files: The circuit; see `verify`.

    Raises:
        IntegrityError: see `verify`, which lists the other errors too.
    """

    def job(cancel: Cancel) -> bool:
        require_ezkl()
        return _verify(check_files(artifact_files), _read_proof(proof), cancel)

    return await run_in_thread(job)


async def verify_proof_from_repo(
    proof_dict: EZKLProof | Mapping[str, Any] | Path | str,
    repo_id: str | RitualRepoId,
    hf_token: str | None = None,
    *,
    expected_digest: str | None = None,
) -> bool:
    """Return whether a proof is valid for a repository's circuit, and download what this needs.

    Only the files of `VERIFIER_FIELDS` are downloaded, without the proving key. If the manifest is in
    infernet-ml's format and `expected_digest` is given, all files are downloaded, because only the whole
    artifact has a digest. If the id is pinned, a complete copy in the cache is used instead. Offline mode
    needs such a copy.

    Unless `expected_digest` is given, everyone who can publish to the repository decides what is proven.

    Args:
        proof_dict: The proof; see `verify`.
        repo_id: `{storage}/{owner}/{name}[/{version}]`.
        hf_token: Token for Hugging Face.
        expected_digest: Accept only the circuit with this digest.

    Raises:
        IntegrityError: a file differs from the manifest.
        BackendError: the storage is not available or failed.
        CircuitError: see `verify`.
    """
    hf_token = hide("hf_token", hf_token)

    def job(cancel: Cancel) -> bool:
        require_ezkl()
        proof = _read_proof(proof_dict)
        return _verify(fetch_for_verifying(repo_id, hf_token, expected_digest), proof, cancel)

    return await run_in_thread(job)


# --- arguments ---------------------------------------------------------------------------------------------


def _read_settings(artifact: AnyArtifact) -> dict[str, Any]:
    settings = read_json(artifact.settings_path, "the circuit's settings")
    expected = {"input_types": list, "model_input_scales": list, "model_output_scales": list}
    for name, kind in expected.items():
        if not isinstance(settings.get(name), kind):
            message = (
                f"{artifact.settings_path} has no list {name!r}: the circuit was generated with ezkl "
                f"{settings.get('version')}, but ezkl {require_ezkl()} is installed; generate it again"
            )
            raise CircuitError(message)
    return settings


def _read_proof(proof: EZKLProof | Mapping[str, Any] | Path | str) -> EZKLProof:
    if isinstance(proof, EZKLProof):
        check_shape(proof.ezkl_proof)
        return proof
    value: object = proof
    if isinstance(proof, Path | str):
        is_json = isinstance(proof, str) and proof.lstrip().startswith("{")
        value = read_json(proof if is_json else Path(proof), "the proof")
    return EZKLProof(ezkl_proof=check_shape(value), witness={})


def _explain(error: StepFailed, settings: Mapping[str, Any]) -> str:
    used, installed = settings.get("version"), require_ezkl()
    if used == installed:
        return str(error)
    return f"{error} (the circuit was generated with ezkl {used}, but ezkl {installed} is installed)"


# --- ezkl's steps ------------------------------------------------------------------------------------------


def _prove(
    artifact: EZKLArtifact,
    inputs: Any,  # noqa: ANN401 - arrays of any library
    *,
    outputs: Any = None,  # noqa: ANN401 - the same
    proving_key: bytes | None = None,
    directory: Path | None = None,
    cancel: Cancel | None = None,
) -> EZKLProof:
    settings = _read_settings(artifact)
    data: dict[str, Any] = {"input_data": lay_out(inputs, settings)}
    if outputs is not None:
        data["output_data"] = [list(flatten(outputs))]
    with tempfile.TemporaryDirectory(prefix="ritual-proof-", ignore_cleanup_errors=True) as folder:
        proof_path, witness_path = Path(folder, "proof.json"), Path(folder, "witness.json")
        data_path, key_path = Path(folder, "data.json"), artifact.prover_key_path
        data_path.write_text(json.dumps(data), encoding="utf-8")
        if proving_key is not None:
            key_path = Path(folder, "key")
            key_path.write_bytes(proving_key)
        try:
            run_steps(
                [
                    _witness_step(artifact, settings, data_path, witness_path),
                    (
                        "prove",
                        {
                            "witness": str(witness_path),
                            "model": str(artifact.compiled_model_path),
                            "pk_path": str(key_path),
                            "proof_path": str(proof_path),
                            "srs_path": str(artifact.srs_path),
                        },
                    ),
                    _verify_step(artifact, proof_path),
                ],
                cancel,
            )
        except StepFailed as error:
            message = f"proving with {artifact.compiled_model_path} failed: {_explain(error, settings)}"
            if error.call == "verify":
                message += "; the proving key, the SRS and the verifying key do not belong together"
            raise CircuitError(message) from None
        proof = check_shape(read_json(proof_path, "the proof"))
        witness = read_json(witness_path, "the witness")
    if contradiction := find_contradiction(proof, settings):
        message = f"ezkl {require_ezkl()} generated an inconsistent proof: {contradiction}"
        raise CircuitError(message)
    kept: Mapping[str, Path] = {}
    if directory is not None:
        kept = keep(directory, {"proof.json": proof, "witness.json": witness})
    return EZKLProof.of(
        proof,
        witness=witness,
        verify_key=artifact.verifier_key_path.read_bytes(),
        ezkl_proof_path=kept.get("proof.json"),
        witness_path=kept.get("witness.json"),
        settings_path=artifact.settings_path,
        vk_path=artifact.verifier_key_path,
    )


def _witness_step(
    artifact: EZKLArtifact, settings: Mapping[str, Any], data_path: Path, witness_path: Path
) -> Step:
    arguments = {
        "data": str(data_path),
        "model": str(artifact.compiled_model_path),
        "output": str(witness_path),
    }
    if settings.get("module_sizes", {}).get("polycommit"):  # polynomial commitments need both
        arguments |= {"vk_path": str(artifact.verifier_key_path), "srs_path": str(artifact.srs_path)}
    return "gen_witness", arguments


def _verify_step(artifact: AnyArtifact, proof_path: Path) -> Step:
    return (
        "verify",
        {
            "proof_path": str(proof_path),
            "settings_path": str(artifact.settings_path),
            "vk_path": str(artifact.verifier_key_path),
            "srs_path": str(artifact.srs_path),
        },
    )


def _verify(artifact: AnyArtifact, proof: EZKLProof, cancel: Cancel | None = None) -> bool:
    if artifact.srs_path.name == INSECURE_SRS_NAME:
        log.warning(
            "the creator of the SRS of %s can forge proofs: use it for tests only", artifact.settings_path
        )
    settings = _read_settings(artifact)
    if proof.verify_key is not None and proof.verify_key != artifact.verifier_key_path.read_bytes():
        log.warning("proof refused: its verifying key differs from the circuit's")
        return False
    if contradiction := find_contradiction(proof.ezkl_proof, settings):
        log.warning("proof refused: %s", contradiction)
        return False
    with tempfile.TemporaryDirectory(prefix="ritual-proof-", ignore_cleanup_errors=True) as folder:
        path = Path(folder, "proof.json")
        path.write_text(json.dumps(proof.ezkl_proof), encoding="utf-8")
        try:
            (holds,) = run_steps([_verify_step(artifact, path)], cancel)
        except StepFailed as error:
            if _REFUSED in error.reason:
                log.warning("proof refused: %s", error.reason)
                return False
            message = (
                f"the proof cannot be verified with {artifact.settings_path}: {_explain(error, settings)}"
            )
            raise CircuitError(message) from None
    return holds is True
