"""GET requests to one endpoint: repeated where that helps, and never with the token to another server.

The session is `huggingface_hub`'s own, so that proxies, certificates and offline mode are as the user set
them. Redirects are followed here, because the token belongs to the endpoint: a redirect to another origin
(the CDN, as a rule) is followed without it.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urljoin

import httpx2
from huggingface_hub import get_session, hf_raise_for_status

from ritual_artifacts.backends.http import (
    ACCEPTED_ENCODING,
    RETRYABLE,
    Retries,
    from_position,
    interruptible,
    read_bounded,
    redirect_target,
    retry_after,
    time_limits,
)
from ritual_artifacts.backends.huggingface.errors import Redactor, read_error_message
from ritual_artifacts.backends.huggingface.session import OWN, origin
from ritual_artifacts.context import Context
from ritual_artifacts.errors import BackendError
from ritual_artifacts.secret import Secret

_MAX_REDIRECTS: Final = 8
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


class Transport:
    """Sends GET requests to one endpoint."""

    def __init__(
        self,
        endpoint: str,
        make_headers: Callable[[], Mapping[str, str]],
        *,
        timeout: float,
        context: Context,
        redactor: Redactor,
    ) -> None:
        """Prepare; nothing is sent yet.

        Args:
            endpoint: The only origin that gets the headers.
            make_headers: Returns the endpoint's headers, with the token; called for each request.
            timeout: Seconds without a byte after which a connection counts as lost.
            context: The call that these requests belong to.
            redactor: Removes secrets from messages.
        """
        self._endpoint = endpoint
        self._make_headers = make_headers
        self._timeout = timeout
        self._context = context
        self._redactor = redactor

    def get_json(
        self, url: str, doing: str, params: Mapping[str, str] | None = None
    ) -> tuple[Any, str | None]:
        """Return a JSON answer, and the address of its next page.

        Raises:
            TransferError: the server cannot be reached, or fails repeatedly.
            HfHubHTTPError: it answered with another error.
        """
        retries = Retries(doing, self._context, self._redactor.clean)
        while True:
            try:
                with self._open(url, {"Accept-Encoding": ACCEPTED_ENCODING}, params) as response:
                    if response.status_code not in RETRYABLE:
                        self._raise_for_status(response)
                        next_page = response.links.get("next", {}).get("url")
                        answer = self._read_json(response, doing)
                        return answer, None if next_page is None else urljoin(url, next_page)
                    problem, pause = f"the server answered {response.status_code}", self._pause(response)
            except httpx2.TransportError as error:
                lost = error.with_traceback(None)  # whose frames hold the request, with the token
            else:
                retries.wait(problem, pause)
                continue
            retries.wait_after(lost)

    def _read_json(self, response: httpx2.Response, doing: str) -> Any:  # noqa: ANN401 - any JSON
        body = read_bounded(response, self._context.bounds.answer_bytes, doing)
        try:
            return json.loads(body)
        except RecursionError:
            message = f"{doing}: the server sent an invalid answer (it is nested too deeply)"
            raise BackendError(message) from None

    def _raise_for_status(self, response: httpx2.Response) -> None:
        """Raise the library's error for an answer that is one, from a body that was read within bounds."""
        if response.is_error:
            read_error_message(response, self._context.bounds)
        hf_raise_for_status(response)

    def stream(self, url: str, doing: str, *, offset: int = 0, limit: int | None = None) -> Iterator[bytes]:
        """Yield the bytes at `url` from `offset` to the end; a lost connection is continued where it ended.

        Args:
            url: The file.
            doing: What the file is needed for, for messages.
            offset: Where to start.
            limit: Bytes that the file may have; None if the caller knows its size and stops there.

        Raises:
            BackendError: the file is larger than `limit`.
            TransferError: the server cannot be reached, fails repeatedly, or sends another range.
            HfHubHTTPError: it answered with another error.
        """
        retries = Retries(doing, self._context, self._redactor.clean)
        position = offset
        while True:
            headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={position}-"} if position else {})
            try:
                with self._open(url, headers, None) as response:
                    if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and position:
                        return  # the file ends at or before `position`
                    if not self._is_temporary(response):
                        self._raise_for_status(response)
                        for block in from_position(response, position, doing, limit=limit):
                            position += len(block)
                            retries.note(len(block))
                            yield block
                        return
                    problem, pause = f"the server answered {response.status_code}", self._pause(response)
            except httpx2.TransportError as error:
                lost = error.with_traceback(None)  # whose frames hold the request, with the token
            else:
                retries.wait(problem, pause)
                continue
            retries.wait_after(lost)

    def _pause(self, response: httpx2.Response) -> float | None:
        return retry_after(response, self._context.clock.time())

    def _is_temporary(self, response: httpx2.Response) -> bool:
        """Return whether another attempt may help; a signed address of another server may have expired."""
        if response.status_code in RETRYABLE:
            return True
        is_refused = response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
        return is_refused and origin(str(response.url)) != origin(self._endpoint)

    @contextlib.contextmanager
    def _open(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None
    ) -> Iterator[httpx2.Response]:
        """Send a GET request and follow its redirects; the body is not read yet."""
        trusted = origin(url) == origin(self._endpoint)
        for _ in range(_MAX_REDIRECTS):
            sent = {**self._make_headers(), **headers} if trusted else dict(headers)
            with self._send(url, sent, params) as response:
                location = Secret(response.headers.get("location", ""))  # it can be signed
                if response.status_code not in _REDIRECTS or not location:
                    with interruptible(response):
                        yield response
                    return
            target = self._redirect(url, location)
            trusted = trusted and origin(target) == origin(self._endpoint)
            url, params = target, None
        message = f"{self._redactor.place(url)} redirects more than {_MAX_REDIRECTS} times"
        raise BackendError(message)

    @contextlib.contextmanager
    def _send(
        self, url: str, headers: Mapping[str, str], params: Mapping[str, str] | None
    ) -> Iterator[httpx2.Response]:
        try:
            with (
                self._redactor.cleaned_logs(),
                get_session().stream(
                    "GET",
                    url,
                    headers=headers,
                    params=params,
                    follow_redirects=False,
                    extensions={**time_limits(self._timeout, self._context), OWN: True},
                ) as response,
            ):
                yield response
        except httpx2.InvalidURL:  # the library looks at the target of a redirect, too
            message = f"{self._redactor.place(url)} redirects to an invalid address, which is not contacted"
            raise BackendError(message) from None

    def _redirect(self, url: str, location: str) -> str:
        """Return the address that an answer redirects to.

        Raises:
            BackendError: it is not an address to follow.
        """
        with contextlib.suppress(ValueError):  # whose text and frames can hold a password
            return Secret(redirect_target(url, location))
        message = (
            f"{self._redactor.place(url)} redirects to an invalid or unsafe address, which is not contacted"
        )
        raise BackendError(message)
