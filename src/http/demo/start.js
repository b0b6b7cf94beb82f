// --- Beginning ---
function reset(suffix) {
  clear();
  $("widget").restart();
  if (suffix) $("widget").number = `+1415555${suffix}`;
  render();
}
for (const [suffix, label] of SCENARIOS) {
  const radio = el("input", { type: "radio", name: "scenario", value: suffix });
  radio.addEventListener("change", () => reset(suffix));
  $("chips").append(el("label", { className: "chip" }, radio, el("b", { textContent: suffix }), label));
}
Object.assign($("widget"), { create, check, cancel });
$("again").addEventListener("click", () => { reset(); $("chips").querySelector(":checked, input").focus(); });
$("sound").addEventListener("click", toggleSound);
$("inputs").addEventListener("change", render);
$("forget").addEventListener("click", () => { forget().catch((why) => announce(why.message)); });
$("retry").addEventListener("click", wake);
$("jump").addEventListener("click", () => $("device").scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" }));
$("copy").hidden = !navigator.clipboard;
$("copy").addEventListener("click", async () => { await navigator.clipboard.writeText(curl()); write($("copy"), "Copied"); setTimeout(write, 1500, $("copy"), "Copy"); });
document.addEventListener("visibilitychange", () => { if (!document.hidden && !state.finalAt) wake(); });
new IntersectionObserver(([entry]) => { state.phoneInView = entry.isIntersecting; if (entry.isIntersecting) state.unseen = ""; render(); }, { threshold: 0.35 }).observe($("device"));

clear();
render();
api("GET", "/handset/14155550100").catch((problem) => { // with a real Plivo account there is no handset to draw, and texts cost money
  if (problem.status !== 404) return;
  state.real = $("scenarios").hidden = true;
  write($("safe"), "This demo uses a real Plivo account: texts and calls are sent and cost money.");
  $("widget").number = "";
  render();
});
learn().catch(() => {}); // the end of a verification asks again
setInterval(() => { stage(); render(); }, 150);
