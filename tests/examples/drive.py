"""Starts each example against a demo, and signs up and in with it. Run by scripts/examples."""
import base64
import hashlib
import hmac
import json
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time

import requests

SERVICE, PACKAGES = sys.argv[1], pathlib.Path(sys.argv[2])
ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PATIENCE = 60  # seconds; a loaded machine is slow
LINES_MAX = 60


def until(what, condition):
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain for: {what}"
        time.sleep(0.05)
    return found


def handset(number):
    return requests.get(f"{SERVICE}/handset/{number[1:]}", timeout=10).json()


def texted(number, before=0):
    """The code of the text after the first ones."""
    return until("a text", lambda: handset(number)["messages"][before:])[0]["code"]


class Running:
    """An example's server, on a free port."""

    def __init__(self, command, folder, **env):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "PORT": str(port), "PHLO_2FA_URL": SERVICE, "NO_PROXY": "*", **env}
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=self.log, stderr=self.log)

    def __enter__(self):
        try:
            until(f"an answer of {self.url}", self.answers)
        except BaseException as why:
            self.__exit__(why)
            raise
        return self

    def answers(self):
        assert self.process.poll() is None, "the example has ended"
        try:
            requests.get(f"{self.url}/signup", timeout=5)
            return True  # an error is an answer too
        except requests.ConnectionError:
            return False

    def __exit__(self, why, *_):
        self.process.kill()
        self.process.wait()
        if why:
            self.log.seek(0)
            print(self.log.read().decode())


def copied(name):
    """A copy beside the packages, where Node's imports find them."""
    folder = PACKAGES / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("node_modules"))
    return folder


def drive_site(name, command, folder, number):
    """A person signs up and in, and mistakes change nothing."""
    with Running(command, folder) as site:
        page = requests.get(f"{site.url}/signin", timeout=10).text
        assert f'src="{SERVICE}/widget.js"' in page, page
        key = iter(range(100))

        def post(person, path, **body):
            return person.post(f"{site.url}{path}", json={**body, "idempotency_key": f"{name}-{next(key)}"}, timeout=30)

        def signed_in(person):
            return person.get(f"{site.url}/me", timeout=10).json()["name"]

        def create(person, purpose, password="secret", **more):
            return post(person, "/create", purpose=purpose, name="ada", password=password, locale="en", **more)

        def check(person, code):
            return post(person, "/check", id="vrf_of_another", code=code).json()

        ada = requests.Session()
        created = create(ada, "signup", to=number).json()
        assert created["status"] == "pending" and created["client_token"], created
        code = texted(number)
        wrong = "000000" if code != "000000" else "111111"
        assert check(ada, wrong)["user_message"] == "Wrong code. Tries left: 4." and signed_in(ada) is None
        assert check(ada, code)["result"] == "verified" and signed_in(ada) == "ada"

        stranger = requests.Session()
        for answer in (create(stranger, "signup", to=number), create(stranger, "signin", password="guess")):
            assert answer.status_code in (403, 409) and answer.json()["user_message"], answer.text
        assert len(handset(number)["messages"]) == 1 and signed_in(stranger) is None

        again = requests.Session()
        assert create(again, "signin", to="+14155550199").json()["to"].endswith(number[-2:]), "the account's number"
        assert check(again, texted(number, 1))["result"] == "verified" and signed_in(again) == "ada"


def drive_curl(number):
    accounts = PACKAGES / "accounts.txt"
    accounts.unlink(missing_ok=True)

    def run(*words, before=0):
        env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "PHLO_2FA_URL": SERVICE, "ACCOUNTS": str(accounts), "NO_PROXY": "*"}
        script = subprocess.Popen([EXAMPLES / "curl/verify.sh", *words], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        code = texted(number, before) if before is not None else ""
        wrong = "000000" if code != "000000" else "111111"
        said, _ = script.communicate(f"12\n{wrong}\n{code}\n" if code else "", timeout=PATIENCE)
        return script.returncode, said

    status, said = run("signup", "ada", number)
    assert status == 0 and "Enter only the digits" in said and "Tries left: 4" in said and "ada is signed in" in said, said
    assert accounts.read_text() == f"ada {number}\n"
    status, said = run("signin", "ada", before=1)
    assert status == 0 and "ada is signed in" in said, said
    for words in (["signin", "bob"], ["signup", "ada", number], ["signup", "bob", "123"], ["signin", ".*"]):
        status, said = run(*words, before=None)
        assert status != 0 and said, words
    assert len(handset(number)["messages"]) == 2


def drive_supabase():
    """The signature, by the specification of Standard Webhooks and not by the example's package."""
    secret = base64.b64encode(b"the secret of this test, 32 bytes").decode()
    with Running(["node", "app.mjs"], copied("supabase"), SEND_SMS_HOOK_SECRET=f"v1,whsec_{secret}") as hook:

        def call(phone, otp, id, at=None, key=secret):
            at = str(int(time.time()) if at is None else at)
            body = json.dumps({"user": {"id": "6481a5c1", "phone": phone}, "sms": {"otp": otp}})
            signature = hmac.new(base64.b64decode(key), f"{id}.{at}.{body}".encode(), hashlib.sha256).digest()
            headers = {"webhook-id": id, "webhook-timestamp": at, "webhook-signature": f"v1,{base64.b64encode(signature).decode()}"}
            answer = requests.post(hook.url, data=body, headers=headers, timeout=30)
            return answer.status_code, answer.json()

        number = "+14085550100"
        other = base64.b64encode(b"another secret than the project's").decode()
        assert call(number, "111111", "msg_0", key=other)[0] == 401
        assert call(number, "111111", "msg_0", at=int(time.time()) - 3600)[0] == 401
        assert handset(number)["messages"] == []
        assert call(number, "123456", "msg_1") == (200, {}) and texted(number) == "123456"
        assert call(number, "123456", "msg_1") == (200, {}), "repeated by Supabase"
        assert call(number[1:], "654321", "msg_2") == (200, {}) and texted(number, 1) == "654321", "asked again"
        status, body = call("12", "123456", "msg_3")
        assert status == 200 and body["error"]["http_code"] == 422, body
        sent = requests.post(f"{SERVICE}/v1/verifications/search", json={"to": number}, headers={"Authorization": "Bearer demo"}, timeout=10)
        assert [v["status"] for v in sent.json()["verifications"]] == ["pending", "canceled"], sent.text


def drive_auth0():
    """The key is what proves the request: Auth0 signs none."""

    def send(recipient, code, method="text", key="demo"):
        event = {"notification": {"recipient": recipient, "code": code, "delivery_method": method}, "secrets": {"PHLO_2FA_URL": SERVICE, "PHLO_2FA_KEY": key}}
        script = f"require('{EXAMPLES}/auth0/action.js').onExecuteCustomPhoneProvider({json.dumps(event)})"
        return subprocess.run(["node", "-e", script], capture_output=True, text=True, timeout=PATIENCE)

    number = "+16505550100"
    refused = send(number, "123456", key="not-the-key")
    assert refused.returncode != 0 and "unauthenticated" in refused.stderr and number not in refused.stderr, refused.stderr
    assert handset(number)["messages"] == []
    assert send("+1-650-555-0100", "123456").returncode == 0 and texted(number) == "123456"
    assert send(number, "654321").returncode == 0 and texted(number, 1) == "654321", "asked again"
    assert send("+17075550100", "246810", "voice").returncode == 0
    assert until("a call", lambda: [c["code"] for c in handset("+17075550100")["calls"] if c["code"]]) == ["246810"]


def check_files():
    """Each program is short, the sites have one page, and their packages are those that are tested here."""
    for program in ("flask/app.py", "fastapi/app.py", "express/app.mjs", "curl/verify.sh", "supabase/app.mjs", "auth0/action.js"):
        lines = len((EXAMPLES / program).read_text().splitlines())
        assert lines < LINES_MAX, f"{program} has {lines} lines"
    assert len({(EXAMPLES / name / "page.html").read_text() for name in ("flask", "fastapi", "express")}) == 1
    pinned = (ROOT / "tests/examples/requirements.txt").read_text().splitlines()
    for name in ("flask", "fastapi"):
        assert set((EXAMPLES / name / "requirements.txt").read_text().splitlines()) <= set(pinned), name
    pinned = json.loads((ROOT / "tests/examples/package.json").read_text())["dependencies"]
    for name in ("express", "supabase"):
        assert json.loads((EXAMPLES / name / "package.json").read_text())["dependencies"].items() <= pinned.items(), name
    for readme in EXAMPLES.glob("*/README.md"):
        for link in re.findall(r"\]\(([^)#:]+)", readme.read_text()):
            assert (readme.parent / link).exists(), f"{readme}: {link}"


check_files()
for name, drive in {
    "flask": lambda: drive_site("flask", [sys.executable, "app.py"], EXAMPLES / "flask", "+14155550100"),
    "fastapi": lambda: drive_site("fastapi", [sys.executable, "app.py"], EXAMPLES / "fastapi", "+12125550100"),
    "express": lambda: drive_site("express", ["node", "app.mjs"], copied("express"), "+13125550100"),
    "curl": lambda: drive_curl("+12135550100"),
    "supabase": drive_supabase,
    "auth0": drive_auth0,
}.items():
    drive()
    print(f"{name}: ok")
