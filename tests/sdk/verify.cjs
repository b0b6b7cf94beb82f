// Verifies webhooks with the published package: one request a line, `accepted` or `refused` for each.
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const lines = require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
for (const { secret, headers, body } of lines.map((line) => JSON.parse(line))) {
  try {
    new Webhook(secret).verify(body, headers);
    console.log("accepted");
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    console.log("refused");
  }
}
