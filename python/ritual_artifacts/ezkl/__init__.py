"""Zero-knowledge circuits with ezkl: generated from ONNX models, published, verified and used for proofs.

The artifact class, `EZKLArtifact`, has no extra dependencies. Everything that computes needs the extra
`ezkl`.
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
