"""The client against a demo: test.py URL. scripts/openapi runs it."""

import base64
import hashlib
import hmac
import json
import sys
import time
import uuid

import httpx

from phlo_2fa import CheckResult, Phlo2fa, PhloError, verify_webhook

URL, TO = sys.argv[1], "+13235550100"
phlo = Phlo2fa(URL, "demo")


def refused(call):
    try:
        call()
    except PhloError as error:
        return error
    raise AssertionError("it was not refused")


def texted_code():
    for _ in range(600):
        messages = httpx.get(f"{URL}/handset/{TO[1:]}").json()["messages"]
        if messages:
            return messages[0]["code"]
        time.sleep(0.1)
    raise AssertionError("no text arrived")


key = str(uuid.uuid4())
created = phlo.create(TO, locale="de", metadata={"cart": "4711"}, idempotency_key=key)
assert created.status == "pending" and created.client_token
assert phlo.create(TO, locale="de", metadata={"cart": "4711"}, idempotency_key=key).id == created.id, "the same answer again"
code = texted_code()
wrong = phlo.check(created.id, "111111" if code == "000000" else "000000")
assert (wrong.result, wrong.checks_remaining) == (CheckResult.INCORRECT, 4), wrong
cooldown = refused(lambda: phlo.attempt(created.id, "sms"))
assert cooldown.code == "resend_cooldown" and cooldown.retry_after > 0, cooldown
assert phlo.check(created.id, code).result is CheckResult.VERIFIED
assert phlo.get(created.id).status == "verified"
again = refused(lambda: phlo.check(created.id, code))
assert (again.status, again.code) == (409, "already_verified"), again
invalid = refused(lambda: phlo.create("+1"))
assert invalid.code == "invalid_number" and invalid.user_message, invalid
assert refused(lambda: Phlo2fa(URL, "not-the-key").get(created.id)).code == "unauthenticated"
assert phlo.cancel(phlo.create(TO, purpose="another").id).status == "canceled"

# A request that is not answered is repeated, with the same key.
keys = []


class Flaky(httpx.HTTPTransport):
    def handle_request(self, request):
        keys.append(request.headers["idempotency-key"])
        if len(keys) == 1:
            raise httpx.ConnectError("connection reset")
        if len(keys) == 2:
            return httpx.Response(503, text="a proxy's page")
        return super().handle_request(request)


flaky = Phlo2fa(URL, "demo")
flaky._client.set_httpx_client(httpx.Client(base_url=URL, headers={"Authorization": "Bearer demo"}, transport=Flaky()))
assert flaky.create(TO, purpose="flaky").status == "pending" and len(keys) == 3 and len(set(keys)) == 1, keys

# The signature by the specification of Standard Webhooks.
secret = base64.b64encode(b"the secret of this test, 32 bytes").decode()
body = json.dumps({"type": "verification.verified", "timestamp": "2026-11-30T21:52:09.839Z", "data": {"status": "verified"}})


def headers(at):
    signed = f"evt_1.{int(at)}.{body}".encode()
    signature = base64.b64encode(hmac.new(base64.b64decode(secret), signed, hashlib.sha256).digest()).decode()
    return {"webhook-id": "evt_1", "webhook-timestamp": str(int(at)), "webhook-signature": f"v1,{signature}"}


assert verify_webhook(f"whsec_{secret}", body, headers(time.time()))["data"]["status"] == "verified"
for text, at in ((body.replace("verified", "expired"), time.time()), (body, time.time() - 3600)):
    try:
        verify_webhook(f"whsec_{secret}", text, headers(at))
    except Exception as why:
        assert type(why).__name__ == "WebhookVerificationError", why
    else:
        raise AssertionError("a wrong signature was accepted")
print("Python package: ok")
