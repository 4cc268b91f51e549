"""The reference page of the options is made from the option models, as the checks and `--help` are."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_reference_page_of_the_options_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("options_page", ROOT / ".ci" / "options_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    page = (ROOT / "docs" / "reference" / "options.md").read_text(encoding="utf-8")

    assert page == module.render(), "run: python .ci/options_page.py > docs/reference/options.md"
