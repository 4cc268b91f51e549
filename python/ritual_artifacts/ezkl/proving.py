"""Proofs with a circuit whose files were verified first, and the verification of such proofs."""

import json
import logging
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from ritual_artifacts.errors import CircuitError
from ritual_artifacts.ezkl.artifact import EZKLArtifact
from ritual_artifacts.ezkl.files import AnyArtifact, check_files, fetch, fetch_for_verifying, require_all
from ritual_artifacts.ezkl.inputs import flatten, lay_out
from ritual_artifacts.ezkl.process import Step, StepFailed, require_ezkl, run_in_thread, run_steps
from ritual_artifacts.ezkl.proof import EZKLProof, check_shape, find_contradiction, keep, read_json
from ritual_artifacts.ezkl.srs import INSECURE_SRS_NAME
from ritual_artifacts.manager import RitualArtifactManager
from ritual_artifacts.repo_id import RitualRepoId

log = logging.getLogger(__name__)

Files = TypeVar("Files", bound=EZKLArtifact)
AnyFiles = TypeVar("AnyFiles", bound=AnyArtifact)

_REFUSED: Final = "[halo2]"
"""How ezkl's errors begin that say that a proof is none; all others are about the files."""


def prove(
    circuit: EZKLArtifact | RitualArtifactManager[Files],
    inputs: Any,  # noqa: ANN401 - arrays of any library
    *,
    proof_directory: Path | None = None,
) -> EZKLProof:
    """Compute the model on inputs, and prove it.

    The artifact's files are verified first, and the proof is verified before it is returned.

    Args:
        circuit: A manager, as `from_repo` and `from_dir` return it, or its artifact. An artifact whose folder
            has no manifest for it is taken as it is, because nothing says what its files must be.
        inputs: Numbers for a model with one input: an array of NumPy or PyTorch, nested lists, or a
            dictionary with one of these; for a model with more inputs a list of these, in its order.
        proof_directory: Keep proof and witness in a new folder below this one. The witness has every value
            of the computation, also the private ones; by default, no file is kept.

    Raises:
        IntegrityError: a file is not what the manifest promises; nothing was computed.
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
    """Say whether a proof is one of this circuit, and shows what it proves.

    The artifact's files are verified first. Of the proof nothing is trusted: the key that counts is the
    circuit's, and a proof whose readable values are not those that it proves is refused.

    Args:
        circuit: A manager, as `from_repo` and `from_dir` return it, or its artifact; see `prove`. An
            `EZKLVerifierArtifact` is enough.
        proof: The proof, as `prove` returned it, as ezkl writes it, as JSON text, or the path of a file with
            that; a text that begins with `{` is JSON.

    Raises:
        IntegrityError: a file of the circuit is not what the manifest promises.
        CircuitError: this is no proof at all, or ezkl cannot read the circuit.
        ArtifactError: ezkl is not installed.
        OSError: a file cannot be read.
    """
    require_ezkl()
    return _verify(check_files(circuit), _read_proof(proof))


# --- the names of infernet-ml ------------------------------------------------------------------------------


async def generate_proof(
    artifact_files: EZKLArtifact | RitualArtifactManager[Files],
    input_data: Any,  # noqa: ANN401 - arrays of any library
    output_data: Any = None,  # noqa: ANN401 - the same
    prover_key: bytes | None = None,
    proof_directory: Path | None = None,
) -> EZKLProof:
    """Do what `prove` does, without holding up the event loop.

    Args:
        artifact_files: The circuit; see `prove`.
        input_data: The inputs; see `prove`.
        output_data: Outputs to name to ezkl beside the inputs.
        prover_key: A proving key to use instead of the artifact's.
        proof_directory: See `prove`.

    Raises:
        IntegrityError: see `prove`; and the rest of it.
    """

    def job(cancel: threading.Event) -> EZKLProof:
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
    """Bring a circuit from a repository, verified, and prove with it; see `prove`.

    Args:
        repo_id: `{storage}/{owner}/{name}[/{version}]`.
        input_vector: The inputs; see `prove`.
        hf_token: Token for Hugging Face.
        expected_digest: Accept only the circuit with this digest.

    Raises:
        IntegrityError: a file is not what the manifest promises.
        BackendError: the storage is not available or failed.
        CircuitError: see `prove`.
    """

    def job(cancel: threading.Event) -> EZKLProof:
        circuit = fetch(repo_id, hf_token, expected_digest)
        return _prove(circuit, input_vector, cancel=cancel)

    return await run_in_thread(job)


async def verify_proof(
    proof: EZKLProof, artifact_files: AnyArtifact | RitualArtifactManager[AnyFiles]
) -> bool:
    """Do what `verify` does, without holding up the event loop.

    A proof that comes with another verifying key than the circuit's is not one of this circuit.

    Raises:
        IntegrityError: see `verify`; and the rest of it.
    """

    def job(cancel: threading.Event) -> bool:
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
    """Bring what verifying needs from a repository, and say whether a proof is one of its circuit.

    Only the files of `VERIFIER_FIELDS` are fetched, and the proving key is not among them; but all where the
    manifest is infernet-ml's and `expected_digest` is given, because that shows in the whole only. A whole
    copy in the cache will do where the id is pinned, and must be there in offline mode.

    Whoever can publish to the repository decides what is proven, unless `expected_digest` does.

    Args:
        proof_dict: The proof; see `verify`.
        repo_id: `{storage}/{owner}/{name}[/{version}]`.
        hf_token: Token for Hugging Face.
        expected_digest: Accept only the circuit with this digest.

    Raises:
        IntegrityError: a file is not what the manifest promises.
        BackendError: the storage is not available or failed.
        CircuitError: see `verify`.
    """

    def job(cancel: threading.Event) -> bool:
        require_ezkl()
        proof = _read_proof(proof_dict)
        return _verify(fetch_for_verifying(repo_id, hf_token, expected_digest), proof, cancel)

    return await run_in_thread(job)


# --- what is given -----------------------------------------------------------------------------------------


def _read_settings(artifact: AnyArtifact) -> dict[str, Any]:
    settings = read_json(artifact.settings_path, "the circuit's settings")
    expected = {"input_types": list, "model_input_scales": list, "model_output_scales": list}
    for name, kind in expected.items():
        if not isinstance(settings.get(name), kind):
            message = (
                f"{artifact.settings_path} has no list {name!r}: the circuit was made with ezkl "
                f"{settings.get('version')}, and this is {require_ezkl()}; generate it anew"
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
    made, here = settings.get("version"), require_ezkl()
    hint = "" if made == here else f" (the circuit was made with ezkl {made}, and this is {here})"
    return f"{error}{hint}"


# --- the work ----------------------------------------------------------------------------------------------


def _prove(
    artifact: EZKLArtifact,
    inputs: Any,  # noqa: ANN401 - arrays of any library
    *,
    outputs: Any = None,  # noqa: ANN401 - the same
    proving_key: bytes | None = None,
    directory: Path | None = None,
    cancel: threading.Event | None = None,
) -> EZKLProof:
    settings = _read_settings(artifact)
    data: dict[str, Any] = {"input_data": lay_out(inputs, settings)}
    if outputs is not None:
        data["output_data"] = [list(flatten(outputs))]
    with tempfile.TemporaryDirectory(prefix="ritual-proof-", ignore_cleanup_errors=True) as room:
        proof_path, witness_path = Path(room, "proof.json"), Path(room, "witness.json")
        data_path, key_path = Path(room, "data.json"), artifact.prover_key_path
        data_path.write_text(json.dumps(data), encoding="utf-8")
        if proving_key is not None:
            key_path = Path(room, "key")
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
            message = (
                f"no proof could be made with {artifact.compiled_model_path}: {_explain(error, settings)}"
            )
            if error.call == "verify":
                message += "; the proving key, the SRS and the verifying key do not belong together"
            raise CircuitError(message) from None
        proof = check_shape(read_json(proof_path, "the proof"))
        witness = read_json(witness_path, "the witness")
    if contradiction := find_contradiction(proof, settings):
        message = f"ezkl {require_ezkl()} made a proof that is not to be trusted: {contradiction}"
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
    if settings.get("module_sizes", {}).get("polycommit"):  # it commits to values with them
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


def _verify(artifact: AnyArtifact, proof: EZKLProof, cancel: threading.Event | None = None) -> bool:
    if artifact.srs_path.name == INSECURE_SRS_NAME:
        log.warning(
            "whoever generated the SRS of %s can forge proofs: it is for tests", artifact.settings_path
        )
    settings = _read_settings(artifact)
    if proof.verify_key is not None and proof.verify_key != artifact.verifier_key_path.read_bytes():
        log.warning("proof refused: it comes with another verifying key than the circuit's")
        return False
    if contradiction := find_contradiction(proof.ezkl_proof, settings):
        log.warning("proof refused: %s", contradiction)
        return False
    with tempfile.TemporaryDirectory(prefix="ritual-proof-", ignore_cleanup_errors=True) as room:
        path = Path(room, "proof.json")
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
