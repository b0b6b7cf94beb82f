// Auth0's custom phone provider: Auth0 makes and checks the code, phlo-2fa sends it and calls if the text is reported lost.
// Paste it under Branding > Phone Provider > Custom, with the secrets PHLO_2FA_URL and PHLO_2FA_KEY.
// Source: auth0.com/docs/customize/phone-messages/configure-phone-messaging-providers/configure-a-custom-phone-provider.
exports.onExecuteCustomPhoneProvider = async (event) => {
  const { recipient, code, delivery_method } = event.notification;
  const to = `+${recipient.replace(/\D/g, "")}`; // Auth0 may write it with hyphens
  const ask = async (path, body) => {
    const answer = await fetch(event.secrets.PHLO_2FA_URL + path, {
      method: "POST",
      headers: { Authorization: `Bearer ${event.secrets.PHLO_2FA_KEY}`, "Content-Type": "application/json", Prefer: "respond-async" },
      body: JSON.stringify(body),
    });
    return { ok: answer.ok, body: await answer.json() };
  };
  // "fail" calls only after a failure report: nothing tells the service that the person has entered the code.
  const sending = { to, code, purpose: "auth0", ...(delivery_method === "voice" ? { channel: "call" } : { escalation: "fail" }) };
  let sent = await ask("/v1/verifications", sending);
  if (sent.body.code === "code_conflict") {
    // The person asked again, and Auth0 has made a new code: the old one must not be read out any more.
    const { body } = await ask("/v1/verifications/search", { to });
    const open = body.verifications.filter(({ status }) => status === "pending");
    await Promise.all(open.map(({ id }) => ask(`/v1/verifications/${id}/cancel`, {})));
    sent = await ask("/v1/verifications", sending);
  }
  // Auth0 logs the error; it names no number.
  if (!sent.ok) throw new Error(`phlo-2fa: ${sent.body.code}`);
};
