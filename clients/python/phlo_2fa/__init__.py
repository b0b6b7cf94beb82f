"""Client of phlo-2fa: a small wrapper over what openapi-python-client generates from the API document into `generated`."""

import time
import uuid
from typing import Any, Callable, Mapping, TypedDict, TypeVar

import httpx
from standardwebhooks import Webhook

from .generated import AuthenticatedClient
from .generated.api.checks import check_code
from .generated.api.verifications import cancel_verification, create_verification, read_verification, request_attempt
from .generated.models import AttemptBody, CheckBody, CheckResult, CheckView, CreateBody, Problem, VerificationView
from .generated.types import UNSET, Response

__all__ = ["Phlo2fa", "PhloError", "WebhookEvent", "verify_webhook", "CheckResult", "CheckView", "VerificationView"]

REPEATS_MAX = 2
"""Requests that were not answered, or with 503, are repeated so often."""

Shown = TypeVar("Shown")


class PhloError(Exception):
    """What the service refuses. `user_message`, if there is one, is for the person."""

    def __init__(self, status: int, problem: Problem, retry_after: int | None) -> None:
        super().__init__(f"{problem.code}: {problem.detail or problem.title}")
        self.status, self.problem, self.retry_after = status, problem, retry_after
        self.code = str(problem.code)
        self.user_message = None if problem.user_message is UNSET else problem.user_message


class WebhookEvent(TypedDict):
    """`data` is the verification of a `verification.…` event, as the API shows it."""

    type: str
    timestamp: str
    data: dict[str, Any]


class Phlo2fa:
    """The API of one app."""

    def __init__(self, url: str, key: str, timeout: float = 20) -> None:
        self._client = AuthenticatedClient(base_url=url, token=key, timeout=httpx.Timeout(timeout))

    def create(self, to: str, *, idempotency_key: str | None = None, **more: Any) -> VerificationView:
        """Creates a verification and sends the code; `more` has the API's other fields, such as `purpose` and `client_ip`."""
        body, key = CreateBody.from_dict({"to": to, **more}), idempotency_key or str(uuid.uuid4())
        return _answered(lambda: create_verification.sync_detailed(client=self._client, body=body, idempotency_key=key))

    def check(self, id: str, code: str, *, idempotency_key: str | None = None) -> CheckView:
        """Checks a code. A wrong one is an answer, `CheckResult.INCORRECT`; the end of a verification raises."""
        body, key = CheckBody(code=code), idempotency_key or str(uuid.uuid4())
        return _answered(lambda: check_code.sync_detailed(id, client=self._client, body=body, idempotency_key=key))

    def get(self, id: str) -> VerificationView:
        return _answered(lambda: read_verification.sync_detailed(id, client=self._client))

    def cancel(self, id: str) -> VerificationView:
        return _answered(lambda: cancel_verification.sync_detailed(id, client=self._client))

    def attempt(self, id: str, channel: str, *, idempotency_key: str | None = None) -> VerificationView:
        """Sends the code again (`sms`), or calls now (`call`)."""
        body, key = AttemptBody.from_dict({"channel": channel}), idempotency_key or str(uuid.uuid4())
        return _answered(lambda: request_attempt.sync_detailed(id, client=self._client, body=body, idempotency_key=key))


def _answered(ask: Callable[[], Response[Problem | Shown]]) -> Shown:
    for repeats in range(REPEATS_MAX + 1):
        may_repeat = repeats < REPEATS_MAX
        try:
            answer = ask()
        except (httpx.TransportError, ValueError):  # what is no JSON comes from a proxy
            if not may_repeat:
                raise
        else:
            if answer.parsed is not None and not isinstance(answer.parsed, Problem):
                return answer.parsed
            if not (may_repeat and answer.status_code == 503):
                raise _refusal(answer)
        time.sleep(0.25 * 2**repeats)
    raise AssertionError("the last repeat returns or raises")


def _refusal(answer: Response[Any]) -> Exception:
    if not isinstance(answer.parsed, Problem):
        return RuntimeError(f"the service answered {int(answer.status_code)}")
    after = answer.headers.get("retry-after", "")
    return PhloError(int(answer.status_code), answer.parsed, int(after) if after.isdigit() else None)


def verify_webhook(secret: str, body: bytes | str, headers: Mapping[str, str]) -> WebhookEvent:
    """Verifies a webhook's signature and age, and returns its event. `body` is the raw body; it raises if the signature is wrong."""
    return Webhook(secret).verify(body, dict(headers))
