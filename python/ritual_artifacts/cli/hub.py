"""Options of commands that the Hugging Face Hub alone understands; other storages refuse them.

There is no option for a token: every process on a machine can read the command lines of all others. It comes
from `HF_TOKEN` or the stored login (`hf auth login`).
"""

from typing import Annotated, Any

import typer

RevisionOption = Annotated[
    str | None,
    typer.Option("--revision", help="Hub: branch, tag, commit or refs/pr/N."),
]
RepoTypeOption = Annotated[str | None, typer.Option("--repo-type", help="model, dataset or space.")]
MessageOption = Annotated[str | None, typer.Option("--message", "-m", help="Hub: first line of the commit.")]
DescriptionOption = Annotated[
    str | None, typer.Option("--description", help="Hub: rest of the commit's message.")
]
PrivateOption = Annotated[
    bool | None,
    typer.Option("--private/--public", help="Hub: who sees a repository that has to be created."),
]
CreatePrOption = Annotated[bool, typer.Option("--create-pr", help="Hub: open a pull request.")]
TagOption = Annotated[str | None, typer.Option("--tag", help="Hub: name the commit.")]
DeleteOption = Annotated[
    list[str] | None,
    typer.Option("--delete", help="Hub: remove other files that match a pattern."),
]
LicenseOption = Annotated[str | None, typer.Option("--license", help="Hub: the card's licence.")]
BaseModelOption = Annotated[
    list[str] | None, typer.Option("--base-model", help="Hub: the card's base model.")
]
PipelineTagOption = Annotated[str | None, typer.Option("--pipeline-tag", help="Hub: the card's task.")]
CardOption = Annotated[bool, typer.Option("--card/--no-card", help="Hub: write a card where there is none.")]


def given(**options: Any) -> dict[str, Any]:  # noqa: ANN401 - each option has a type of its own
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}
