"""Conversion between typed artifacts and manifest fields, in both directions. Reads no file.

`describe` turns a model into JSON in which every file is a `FileRef`. `rebuild` turns such JSON, with file
names in place of the references, into an equal model. The type alone decides which values are files: see
`shapes`.
"""

from ritual_artifacts.artifact.introspection.comparison import find_changes, find_contradiction
from ritual_artifacts.artifact.introspection.description import describe
from ritual_artifacts.artifact.introspection.explanation import explain
from ritual_artifacts.artifact.introspection.nodes import FileRef, Node, file_refs, fill
from ritual_artifacts.artifact.introspection.reconstruction import file_names, rebuild, replace_paths
from ritual_artifacts.artifact.introspection.requirements import RESERVED_FIELDS, check_model
from ritual_artifacts.artifact.introspection.schemas import has_own_code

__all__ = [
    "RESERVED_FIELDS",
    "FileRef",
    "Node",
    "check_model",
    "describe",
    "explain",
    "file_names",
    "file_refs",
    "fill",
    "find_changes",
    "find_contradiction",
    "has_own_code",
    "rebuild",
    "replace_paths",
]
