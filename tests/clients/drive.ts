// A verification from end to end, with the client that openapi-typescript generates. tsc checks its types first.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

declare const process: { argv: string[] };
const url = process.argv[2]!;
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: "Bearer demo" } });

function assert(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

const to = "+14155550100";
const created = await api.POST("/v1/verifications", { body: { to, locale: "de", channel: "auto" } });
assert(created.response.status === 201 && created.data !== undefined, `creation: ${JSON.stringify(created)}`);
const id = created.data.id;
const status: components["schemas"]["VerificationStatus"] = created.data.status;
assert(status === "pending", status);

let code: string | undefined;
for (let tries = 0; tries < 300 && !code; tries += 1) {
  const handset = (await (await fetch(`${url}/handset/${to.slice(1)}`)).json()) as { messages: { code: string }[] };
  code = handset.messages[0]?.code;
  if (!code) await new Promise((resolve) => setTimeout(resolve, 100));
}
assert(code !== undefined, "no text arrived");

const path = { id };
const refused = await api.POST("/v1/verifications/{id}/checks", { params: { path }, body: { code: "12345x" } });
const problem: components["schemas"]["Problem"] | undefined = refused.error;
assert(problem?.code === "invalid_code" && problem.user_message !== undefined, JSON.stringify(refused.error));

const wrong = code === "111111" ? "222222" : "111111";
const incorrect = await api.POST("/v1/verifications/{id}/checks", { params: { path }, body: { code: wrong } });
assert(incorrect.data?.result === "incorrect" && incorrect.data.checks_remaining === 4, JSON.stringify(incorrect));

const checked = await api.POST("/v1/verifications/{id}/checks", { params: { path }, body: { code } });
assert(checked.data?.result === "verified" && checked.data.channel === "sms", JSON.stringify(checked));

const read = await api.GET("/v1/verifications/{id}", { params: { path } });
assert(read.data?.status === "verified" && read.data.attempts[0]?.channel === "sms", JSON.stringify(read));
const timeline = await api.GET("/v1/verifications/{id}/timeline", { params: { path } });
assert(timeline.data?.entries[0]?.event === "created", JSON.stringify(timeline));
const list = await api.GET("/v1/verifications", { params: { query: { status: "verified", limit: 5 } } });
assert(list.data?.verifications.some((one) => one.id === id) === true, JSON.stringify(list));
console.log("TypeScript client: verified");
