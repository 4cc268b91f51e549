"""Zero-knowledge circuits of ezkl: made from an ONNX model, published, verified, and proven with.

The model of the files, `EZKLArtifact`, needs nothing; whatever computes needs the extra `ezkl`.
"""

from ritual_artifacts.ezkl.artifact import (
    VERIFIER_FIELDS,
    ArtifactGenerationArgs,
    EZKLArtifact,
    EZKLVerifierArtifact,
)
from ritual_artifacts.ezkl.generation import generate_ezkl_artifacts
from ritual_artifacts.ezkl.proof import EZKLProof
from ritual_artifacts.ezkl.proving import (
    generate_proof,
    generate_proof_from_repo_id,
    prove,
    verify,
    verify_proof,
    verify_proof_from_repo,
)

__all__ = [
    "VERIFIER_FIELDS",
    "ArtifactGenerationArgs",
    "EZKLArtifact",
    "EZKLProof",
    "EZKLVerifierArtifact",
    "generate_ezkl_artifacts",
    "generate_proof",
    "generate_proof_from_repo_id",
    "prove",
    "verify",
    "verify_proof",
    "verify_proof_from_repo",
]
