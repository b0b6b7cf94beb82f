"""Sign-up and sign-in with a password and a code, with FastAPI."""
import os
from pathlib import Path

import requests
import uvicorn
from fastapi import Body, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from starlette.middleware.sessions import SessionMiddleware
from werkzeug.security import check_password_hash, generate_password_hash

SERVICE = os.environ.get("PHLO_2FA_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("PHLO_2FA_KEY", "demo")
PAGE = Path(__file__).with_name("page.html").read_text().replace("{service}", SERVICE)
app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key=os.environ.get("SECRET_KEY") or os.urandom(32).hex())
accounts, pending = {}, {}  # by name, by verification; yours are in a database

def ask(response, path, body, key):
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
    answer = requests.post(f"{SERVICE}/v1/verifications{path}", json=body, headers=headers, timeout=20)
    response.status_code = answer.status_code
    return answer.json()

@app.post("/create")
def create(request: Request, response: Response, body: dict = Body()):
    account, is_signin = accounts.get(body["name"]), body["purpose"] == "signin"
    knows = account and check_password_hash(account["password"], body["password"])
    if not knows if is_signin else account or not body["name"] or not body["password"]:
        response.status_code = 403
        return {"user_message": "Wrong name or password." if is_signin else "Choose another name, and a password."}
    if not is_signin:  # in a sign-in the number is the account's, never the visitor's
        account = {"number": body["to"], "password": generate_password_hash(body["password"])}
    sending = {"to": account["number"], "purpose": body["purpose"], "client_ip": request.client.host}
    answer = ask(response, "", sending, body["idempotency_key"])
    if "client_token" in answer:
        request.session["id"] = answer["id"]
        pending[answer["id"]] = (body["name"], account)
    return answer

@app.post("/check")
def check(request: Request, response: Response, body: dict = Body()):  # by this session's id: the page proves nothing
    answer = ask(response, f"/{request.session['id']}/checks", {"code": body["code"]}, body["idempotency_key"])
    if answer.get("result") == "verified":
        name, account = pending.pop(request.session.pop("id"))
        if accounts.setdefault(name, account) is not account:
            response.status_code = 409
            return {"user_message": "Choose another name."}
        request.session["name"] = name
    return answer

@app.get("/me")
def me(request: Request):
    return {"name": request.session.get("name")}

for path in ("/signup", "/signin"):
    app.add_api_route(path, lambda: PAGE, response_class=HTMLResponse)
uvicorn.run(app, port=int(os.environ.get("PORT", "5000")), log_level="warning")
