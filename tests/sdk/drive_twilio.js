// Twilio's own SDK for Node, pointed at this service.
//
// tests/processes/twilio.rs starts this script with the arguments of drive_twilio.py. The SDK is unmodified: only the base URL of its
// Verify domain is set.
"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");
const twilio = require("twilio");

const [NAME, SECRET, SERVICE_URL, BRIEF_URL, PLIVO_URL] = process.argv.slice(2);
const SERVICE_SID = "VA" + "a".repeat(32);
// The longest wait, in milliseconds: generous, because a loaded machine is slow.
const PATIENCE = 120_000;
let area = 600;

/** A number whose texts are delivered. */
const number = () => `+1415${area++}0100`;

function service({ url = SERVICE_URL, name = NAME, secret = SECRET } = {}) {
  // The SDK asks for an account SID where the name is none. It does not send it.
  const client = twilio(name, secret, { accountSid: "AC" + "0".repeat(32) });
  client.verify.baseUrl = url + "/compat/twilio";
  return client.verify.v2.services(SERVICE_SID);
}

async function until(what, ask) {
  const start = Date.now();
  for (;;) {
    const found = await ask();
    if (found) return found;
    assert.ok(Date.now() - start < PATIENCE, `not ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const receivedCode = (to) =>
  until("received", async () => {
    const handset = await (await fetch(`${PLIVO_URL}/handset/${to.slice(1)}`)).json();
    return [...handset.messages, ...handset.calls].map((entry) => entry.code).find(Boolean);
  });

const wrong = (code) => (code.startsWith("0") ? "1" : "0") + code.slice(1);

async function raises(status, code, promise) {
  const error = await promise.then(() => assert.fail("not raised"), (error) => error);
  assert.deepEqual([error.status, error.code], [status, code], error);
  assert.equal(error.moreInfo, `https://www.twilio.com/docs/errors/${code}`);
  return error;
}

test("a number is verified", async () => {
  const [verify, to] = [service(), number()];
  const created = await verify.verifications.create({ to, channel: "sms", locale: "de", tags: "{}" });
  assert.deepEqual([created.to, created.channel, created.status, created.valid], [to, "sms", "pending", false]);
  assert.match(created.sid, /^VE[0-9a-fA-F]{32}$/);
  assert.ok(created.dateCreated instanceof Date && created.sendCodeAttempts.length === 1);
  assert.equal((await created.fetch()).status, "pending");
  const code = await receivedCode(to);
  const incorrect = await verify.verificationChecks.create({ to, code: wrong(code) });
  assert.deepEqual([incorrect.status, incorrect.valid, incorrect.sid], ["pending", false, created.sid]);
  const correct = await verify.verificationChecks.create({ verificationSid: created.sid, code });
  assert.deepEqual([correct.status, correct.valid], ["approved", true]);
  assert.equal((await created.fetch()).status, "approved");
  await raises(404, 20404, verify.verificationChecks.create({ to, code }));
});

test("a repeated creation is the same verification", async () => {
  const [verify, to] = [service(), number()];
  const create = () => verify.verifications.create({ to, channel: "sms" });
  const [first, second] = [await create(), await create()];
  assert.deepEqual([second.sid, second.sendCodeAttempts.length], [first.sid, 2]);
  await create();
  assert.equal((await raises(429, 60203, create())).message, "Max send attempts reached");
});

test("a verification is canceled by SID or by number", async () => {
  const verify = service();
  for (const byNumber of [false, true]) {
    const to = number();
    const created = await verify.verifications.create({ to, channel: "sms", customCode: "445566" });
    const named = verify.verifications(byNumber ? to : created.sid);
    assert.equal((await named.fetch()).sid, created.sid);
    assert.equal((await named.update({ status: "canceled" })).status, "canceled");
    await raises(404, 20404, verify.verificationChecks.create({ to, code: "445566" }));
    await raises(400, 60200, named.update({ status: "approved" }));
  }
});

test("an expired code is not found", async () => {
  const [verify, to] = [service({ url: BRIEF_URL }), number()];
  const created = await verify.verifications.create({ to, channel: "sms", customCode: "445566" });
  await until("expired", async () => (await created.fetch()).status === "expired");
  await raises(404, 20404, verify.verificationChecks.create({ to, code: "445566" }));
});

test("an unknown verification is not found", async () => {
  const verify = service();
  await raises(404, 20404, verify.verificationChecks.create({ to: number(), code: "123456" }));
  await raises(404, 20404, verify.verifications("VE" + "0".repeat(32)).fetch());
});

test("too many wrong codes are a limit", async () => {
  const [verify, to] = [service(), number()];
  await verify.verifications.create({ to, channel: "sms", customCode: "445566" });
  for (const status of ["pending", "pending", "pending", "pending", "max_attempts_reached"]) {
    const check = await verify.verificationChecks.create({ to, code: "000000" });
    assert.deepEqual([check.status, check.valid], [status, false]);
  }
  const error = await raises(429, 60202, verify.verificationChecks.create({ to, code: "445566" }));
  assert.equal(error.message, "Max check attempts reached");
});

test("wrong credentials and parameters are named", async () => {
  const create = (verify, more) => verify.verifications.create({ to: number(), channel: "sms", ...more });
  await raises(401, 20003, create(service({ secret: "wrong" })));
  await raises(401, 20003, create(service({ name: "bank" })));
  const error = await raises(400, 60200, create(service(), { to: "4155550100" }));
  assert.match(error.message, /^Invalid parameter: To/);
});
