// --- The phone ---
function hear(handset) {
  state.handset = { messages: handset.messages ?? [], calls: handset.calls ?? [] };
  const fresh = (kind) => (item, index) => index >= state.base[kind] || Date.parse(item.at) >= state.since;
  state.handset.messages.forEach((message, index) => {
    if (!fresh("messages")(message, index) || state.notes.includes(`messages:${index}`)) return;
    note(`messages:${index}`, "A text arrived on the phone");
    chime(880, 1320);
  });
  state.handset.calls.forEach((call, index) => {
    if (!fresh("calls")(call, index) || state.playing.has(index)) return;
    const old = Date.parse(call.at) < serverNow() - 15000;
    state.playing.set(index, { phase: old ? "over" : "ringing", since: Date.now() });
    if (!old && call.status !== "busy") announce("The phone is ringing");
  });
  stage();
}
function note(key, said) {
  state.notes.push(key);
  if (!state.phoneInView) state.unseen = said;
  announce(said);
}
// Moves each call along: ringing (long enough to be seen), talking, done.
function stage() {
  const t = Date.now();
  state.playing.forEach((p, index) => {
    const call = state.handset.calls[index];
    if (!call) return;
    const rang = t - p.since;
    const taken = ["answered", "completed"].includes(call.status);
    if (p.phase === "over") hangUp(index);
    else if (p.phase === "ringing" && taken && rang >= RING_MIN) { Object.assign(p, { phase: "talking", since: t }); announce("The call was answered"); }
    else if (p.phase === "ringing" && MISSED[call.status] && (call.status === "busy" || rang >= MISSED_MIN)) hangUp(index);
    else if (p.phase === "talking") {
      if (call.code) p.codeAt ??= t;
      const { step, over } = reading(call, p);
      if (over || (!call.code && (call.status !== "answered" && t - p.since > 3000))) hangUp(index);
      else if (step !== p.step) { p.step = step; say(step, call); }
    }
  });
  ring([...state.playing.values()].some((p) => p.phase === "ringing"));
}
function hangUp(index) {
  state.playing.get(index).phase = "done";
  hush();
  if (!state.notes.includes(`calls:${index}`)) {
    const call = state.handset.calls[index];
    if (call) note(`calls:${index}`, call.code ? "The call has ended. It read out the code" : MISSED[call.status]?.[1] ?? "The call has ended");
  }
}
// Where the voice is: which digit is being spoken, and how many have been heard.
function reading(call, p) {
  const n = call.code?.length ?? 0;
  const spent = Date.now() - p.codeAt - INTRO;
  if (!n || !(spent >= 0)) return { digit: -1, heard: 0, over: false, step: n ? "intro" : "" };
  const round = Math.floor(spent / (n * DIGIT + GAP));
  const digit = Math.floor((spent % (n * DIGIT + GAP)) / DIGIT);
  const speaking = digit < n;
  return { digit: speaking ? digit : -1, heard: round || !speaking ? n : digit + 1, over: round >= READINGS, step: speaking ? `${round}:${digit}` : `${round}:gap` };
}
async function typeIn(code) {
  const { session } = state;
  const slow = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (let digits = slow ? 1 : code.length; digits <= code.length; digits += 1) {
    $("widget").enter(code.slice(0, digits));
    if (slow) await new Promise((done) => setTimeout(done, 70));
    if (session !== state.session) return;
  }
}

