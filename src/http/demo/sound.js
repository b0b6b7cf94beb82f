// --- Sound: off by default, generated here ---
let audio = null, ringer = null;
function tone(frequencies, start, length, level) {
  const gain = audio.createGain();
  gain.connect(audio.destination);
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(level, start + 0.02);
  gain.gain.setValueAtTime(level, start + length - 0.06);
  gain.gain.linearRampToValueAtTime(0, start + length);
  for (const frequency of frequencies) {
    const oscillator = audio.createOscillator();
    oscillator.frequency.value = frequency;
    oscillator.connect(gain);
    oscillator.start(start);
    oscillator.stop(start + length);
  }
}
function chime(...notes) {
  if (state.sound) notes.forEach((f, i) => tone([f], audio.currentTime + i * 0.11, 0.18, 0.07));
}
function ring(on) {
  if (on && state.sound && !ringer) {
    const burst = () => [0, 0.5].forEach((wait) => tone([440, 480], audio.currentTime + wait, 0.4, 0.06));
    burst();
    ringer = setInterval(burst, 1600);
  } else if (ringer && !(on && state.sound)) { clearInterval(ringer); ringer = null; }
}
function say(step, call) {
  if (!state.sound || !("speechSynthesis" in window)) return;
  const [round, digit] = step.split(":");
  const words = step === "intro" ? "Your code is" : digit === "gap" ? (Number(round) + 1 < READINGS ? "Once more" : "Goodbye") : call.code[digit];
  if (words) speechSynthesis.speak(Object.assign(new SpeechSynthesisUtterance(words), { lang: "en-US" }));
}
function hush() { if ("speechSynthesis" in window) speechSynthesis.cancel(); }
function toggleSound() {
  state.sound = !state.sound;
  if (state.sound) { audio ??= new AudioContext(); audio.resume(); } else hush();
  render();
}

