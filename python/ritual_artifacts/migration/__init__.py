"""Migration: projects that import infernet-ml 2.0.0 import this package instead.

`table` says where each of its names is here, `rewriting` changes one source text, `project` finds the sources
of a project and writes them. Needs the extra `migrate`.
"""
