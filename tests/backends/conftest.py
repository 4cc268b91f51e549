"""What the tests of all backends share."""

import pytest

pytest.register_assert_rewrite("ritual_artifacts.testing")  # failures of its tests say more
