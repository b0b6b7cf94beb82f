// Supabase's Send SMS hook: Supabase makes and checks the code, phlo-2fa sends it and calls if the text is reported lost.
// Source: supabase.com/docs/guides/auth/auth-hooks/send-sms-hook; signatures are those of Standard Webhooks.
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

const { PHLO_2FA_URL: service = "http://127.0.0.1:8080", PHLO_2FA_KEY: key = "demo", SEND_SMS_HOOK_SECRET: secret, PORT = "5000" } = process.env;
const webhook = new Webhook(secret.replace("v1,whsec_", "")); // as Supabase shows it: v1,whsec_…

async function ask(path, body, headers = {}) {
  headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json", ...headers };
  const answer = await fetch(service + path, { method: "POST", headers, body: JSON.stringify(body) });
  return { ok: answer.ok, status: answer.status, body: await answer.json() };
}

// "fail" calls only after a failure report: nothing tells the service that the person has entered the code.
async function send(to, code, once) {
  const sending = { to, code, purpose: "supabase", escalation: "fail" };
  const create = (key) => ask("/v1/verifications", sending, { "Idempotency-Key": key, Prefer: "respond-async" });
  const first = await create(once);
  if (first.body.code !== "code_conflict") return first;
  // The person asked again, and Supabase has made a new code: the old one must not be read out any more.
  const { body } = await ask("/v1/verifications/search", { to });
  const open = body.verifications.filter(({ status }) => status === "pending");
  await Promise.all(open.map(({ id }) => ask(`/v1/verifications/${id}/cancel`, {})));
  return create(`${once}-again`);
}

createServer(async (request, response) => {
  const reply = (status, body) => response.writeHead(status, { "Content-Type": "application/json" }).end(JSON.stringify(body));
  let text = "";
  for await (const part of request) text += part;
  let event;
  try { event = webhook.verify(text, request.headers); } catch { return reply(401, { error: { http_code: 401, message: "The signature is wrong." } }); }
  try {
    const to = `+${event.user.phone.replace(/\D/g, "")}`; // with or without the plus
    const { ok, status, body } = await send(to, event.sms.otp, request.headers["webhook-id"]);
    // Supabase reads an error only from an answer 200.
    reply(200, ok ? {} : { error: { http_code: status, message: body.user_message ?? body.title } });
  } catch (why) {
    console.error(why.message);
    reply(503, {});
  }
}).listen(Number(PORT), "127.0.0.1");
