// --- Drawing ---
function el(tag, props = {}, ...children) {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children);
  return node;
}
function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "i");
  svg.setAttribute("aria-hidden", "true");
  svg.append(document.createElementNS("http://www.w3.org/2000/svg", "use"));
  return paint(svg, name);
}
function paint(svg, name) { svg.firstElementChild.setAttribute("href", `#i-${name}`); return svg; }
function write(node, words) { if (node.textContent !== words) node.textContent = words; }
function announce(words) { write($("announce"), words); }
// Keeps nodes whose key stays, so that focus and scrolling survive a redraw.
function list(parent, items, key, make, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, index) => {
    const k = key(item, index);
    const node = old.get(k) ?? make(item);
    node.dataset.key = k;
    old.delete(k);
    update?.(node, item);
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  old.forEach((node) => node.remove());
}

function render() {
  const chosen = scenario()?.[0];
  for (const { firstChild: radio } of $("chips").children) radio.checked = radio.value === chosen;
  drawApp();
  drawService();
  drawTimeline();
  drawPhone();
  write($("curl"), curl());
  $("offline").hidden = !state.offline;
  const ringing = [...state.playing.values()].some((p) => p.phase === "ringing");
  $("jump").hidden = state.phoneInView || !(ringing || state.unseen) || state.offline;
  write($("jump"), `${ringing ? "The phone is ringing" : state.unseen} · Show`);
  document.title = ringing ? "Ringing… · phlo-2fa demo" : "phlo-2fa demo";
}
function drawApp() {
  const { view, verified: v } = state;
  write($("lead"), scenario()?.[2] ?? "We send you a code to check that the number is yours.");
  $("done").hidden = !v;
  if (!v) return;
  const took = Math.round((Date.parse(v.verified_at) - Date.parse(view.created_at)) / 1000);
  write($("done-text"), `The code came by ${v.channel === "call" ? "call" : "text"} and was entered after ${took}\u00a0s.`);
}
function drawService() {
  const { view } = state;
  write($("learned"), learned());
  $("forget").hidden = !state.learned?.length || state.real;
  $("idle").hidden = Boolean(view);
  $("live").hidden = !view;
  if (!view) return;
  const pending = view.status === "pending";
  const [headline, why] = plan(view);
  write($("plan"), headline);
  write($("plan-why"), why);
  const from = Date.parse(view.attempts.at(-1)?.at ?? view.created_at);
  const until = Date.parse(view.next?.at);
  $("bar").hidden = !(pending && until > from);
  $("bar").firstElementChild.style.transform = `scaleX(${Math.min(1, Math.max(0, (serverNow() - from) / (until - from)))})`;
  write($("fact-to"), [view.to, view.country].filter(Boolean).join(" "));
  const left = view.checks_remaining ?? 0;
  write($("fact-checks"), String(left));
  list($("dots"), Array.from({ length: Math.max(left, 5) }, (_, i) => i), String, () => el("i"), (node, i) => node.classList.toggle("on", i < left));
  $("fact-ttl-box").hidden = !pending || !view.expires_at;
  write($("fact-ttl"), minutes(Date.parse(view.expires_at) - serverNow()));
  list($("attempts"), view.attempts, (a, i) => String(i), makeAttempt, updateAttempt);
}
function makeAttempt(attempt) {
  return el("li", { className: "attempt" }, icon(attempt.channel === "call" ? "call" : "text"), el("span", {}, el("b"), el("span", { className: "via" })), el("span"), el("span", { className: "why" }));
}
function updateAttempt(node, a) {
  const [label, color] = ATTEMPT[a.status] ?? [String(a.status).replaceAll("_", " "), "flat"];
  const [, name, badge, why] = node.children;
  write(name.firstChild, a.channel === "call" ? "Call" : "Text");
  write(name.lastChild, [a.via && `via ${{ phlo: "PHLO", api: "API" }[a.via] ?? a.via}`, clockTime(a.at, true)].filter(Boolean).join(" · "));
  write(badge, label);
  badge.className = `badge tone-${color}`;
  write(why, [a.reason && `Because ${reasonWords(a.reason)}`, a.error_code && `Plivo's ${a.channel === "call" ? "hangup cause" : "error code"} ${a.error_code}`].filter(Boolean).join(" · "));
}
function drawTimeline() {
  const box = $("scroll");
  $("log-empty").hidden = state.entries.length > 0;
  box.classList.toggle("inputs", $("inputs").checked);
  list($("entries"), rows(state.entries), ({ entry }, i) => `${i} ${entry.at} ${entry.event}`, makeEntry, updateEntry);
}
// What was weighed is the why of the decision that follows it.
function rows(entries) {
  const why = (entry) => entries.find((e) => e.event === "weighed" && e.attempt === entry.attempt)?.text;
  const is_decision = ({ event }) => event === "escalated" || event === "attempt_decided";
  const is_decided = (weighed) => entries.some((e) => is_decision(e) && e.attempt === weighed.attempt);
  return entries.filter((e) => e.event !== "weighed" || !is_decided(e)).map((entry) => ({ entry, why: is_decision(entry) ? why(entry) : undefined }));
}
function makeEntry({ entry }) {
  const [name, color] = look(entry);
  const since = (Date.parse(entry.at) - Date.parse(state.entries[0].at)) / 1000;
  const why = el("details", { hidden: true }, el("summary", { textContent: "Why" }), el("p"));
  return el("li", { className: "entry new" }, el("time", { dateTime: entry.at, textContent: clockTime(entry.at, true) }), el("span", { className: `dot tone-${color}` }, icon(name)),
    el("div", {}, el("p"), why, el("code", { textContent: `${entry.event}  ${inputs(entry)}` })), el("span", { className: "since", textContent: since >= 0.05 ? `+${since.toFixed(1)} s` : "" }));
}
function updateEntry(node, { entry, why }) {
  const [sentence, details] = node.children[2].children;
  write(sentence, named(entry.text ?? String(entry.event).replaceAll("_", " ")));
  details.hidden = !why;
  write(details.lastChild, named(why ?? ""));
}
function drawPhone() {
  const t = serverNow();
  write($("clock"), clockTime(t));
  write($("clock-small"), $("clock").textContent);
  write($("date"), new Date(t).toLocaleDateString([], { weekday: "long", month: "long", day: "numeric" }));
  write($("empty"), state.real ? "This demo uses a real Plivo account: look at your own phone." : state.digits ? `Nothing has arrived at +${state.digits} yet.` : "Texts and calls for the number arrive here.");
  $("empty").hidden = state.notes.length > 0;
  $("notes").hidden = !state.notes.length;
  list($("notes"), [...state.notes].reverse(), (key) => key, makeNote, updateNote);
  drawCall();
  $("sound").setAttribute("aria-pressed", String(state.sound));
  write($("sound").lastElementChild, state.sound ? "Sound on" : "Sound off");
  paint($("sound").firstElementChild, state.sound ? "sound" : "mute");
}
function noted(key) {
  const [kind, index] = key.split(":");
  return { kind, index: Number(index), item: state.handset[kind][index] };
}
function makeNote(key) {
  const { kind, index, item } = noted(key);
  const call = kind === "calls";
  const button = (words, className, onclick) => { const b = el("button", { type: "button", textContent: words, className }); b.addEventListener("click", onclick); return b; };
  const listen = () => { Object.assign(state.playing.get(index), { phase: "talking", since: Date.now(), codeAt: undefined, step: "" }); stage(); render(); };
  return el("li", { className: `note new ${call ? "call" : ""}` }, el("header", {}, icon(call ? "call" : "text"), el("span"), el("time", { textContent: clockTime(item.at) })), el("p"), el("p", { className: "spoken" }),
    el("div", { className: "row" }, button("Type it in for me", "type", () => typeIn(noted(key).item.code)), ...(call ? [button("Listen again", "again", listen)] : [])));
}
function updateNote(node, key) {
  const { kind, item } = noted(key);
  if (!item) return;
  const [title, words] = kind === "messages" ? ["Messages", item.text] : (!item.code && MISSED[item.status]) || ["Phone", item.code ? "A voice read out the code:" : "The call has ended."];
  const [header, body, spoken, buttons] = node.children;
  write(header.children[1], title);
  write(body, words ?? "");
  write(spoken, kind === "calls" && item.code ? item.code : "");
  node.classList.toggle("lost", kind === "calls" && !item.code);
  buttons.hidden = !item.code;
  buttons.firstChild.hidden = state.view?.status !== "pending";
}
function drawCall() {
  const current = [...state.playing].find(([i, p]) => ["ringing", "talking"].includes(p.phase) && state.handset.calls[i]);
  $("talk").hidden = !current;
  const [index, p] = current ?? [];
  const ringing = p?.phase === "ringing";
  $("device").classList.toggle("buzz", Boolean(ringing));
  if (!current) return;
  const call = state.handset.calls[index];
  const { digit, heard } = reading(call, p);
  $("talk").className = `talk ${p.phase}`;
  write($("talk-what"), ringing ? "is calling…" : !call.code ? "Connected" : digit < 0 && !heard ? "“Your code is…”" : digit < 0 ? "“Once more…”" : "Reading the code digit by digit");
  $("hang").hidden = ringing;
  $("talk-hint").hidden = !ringing;
  $("digits").hidden = ringing;
  list($("digits"), [...(call.code ?? "")], (_, i) => String(i), () => el("span"));
  [...$("digits").children].forEach((box, i) => { write(box, i < heard ? call.code[i] : ""); box.classList.toggle("now", i === digit); });
  $("talk-type").hidden = ringing || !call.code || heard < call.code.length || state.view?.status !== "pending";
  $("hang").onclick = () => { hangUp(index); render(); };
  $("talk-type").onclick = () => typeIn(call.code);
}

