// --- Watching ---
async function poll(session) {
  if (session !== state.session) return;
  clearTimeout(state.timer);
  let pause = document.hidden ? 4000 : 700;
  try {
    const heard = state.real || state.stream?.live && Date.now() - state.stream.at < 5000; // a stream may also be stuck in a proxy
    const [view, timeline, handset] = await Promise.allSettled([
      api("GET", at()), api("GET", at("/timeline")), heard ? null : api("GET", `/handset/${state.digits}`)]);
    if (session !== state.session) return;
    if (timeline.value) state.entries = timeline.value.entries ?? [];
    if (handset.value) hear(handset.value);
    if (view.reason) throw view.reason;
    adopt(view.value);
    state.offline = false;
  } catch (error) {
    if (!(error instanceof Offline || error instanceof Problem)) throw error;
    state.offline = true;
    pause = 2500;
  }
  render();
  if (state.finalAt) pause = 2500; // late reports still come in for a while
  if (!state.finalAt || Date.now() - state.finalAt < 45000) {
    clearTimeout(state.timer);
    state.timer = setTimeout(poll, pause, session);
  }
}
function wake() { if (state.view) poll(state.session); }

function listen(session) {
  state.stream?.close();
  if (!("EventSource" in window)) return;
  const stream = state.stream = new EventSource(`/handset/${state.digits}/stream`);
  stream.onmessage = (event) => {
    if (session !== state.session) return;
    Object.assign(stream, { live: true, at: Date.now() }); // until then, and after it broke, poll() asks
    hear(JSON.parse(event.data));
    render();
  };
  stream.onerror = () => { stream.live = false; };
}

function adopt(view) {
  const before = state.view;
  if (before && before.status !== "pending" && view.status === "pending") return; // an older answer that arrived late
  state.view = { ...view, joined: view.joined || before?.joined };
  if (view.status !== "pending" && !state.finalAt) finish(view);
  else if (view.next && `${view.next.at}${view.next.reason}` !== state.planned) {
    state.planned = `${view.next.at}${view.next.reason}`;
    announce(plan(view)[0]);
  }
}
function finish(view) {
  state.finalAt = Date.now();
  state.playing.forEach((p, index) => { if (p.phase !== "done") hangUp(index); });
  render();
  if (view.status === "verified") chime(660, 990);
  learn().catch(() => {}); // the next one tells
}
