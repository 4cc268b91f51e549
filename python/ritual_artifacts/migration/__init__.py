"""Migration of projects from infernet-ml 2.0.0 to this package.

`table` maps each of its names to the name here, `survey` decides what changes in one source file, `rewriting`
makes these changes, and `project` finds and writes the files of a project. Needs the extra `migrate`.
"""
