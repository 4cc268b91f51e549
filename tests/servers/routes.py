"""Which path of which origin is which request of the protocol. Whatever is not here is a violation."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.servers import api, commits, files
from tests.servers.replies import Call, Reply

if TYPE_CHECKING:
    from tests.servers.hub import Hub

Handler = Callable[["Hub", Call, dict[str, str]], Reply]

REPO = r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+)"
API_REPO = rf"/api/(?P<kind>models|datasets|spaces)/{REPO}"
CACHED_REPO = rf"/api/resolve-cache/(?P<kind>\w+)/{REPO}"
WEB_REPO = rf"/(?:(?P<kind>datasets|spaces)/)?{REPO}"
REVISION = r"(?P<revision>[^/]+)"
"""Percent-encoded: a slash of a branch name is `%2F`."""


@dataclass(frozen=True)
class Route:
    """A request of the protocol, with the groups of its path decoded."""

    kind: str
    handler: Handler
    groups: dict[str, str]

    def handle(self, hub: "Hub", call: Call) -> Reply:
        return self.handler(hub, call, self.groups)


TABLE: tuple[tuple[str, str, str, str, Handler], ...] = (
    ("whoami", "hub", "GET", r"/api/whoami-v2", api.whoami),
    ("agent-harnesses", "hub", "GET", r"/api/agent-harnesses", api.list_agent_harnesses),
    ("create", "hub", "POST", r"/api/repos/create", api.create_repo),
    ("delete", "hub", "DELETE", r"/api/repos/delete", api.delete_repo),
    ("validate-yaml", "hub", "POST", r"/api/validate-yaml", api.validate_yaml),
    ("preupload", "hub", "POST", rf"{API_REPO}/preupload/{REVISION}", commits.preupload),
    ("commit", "hub", "POST", rf"{API_REPO}/commit/{REVISION}", commits.commit),
    ("commits", "hub", "GET", rf"{API_REPO}/commits/{REVISION}", commits.list_commits),
    ("info", "hub", "GET", rf"{API_REPO}(?:/revision/{REVISION})?", api.info),
    ("tree", "hub", "GET", rf"{API_REPO}/tree/{REVISION}(?:/(?P<path>.+))?", api.tree),
    ("paths-info", "hub", "POST", rf"{API_REPO}/paths-info/{REVISION}", api.paths_info),
    ("refs", "hub", "GET", rf"{API_REPO}/refs", api.refs),
    ("branch", "hub", "POST", rf"{API_REPO}/branch/{REVISION}", api.create_branch),
    ("branch", "hub", "DELETE", rf"{API_REPO}/branch/{REVISION}", api.delete_branch),
    ("tag", "hub", "POST", rf"{API_REPO}/tag/{REVISION}", api.create_tag),
    ("tag", "hub", "DELETE", rf"{API_REPO}/tag/{REVISION}", api.delete_tag),
    ("xet-token", "hub", "GET", rf"{API_REPO}/xet-(?P<role>read|write)-token/{REVISION}", files.xet_token),
    ("lfs-batch", "hub", "POST", rf"{WEB_REPO}\.git/info/lfs/objects/batch", files.lfs_batch),
    ("lfs-verify", "hub", "POST", rf"{WEB_REPO}\.git/info/lfs/objects/verify", files.lfs_verify),
    ("lfs-complete", "hub", "POST", r"/api/complete-multipart/(?P<upload>\w+)", files.lfs_complete),
    ("resolve", "hub", "GET", rf"{WEB_REPO}/resolve/{REVISION}/(?P<path>.+)", files.resolve),
    ("resolve", "hub", "GET", rf"{CACHED_REPO}/{REVISION}/(?P<path>.+)", files.cached),
    ("lfs-put", "storage", "PUT", r"/upload/(?P<upload>\w+)", files.put_object),
    ("lfs-put", "storage", "PUT", r"/upload/(?P<upload>\w+)/(?P<part>\d+)", files.put_part),
    ("bytes", "storage", "GET", r"/objects/(?P<sha256>[0-9a-f]{64})/(?P<path>.+)", files.get_object),
    ("foreign", "foreign", "GET", r"/.*", files.foreign),
)
ROUTES = [
    (kind, origin, method, re.compile(pattern), handler) for kind, origin, method, pattern, handler in TABLE
]


def find_route(call: Call) -> Route | None:
    """Return what a call asks for; a HEAD is a GET without a body."""
    method = "GET" if call.method == "HEAD" else call.method
    for kind, origin, its_method, pattern, handler in ROUTES:
        if (its_method, origin) == (method, call.origin) and (match := pattern.fullmatch(call.raw_path)):
            groups = {name: unquote(value) for name, value in match.groupdict().items() if value is not None}
            return Route(kind, handler, groups)
    return None
