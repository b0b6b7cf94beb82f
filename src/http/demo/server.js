// --- The server ---
class Offline extends Error {}
class Problem extends Error {
  constructor(status, body) {
    const wrong = (body?.errors ?? []).map((e) => e.detail).filter(Boolean).join("; ");
    super(wrong || body?.detail || body?.title || `The server answered ${status}.`);
    Object.assign(this, { status, code: body?.code, id: body?.id, user_message: body?.user_message ?? this.message });
  }
}
async function api(method, path, body, key) {
  const headers = { Authorization: "Bearer demo" };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  let res;
  try {
    res = await fetch(path, { method, headers, body: body && JSON.stringify(body), cache: "no-store", signal: AbortSignal.timeout(20000) });
  } catch { throw new Offline(); }
  learnClock(res.headers.get("date"));
  const data = await res.json().catch(() => null);
  if (!res.ok) throw new Problem(res.status, data);
  return data ?? {};
}
const at = (suffix = "") => `/v1/verifications/${encodeURIComponent(state.view.id)}${suffix}`;

// `Date` is cut to whole seconds, so the greatest difference seen is the nearest to the truth.
function learnClock(date) {
  const difference = Date.parse(date) - Date.now();
  if (difference > state.skew) state.skew = difference;
}
const serverNow = () => Date.now() + (Number.isFinite(state.skew) && Math.abs(state.skew) > 1500 ? state.skew : 0);

// What the widget asks of the app's back end. Here the page plays that part, with the demo's key.
async function create({ to, channel, locale, idempotency_key }) {
  clear();
  const { session } = state;
  const number = foldedNumber(to);
  state.digits = number?.slice(1) ?? "";
  try {
    if (number && !state.real) {
      const before = await api("GET", `/handset/${state.digits}`);
      state.base = { messages: before.messages.length, calls: before.calls.length };
      listen(session);
    }
    const view = await api("POST", "/v1/verifications", { to, channel, locale }, idempotency_key);
    if (session !== state.session) return view;
    state.since = Date.parse(view.created_at) - 500;
    hear(state.handset);
    adopt(view);
    poll(session);
    return view;
  } catch (problem) {
    if (session !== state.session) throw problem;
    if (problem.id) { state.view = { id: problem.id, status: "undeliverable", attempts: [] }; poll(session); } // it is kept
    else state.stream?.close();
    throw problem;
  }
}
async function check({ id, code, idempotency_key }) {
  const answer = await api("POST", `/v1/verifications/${encodeURIComponent(id)}/checks`, { code }, idempotency_key);
  if (state.view?.id === id && answer.result === "verified") {
    state.verified = answer;
    adopt({ ...state.view, status: "verified", next: null });
  }
  wake();
  return answer;
}
async function cancel({ id, idempotency_key }) {
  await api("POST", `/v1/verifications/${encodeURIComponent(id)}/cancel`, {}, idempotency_key);
  wake();
}

// --- What it has learned ---
async function learn() {
  const { routes } = await api("GET", "/v1/routes");
  state.learned = routes;
  render();
}
async function forget() {
  await api("POST", "/demo/forget", {});
  await learn();
  announce("What was learned is forgotten");
}
