"""A verification from end to end, with the client that openapi-python-client generates."""

import json
import sys
import time
import urllib.request

from phlo_2fa_client import AuthenticatedClient
from phlo_2fa_client.api.checks import check_code
from phlo_2fa_client.api.verifications import (create_verification, list_verifications, read_timeline,
                                               read_verification)
from phlo_2fa_client.models import (CheckBody, CheckResult, CreateBody, ErrorCode, Problem, VerificationStatus)

url = sys.argv[1]
to = "+14155550114"
client = AuthenticatedClient(base_url=url, token="demo", raise_on_unexpected_status=True)


def texted_code():
    for _ in range(300):
        with urllib.request.urlopen(f"{url}/handset/{to[1:]}") as answer:
            messages = json.load(answer)["messages"]
        if messages:
            return messages[0]["code"]
        time.sleep(0.1)
    raise AssertionError("no text arrived")


created = create_verification.sync(client=client, body=CreateBody(to=to, locale="fr"))
assert created.status is VerificationStatus.PENDING, created
code = texted_code()

refused = check_code.sync(id=created.id, client=client, body=CheckBody(code="12345x"))
assert isinstance(refused, Problem) and refused.code is ErrorCode.INVALID_CODE and refused.user_message, refused
wrong = "222222" if code == "111111" else "111111"
incorrect = check_code.sync(id=created.id, client=client, body=CheckBody(code=wrong))
assert incorrect.result is CheckResult.INCORRECT and incorrect.checks_remaining == 4, incorrect
checked = check_code.sync(id=created.id, client=client, body=CheckBody(code=code))
assert checked.result is CheckResult.VERIFIED, checked

read = read_verification.sync(id=created.id, client=client)
assert read.status is VerificationStatus.VERIFIED and read.created_at.tzinfo is not None, read
assert read_timeline.sync(id=created.id, client=client).entries[0].event == "created"
listed = list_verifications.sync(client=client, status=VerificationStatus.VERIFIED, limit=5)
assert created.id in [one.id for one in listed.verifications], listed
print("Python client: verified")
