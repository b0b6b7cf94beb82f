// Sign-up and sign-in with a password and a code, with Express.
import { readFileSync } from "node:fs";
import { randomBytes, scryptSync, timingSafeEqual } from "node:crypto";
import express from "express";
import session from "express-session";

const { PHLO_2FA_URL: service = "http://127.0.0.1:8080", PHLO_2FA_KEY: key = "demo", PORT = "5000", SECRET_KEY = randomBytes(32).toString("hex") } = process.env;
const page = readFileSync(new URL("page.html", import.meta.url), "utf8").replace("{service}", service);
const accounts = new Map(), pending = new Map(); // by name, by verification; yours are in a database

async function ask(path, body, idempotencyKey) {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json", "Idempotency-Key": idempotencyKey };
  const answer = await fetch(`${service}/v1/verifications${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  return { status: answer.status, body: await answer.json() };
}
const hashed = (password, salt) => scryptSync(password, salt, 32);

const app = express();
app.use(express.json(), session({ secret: SECRET_KEY, resave: false, saveUninitialized: false }));
app.get(["/signup", "/signin"], (request, response) => response.type("html").send(page));

app.post("/create", async ({ body: { name, password, purpose, to, idempotency_key }, session, ip }, response) => {
  let account = accounts.get(name);
  if (purpose === "signin") { // the number is the account's, never the visitor's
    if (!account || !timingSafeEqual(hashed(password, account.salt), account.password)) {
      return response.status(403).json({ user_message: "Wrong name or password." });
    }
  } else if (account || !name || !password) {
    return response.status(409).json({ user_message: "Choose another name, and a password." });
  } else {
    const salt = randomBytes(16);
    account = { number: to, salt, password: hashed(password, salt) };
  }
  const { status, body } = await ask("", { to: account.number, purpose, client_ip: ip }, idempotency_key);
  if (status < 300) {
    session.pending = body.id;
    pending.set(body.id, { name, account });
  }
  response.status(status).json(body);
});

app.post("/check", async ({ body: { code, idempotency_key }, session }, response) => {
  // By the id of this session: what the page says is no proof.
  const { status, body } = await ask(`/${session.pending}/checks`, { code }, idempotency_key);
  if (body.result === "verified") {
    const { name, account } = pending.get(session.pending);
    pending.delete(session.pending);
    if ((accounts.get(name) ?? account) !== account) return response.status(409).json({ user_message: "Choose another name." });
    accounts.set(name, account);
    session.name = name;
  }
  response.status(status).json(body);
});

app.get("/me", ({ session }, response) => response.json({ name: session.name ?? null }));
app.listen(Number(PORT), "127.0.0.1");
