// The client: a small wrapper over what openapi-typescript generates from the API document into schema.d.ts.
import createClient from "openapi-fetch";
import { Webhook } from "standardwebhooks";
import type { components, paths } from "./schema.js";

type Schemas = components["schemas"];
export type Verification = Schemas["VerificationView"];
export type Check = Schemas["CheckView"];
export type Problem = Schemas["Problem"];
export type Creation = Schemas["CreateBody"];
/** `data` is the verification of a `verification.…` event, as the API shows it. */
export interface WebhookEvent { type: string; timestamp: string; data: Record<string, unknown> }

/** Requests that were not answered, or with 503, are repeated so often. */
const REPEATS_MAX = 2;

/** What the service refuses. `problem.user_message`, if there is one, is for the person. */
export class PhloError extends Error {
  constructor(readonly status: number, readonly problem: Problem, readonly retryAfter: number | undefined) {
    super(`${problem.code}: ${problem.detail ?? problem.title}`);
    this.name = "PhloError";
  }
  /** Stable, such as `invalid_number`; docs/errors.md explains each. */
  get code(): Problem["code"] { return this.problem.code; }
}

interface Answer<T> { data?: T; error?: unknown; response: Response }

export class Phlo2fa {
  readonly #api;
  constructor({ url, key, fetch }: { url: string; key: string; fetch?: typeof globalThis.fetch }) {
    this.#api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` }, ...(fetch && { fetch }) });
  }

  /** Creates a verification and sends the code. `client_token` and `id` may go to the browser. */
  create(creation: Creation, options: { idempotencyKey?: string } = {}): Promise<Verification> {
    const header = { "Idempotency-Key": options.idempotencyKey ?? crypto.randomUUID() };
    return answered(() => this.#api.POST("/v1/verifications", { body: creation, params: { header } }));
  }
  /** Checks a code. A wrong one is an answer, with `result` `incorrect`; the end of a verification is an error. */
  check(id: string, code: string, options: { idempotencyKey?: string } = {}): Promise<Check> {
    const header = { "Idempotency-Key": options.idempotencyKey ?? crypto.randomUUID() };
    return answered(() => this.#api.POST("/v1/verifications/{id}/checks", { body: { code }, params: { path: { id }, header } }));
  }
  get(id: string): Promise<Verification> {
    return answered(() => this.#api.GET("/v1/verifications/{id}", { params: { path: { id } } }));
  }
  cancel(id: string): Promise<Verification> {
    return answered(() => this.#api.POST("/v1/verifications/{id}/cancel", { params: { path: { id } } }));
  }
  /** Sends the code again, or calls now. */
  attempt(id: string, channel: "sms" | "call", options: { idempotencyKey?: string } = {}): Promise<Verification> {
    const header = { "Idempotency-Key": options.idempotencyKey ?? crypto.randomUUID() };
    return answered(() => this.#api.POST("/v1/verifications/{id}/attempts", { body: { channel }, params: { path: { id }, header } }));
  }
}

async function answered<T>(ask: () => Promise<Answer<T>>): Promise<T> {
  for (let repeats = 0; ; repeats += 1) {
    const may_repeat = repeats < REPEATS_MAX;
    let answer: Answer<T> | undefined;
    try { answer = await ask(); } catch (why) { if (!may_repeat) throw why; }
    if (answer?.data !== undefined) return answer.data;
    if (answer && !(may_repeat && answer.response.status === 503)) throw refusal(answer);
    await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** repeats));
  }
}

function refusal({ error, response }: Answer<unknown>): Error {
  const { status, headers } = response;
  if (typeof error !== "object" || error === null || !("code" in error)) return new Error(`The service answered ${status}.`);
  return new PhloError(status, error as Problem, Number(headers.get("retry-after")) || undefined);
}

/** Verifies a webhook's signature and age, and returns its event. `body` is the raw text; it throws if the signature is wrong. */
export function verifyWebhook(secret: string, body: string, headers: Record<string, string>): WebhookEvent {
  return new Webhook(secret).verify(body, headers) as WebhookEvent;
}
