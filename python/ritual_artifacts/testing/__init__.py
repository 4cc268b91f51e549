"""The contract suite for backends: tests that a storage of any package inherits and must pass.

Only this package imports pytest, which `ritual-artifacts` does not depend on. Subclass
`ImmutableVersionsContract`, or `BackendContract` where a version label can move, in a test file of your own::

    class TestShelf(ImmutableVersionsContract):
        storage_name = "shelf"

        @pytest.fixture
        def options(self, tmp_path):
            return {"folder": tmp_path / "shelf"}

        def raw_read(self, repo_id, name): ...

        def damage(self, repo_id, names): ...

The storage must be registered under `storage_name` by the entry point of an installed package. Each test
gets new `options`, which must lead to an empty storage. Where your storage keeps a promise in another way,
override that test method. `pytest.register_assert_rewrite("ritual_artifacts.testing")` in your `conftest.py`
makes failures say more.
"""

from ritual_artifacts.testing.contract import BackendContract, ImmutableVersionsContract
from ritual_artifacts.testing.harness import Sample

__all__ = ["BackendContract", "ImmutableVersionsContract", "Sample"]
