"""What an upload to the Hub returns."""

from dataclasses import dataclass

from huggingface_hub import CommitInfo
from pydantic import JsonValue

from ritual_artifacts.backends.base import UploadResult


@dataclass(frozen=True)
class HuggingFaceUploadResult(UploadResult):
    """Where an artifact went, and the commit that holds it.

    It has the attributes of a `CommitInfo`, which infernet-ml returns: `oid`, `commit_url`, `pr_url` and
    others.

    Attributes:
        commit_info: The commit, as `huggingface_hub` describes it.
    """

    commit_info: CommitInfo

    def details(self) -> dict[str, JsonValue]:
        """Return the addresses of the commit and its pull request, as JSON."""
        return {"commit_url": self.commit_url, "pr_url": self.pr_url}

    @property
    def oid(self) -> str:
        """The commit."""
        return self.commit_info.oid

    @property
    def commit_url(self) -> str:
        """Address of the commit's page."""
        return self.commit_info.commit_url

    @property
    def commit_message(self) -> str:
        """The first line of the commit message."""
        return self.commit_info.commit_message

    @property
    def commit_description(self) -> str:
        """The rest of the commit message."""
        return self.commit_info.commit_description

    @property
    def pr_url(self) -> str | None:
        """Address of the pull request's page, if one was opened."""
        return self.commit_info.pr_url

    @property
    def pr_revision(self) -> str | None:
        """The pull request's revision, such as `refs/pr/1`."""
        return self.commit_info.pr_revision

    @property
    def pr_num(self) -> int | None:
        """The pull request's number."""
        return self.commit_info.pr_num

    def __str__(self) -> str:
        """Return the commit's address, as a `CommitInfo` does."""
        return self.commit_info.commit_url
