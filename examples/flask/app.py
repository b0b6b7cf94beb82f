"""Sign-up and sign-in with a password and a code, with Flask."""
import os
import pathlib

import requests
from flask import Flask, request, session
from werkzeug.security import check_password_hash, generate_password_hash

SERVICE = os.environ.get("PHLO_2FA_URL", "http://127.0.0.1:8080")
KEY = os.environ.get("PHLO_2FA_KEY", "demo")
PAGE = pathlib.Path(__file__).with_name("page.html").read_text().replace("{service}", SERVICE)
app = Flask(__name__)
app.secret_key = os.environ.get("SECRET_KEY") or os.urandom(32)
accounts, pending = {}, {}  # by name, by verification; yours are in a database


def ask(path, body, key):
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": key}
    answer = requests.post(f"{SERVICE}/v1/verifications{path}", json=body, headers=headers, timeout=20)
    return answer.json(), answer.status_code


@app.get("/signup")
@app.get("/signin")
def page():
    return PAGE


@app.post("/create")
def create():
    body, account = request.json, accounts.get(request.json["name"])
    if body["purpose"] == "signin":  # the number is the account's, never the visitor's
        if not account or not check_password_hash(account["password"], body["password"]):
            return {"user_message": "Wrong name or password."}, 403
    elif account or not body["name"] or not body["password"]:
        return {"user_message": "Choose another name, and a password."}, 409
    else:
        account = {"number": body["to"], "password": generate_password_hash(body["password"])}
    sending = {"to": account["number"], "purpose": body["purpose"], "client_ip": request.remote_addr}
    answer, status = ask("", sending, body["idempotency_key"])
    if "client_token" in answer:
        session["id"] = answer["id"]
        pending[answer["id"]] = (body["name"], account)
    return answer, status


@app.post("/check")
def check():  # by the id of this session: what the page says is no proof
    answer, status = ask(f"/{session['id']}/checks", {"code": request.json["code"]}, request.json["idempotency_key"])
    if answer.get("result") == "verified":
        name, account = pending.pop(session.pop("id"))
        if accounts.setdefault(name, account) is not account:
            return {"user_message": "Choose another name."}, 409
        session["name"] = name
    return answer, status


app.add_url_rule("/me", view_func=lambda: {"name": session.get("name")})
app.run(port=int(os.environ.get("PORT", "5000")))
