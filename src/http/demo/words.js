// --- Words ---
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);
const reasonWords = (reason) => REASON[reason] ?? String(reason).replaceAll("_", " ");
const clockTime = (when, seconds) => new Date(when).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23", ...(seconds && { second: "2-digit" }) });
const minutes = (ms) => { const s = Math.max(0, Math.ceil(ms / 1000)); return `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")}`; };
//= fold.js
const scenario = () => SCENARIOS.find(([suffix]) => $("widget").number === `+1415555${suffix}`);
const carrier = (route) => (CARRIERS[route] ? `${CARRIERS[route]} (${route})` : `route ${route}`);
const named = (text) => text.replace(/\broute (\d{3}-\d{2,3})\b/g, (_, route) => carrier(route));
function learned() {
  const [busiest] = state.learned ?? [];
  if (!busiest?.verifications) return "Each verification here teaches it when to call next time. Nothing is learned yet.";
  const wait = busiest.call_after_s === null ? "no call" : `a call after ${Math.round(busiest.call_after_s)} s`;
  return `After ${plural(busiest.verifications, "verification")} on ${carrier(busiest.route)}, a silent text there is followed by ${wait}.`;
}

// What comes next, as a headline and its reason.
function plan(view) {
  if (view.status !== "pending") return ["Finished", view.status === "verified" ? "The right code was entered, so nothing more is sent." : "Nothing more is sent for this verification."];
  const last = view.attempts.at(-1);
  if (view.next) {
    const seconds = Math.ceil((Date.parse(view.next.at) - serverNow()) / 1000);
    const when = seconds > 0 ? `in ${seconds} s` : "now";
    if (view.next.channel !== "call") return [`We text again ${when}`, capital(reasonWords(view.next.reason)) + "."];
    if (last?.channel === "call") return [`We call again ${when}`, { busy: "The line was busy.", no_answer: "The last call was not answered." }[last.status] ?? "The last call did not get through."];
    const known = {
      no_report: ["If nothing arrives, we call", "No delivery report so far."],
      stuck_queued: ["If nothing arrives, we call", "Plivo still has the text in its queue."],
      delivered_unverified: ["If no code is entered, we call", "The carrier reports it as delivered, which is not always true."],
      route_unreliable: ["If nothing arrives, we call", "By this route's recent texts, waiting longer is expected to cost more."],
    }[view.next.reason] ?? ["We call", capital(reasonWords(view.next.reason)) + "."];
    return [`${known[0]} ${when}`, known[1]];
  }
  const open = last && { call: {
    ringing: ["The phone is ringing", "The same code will be read out."], answered: ["The call was answered", "The same code is read out, digit by digit."],
    completed: ["The code was read out", "Enter it now."] }, sms: {
    triggering: ["Sending the text", "The request to Plivo is in progress."], delivered: ["The text was delivered", "No call is planned."] } }[last.channel]?.[last.status];
  if (open) return open;
  if (last?.channel === "call" && CALL_OPEN.includes(last.status)) {
    return ["Placing the call", { triggering: "The request to Plivo is in progress.", unknown: "Plivo has not answered; the phone may be ringing already." }[last.status] ?? "Plivo has accepted it."];
  }
  return ["Nothing more is planned", "Request a text or a call, or enter the code if it still arrives."];
}
function look(entry) { // icon and tone; an event we do not know gets a plain dot
  const words = [entry.event, entry.status, entry.result, entry.class].filter((w) => typeof w === "string").join(" ");
  const { channel } = entry;
  const icon = /(^| )verified|check_passed/.test(words) ? "check"
    : /escalat|decid|decision|plan|timer|wait|due|repeat/.test(words) ? "clock"
    : /check|code/.test(words) ? "key"
    : /creat|opened|joined/.test(words) ? "start"
    : /expired|cancel|undeliverable|max_checks|refused/.test(words) ? "cross"
    : channel === "call" || (channel !== "sms" && /call|ringing|answer|voice/.test(words)) ? "call"
    : channel === "sms" || /sms|text|message|deliver|trigger/.test(words) ? "text" : "dot";
  const color = /undeliver|fail|reject|refus|incorrect|wrong|max_checks|stop|error/.test(words) ? "bad"
    : /no_answer|busy|machine|unknown|cancel|expired|transient|unverified|no_report|stuck/.test(words) ? "warn"
    : /verified|delivered|answered|completed|correct/.test(words) ? "ok"
    : /escalat|call|ringing/.test(words) ? "info" : "flat";
  return [icon, color];
}
function inputs(entry) {
  return Object.entries(entry).filter(([k, v]) => !["at", "event", "text", "code", "otp"].includes(k) && v !== null)
    .map(([k, v]) => `${k}=${typeof v === "object" ? JSON.stringify(v) : v}`).join("  ");
}
function curl() {
  const show = (method, path, body) => [`curl -sS ${location.origin}${path}`, "  -H 'Authorization: Bearer demo'",
    ...(body ? ["  -H 'Content-Type: application/json'", `  -d '${JSON.stringify(body)}'`] : [])].join(" \\\n");
  const id = state.view?.id ?? "vrf_…";
  return [show("POST", "/v1/verifications", { to: $("widget").number ?? "+14155550101" }),
    show("POST", `/v1/verifications/${id}/checks`, { code: "123456" }), show("GET", `/v1/verifications/${id}/timeline`)].join("\n\n");
}

