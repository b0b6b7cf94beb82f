// <phlo-verify>: asks for a number and a code, and says what happens meanwhile.
//
// The site's own back end creates and checks. The widget speaks to the service with the `client_token` of the creation only:
// it follows the verification, reports typing and asks for another text or a call. It needs neither eval nor inline styles,
// and sets no HTML, so it runs under a strict policy.
const SERVICE = document.currentScript?.src;
// Problems after which this verification goes no further.
const ENDED = /^(max_checks_reached|already_verified|verification_)/;
// Milliseconds.
const TYPING_EVERY = 4000, TICK = 500;

class PhloVerify extends HTMLElement {
  connectedCallback() {
    if (!this.shadowRoot) this.build();
    this.timer = setInterval(() => this.render(), TICK);
    if (this.made) this.follow();
    this.render();
  }
  disconnectedCallback() { clearInterval(this.timer); this.leave(); }

  // --- For the page ---
  get number() { return typedNumber(this.input.value, this.select.value); }
  set number(text) { this.input.value = text; this.numbered(); }
  // Begins again at the number.
  restart() {
    this.leave();
    this.made = this.ended = this.turn = this.busy = null;
    this.code.value = this.tried = this.error = "";
    this.render();
  }
  // Fills in a code, and checks it when it is complete.
  enter(code) { this.code.value = code; this.typed(); }

  // --- The site's back end ---
  // The site's function, or a POST to the site's URL. A request that was not answered is repeated with the same key.
  async ask(what, body) {
    const name = what + JSON.stringify(body);
    if (this.asked !== name) this.key = crypto.getRandomValues(new Uint32Array(4)).join("-");
    this.asked = name;
    body.idempotency_key = this.key;
    let answer;
    if (this[what]) answer = await this[what](body);
    else {
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(this.getAttribute(`${what}-url`), { method: "POST", headers, body: JSON.stringify(body) });
      answer = await response.json();
      if (response.status < 500) this.asked = "";
      if (!response.ok) throw answer;
    }
    this.asked = "";
    return answer;
  }
  // Runs one action of the person at a time. What goes wrong is said at the field. What comes after a restart is dropped.
  async act(work) {
    if (this.busy) return;
    const turn = this.turn = this.busy = {};
    const is_over = () => this.turn !== turn;
    this.error = "";
    this.render();
    try { await work(is_over); } catch (problem) {
      if (is_over()) return;
      this.error = problem?.user_message || this.said("retry");
      if (this.made && ENDED.test(problem?.code)) this.end(problem.code);
      this.emit("problem", problem);
    }
    if (is_over()) return;
    this.busy = null;
    this.render();
    if (this.error && !this.ended) { const field = this.made ? this.code : this.input; field.focus(); field.select(); }
  }
  // Without a calling code that fits, the service says what is wrong with the number.
  send(channel) {
    const to = this.hasAttribute("known-number") ? undefined : this.number ?? this.input.value;
    if (to !== undefined && !this.input.reportValidity()) return;
    this.act(async (is_over) => {
      const made = await this.ask("create", { to, channel, locale: this.locale() });
      if (is_over()) return;
      this.made = made;
      this.code.value = this.tried = "";
      this.show(made);
      this.render();
      if (this.ended) return;
      this.code.focus();
      this.follow();
      this.read_text();
    });
  }
  submit() {
    if (!this.code.reportValidity()) return;
    const code = this.tried = this.code.value;
    this.act(async (is_over) => {
      const answer = await this.ask("check", { id: this.made.id, code });
      if (is_over()) return;
      if (answer.result === "verified") return this.end("verified", answer);
      this.error = answer.user_message || this.said("retry");
      if (answer.status && answer.status !== "pending") this.end(answer.status);
    });
  }
  // The wrong number: no call follows. A site that can cancel does.
  give_up() {
    const { id } = this.made;
    if (!this.ended && (this.cancel || this.hasAttribute("cancel-url"))) this.ask("cancel", { id }).catch(() => {});
    else if (!this.ended) this.activity("received");
    this.restart();
    this.input.focus();
  }

  // --- The service, with the client token ---
  service(path) {
    const { origin } = new URL(this.getAttribute("service") || SERVICE || "/", location);
    return `${origin}/v1/verifications/${encodeURIComponent(this.made.id)}/${path}`;
  }
  async tell(path, body) {
    const headers = { Authorization: `Bearer ${this.made.client_token}`, "Content-Type": "application/json" };
    const response = await fetch(this.service(path), { method: "POST", headers, body: JSON.stringify(body) });
    const answer = await response.json();
    if (!response.ok) throw answer;
    this.show(answer);
  }
  attempt(channel) { this.act(() => this.tell("attempts", { channel })); }
  activity(kind) { return this.tell("activity", { kind }).catch(() => {}); } // a lost report costs a call at most
  follow() {
    this.leave();
    if (this.ended || !this.made.client_token) return;
    const url = `${this.service("stream")}?client_token=${encodeURIComponent(this.made.client_token)}`;
    this.source = new Follower(url, (news) => this.show(news));
  }
  leave() { this.source?.close(); this.reading?.abort(); }
  show(news) {
    const { made } = this;
    if (!made || this.ended || news.id !== made.id) return;
    this.made = Object.assign(made, { ...news, client_token: made.client_token });
    this.again_at = Date.now() + (news.resend_after || 0) * 1000;
    this.emit("state", made);
    // The answer to a check that is under way says more.
    if (news.status && news.status !== "pending" && !(this.busy && news.status === "verified")) this.end(news.status);
    this.render();
  }
  end(status, answer) {
    if (this.ended) return;
    const has_focus = this.shadowRoot.activeElement || document.activeElement === document.body;
    this.ended = status;
    this.leave();
    this.render();
    if (has_focus) this.result.focus();
    this.emit(status === "verified" ? status : "ended", answer ?? this.made);
  }
  emit(name, detail) { this.dispatchEvent(new CustomEvent(`phlo-${name}`, { detail, bubbles: true, composed: true })); }
  // WebOTP: the browser reads the code from the text, if the text names the site's origin.
  read_text() {
    if (!window.OTPCredential) return;
    this.reading = new AbortController();
    navigator.credentials.get({ otp: { transport: ["sms"] }, signal: this.reading.signal }).then((otp) => this.enter(otp.code), () => {});
  }

  // --- What the person types ---
  length() { return Number(this.getAttribute("code-length")) || 6; }
  locale() { return this.getAttribute("locale") || this.closest("[lang]")?.lang || navigator.language; }
  // A whole text may be pasted: a run of as many digits as the code has is taken out of it.
  typed() {
    const length = this.length(), all = folded(this.code.value);
    const run = all.match(`(?<!\\d)\\d{${length}}(?!\\d)`);
    const code = run ? run[0] : all.replace(/\D/g, "").slice(0, length);
    if (this.code.value !== code) this.code.value = code;
    this.error = "";
    if (code && !(Date.now() - this.typed_at < TYPING_EVERY)) { this.typed_at = Date.now(); this.activity("typing"); }
    this.render();
    if (code.length === length && code !== this.tried) this.submit();
  }
  numbered() {
    const number = foldedNumber(this.input.value);
    const country = number && countryOf(number, this.select.value);
    if (country) this.select.value = country;
    this.error = "";
    this.render();
  }
  // A number that begins with another country's calling code loses it.
  country_chosen() {
    const number = foldedNumber(this.input.value), country = number && countryOf(number);
    if (country) this.input.value = number.slice(1 + CODE_OF.get(country).length);
    this.render();
  }

  // --- Drawing ---
  said(name) { return this.words[SAID.indexOf(name)]; }
  // What happens, and what comes next.
  plan() {
    const { attempts = [], next } = this.made;
    const { channel, status } = attempts.at(-1) ?? {};
    const now = channel === "call"
      ? { no_answer: "missed", busy: "missed", rejected: "missed", failed: "missed", machine: "missed", completed: "spoken" }[status] ?? "calling"
      : { delivered: "delivered", undelivered: "lost", failed: "lost" }[status] ?? "sent";
    const at = next?.at && Date.parse(next.at) + (this.source?.skew ?? 0);
    return [now, at && this.said("next").replace("{n}", Math.max(0, Math.ceil((at - Date.now()) / 1000)))];
  }
  render() {
    const { made, ended, error = "" } = this;
    const step = !made ? 0 : ended ? 2 : 1;
    this.steps.forEach((node, index) => { node.hidden = index !== step; });
    this.root.ariaBusy = Boolean(this.busy);
    [this.input, this.code].forEach((field, index) => {
      const shown = step === index ? error : "";
      write(this.errors[index], shown);
      field.parentNode.classList.toggle("bad", shown);
      field.ariaInvalid = Boolean(shown);
    });
    write(this.dial, `${this.select.value} +${CODE_OF.get(this.select.value)} ▾`);
    let state = "";
    if (step === 1) {
      const [now, next] = this.plan();
      const wait = Math.ceil((this.again_at - Date.now()) / 1000);
      write(this.sent_to, this.said("code").replace("{to}", `\u2066${made.to ?? "…"}\u2069`));
      write(this.live, this.said(now) + (next ? ` · ${next}` : ""));
      const [call, stop, again] = this.ways;
      call.hidden = now === "calling";
      stop.hidden = !next;
      write(again, this.said("again") + (wait > 0 ? ` (${wait})` : ""));
      again.ariaDisabled = wait > 0;
      state = now + !next;
    }
    // Read out when the plan changes, and not each second.
    if (this.state !== state) write(this.status, state && this.live.textContent);
    this.state = state;
    if (step === 2) {
      const good = /^(already_)?verified/.test(ended);
      write(this.outcome, good ? `✓ ${this.said("done")}` : error || made.user_message || this.said("retry"));
      this.over.hidden = good;
    }
  }
  build() {
    const tag = wordsTag(this.locale());
    this.words = WORDS[tag].split("|");
    const shadow = this.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(STYLE);
    shadow.adoptedStyleSheets = [sheet];
    const main = (name) => el("button", { textContent: this.said(name) });
    const other = (name, onclick) => el("button", { type: "button", className: "quiet", textContent: this.said(name), onclick });
    const row = (...children) => el("div", { className: "row" }, ...children);
    const form = (onsubmit, ...children) => el("form", { noValidate: true, onsubmit: (event) => { event.preventDefault(); onsubmit(); } }, ...children);
    this.errors = ["number-error", "code-error"].map((id) => el("p", { className: "error", id, role: "alert" }));

    const names = new Intl.DisplayNames([tag], { type: "region" });
    const countries = [...CODE_OF].map(([country, code]) => [`${names.of(country)} +${code}`, country]).sort((a, b) => a[0].localeCompare(b[0], tag));
    this.select = el("select", { ariaLabel: this.said("country"), onchange: () => this.country_chosen() },
      ...countries.map(([name, value]) => el("option", { value, textContent: name })));
    const own = this.getAttribute("country") || new Intl.Locale(navigator.language).maximize().region;
    this.select.value = CODE_OF.has(own) ? own : "US";
    this.dial = el("span", { ariaHidden: true });
    this.input = el("input", { id: "number", type: "tel", autocomplete: "tel", required: true, oninput: () => this.numbered(), "aria-describedby": "number-error" });
    this.code = el("input", { id: "code", inputMode: "numeric", autocomplete: "one-time-code", required: true, pattern: `\\d{${this.length()}}`,
      oninput: () => this.typed(), "aria-describedby": "code-error" });
    this.sent_to = el("label", { htmlFor: "code" });
    const boxes = Array.from({ length: this.length() }, () => el("i", { ariaHidden: true }));
    this.live = el("p", { className: "live" });
    this.ways = [other("callMe", () => this.attempt("call")), other("wait", () => this.activity("received")),
      other("again", () => { if (Date.now() >= this.again_at) this.attempt("sms"); })];
    const change = () => other("other", () => this.give_up());
    this.outcome = this.result = el("p", { className: "done", tabIndex: -1 });
    this.over = row(other("again", () => { this.restart(); this.send(); }), change());

    const known = this.hasAttribute("known-number");
    this.steps = [
      form(() => this.send(), el("div", { hidden: known }, el("label", { htmlFor: "number", textContent: this.said("number") }),
        el("div", { className: "field", dir: "ltr" }, el("span", { className: "dial" }, this.dial, this.select), this.input)),
      this.errors[0], row(main("send"), other("callMe", () => this.send("call")))),
      form(() => this.submit(), this.sent_to, el("div", { className: this.length() > 6 ? "boxes small" : "boxes", dir: "ltr" }, ...boxes, this.code),
        this.errors[1], this.live, row(main("verify"), ...this.ways, ...known ? [] : [change()])),
      el("div", {}, this.result, this.over)];
    this.status = el("p", { className: "sr", role: "status" });
    this.root = el("div", { lang: tag, dir: /^(ar|ur)/.test(tag) ? "rtl" : "ltr" }, ...this.steps, this.status);
    shadow.append(this.root);
    this.number = this.getAttribute("number") ?? "";
  }
}
customElements.get("phlo-verify") || customElements.define("phlo-verify", PhloVerify);
// Puts the widget into an element of the page: { create, check, cancel } as functions, and attributes in camel case.
window.phloVerify = (place, options = {}) => {
  const widget = el("phlo-verify");
  for (const name in options) {
    if (typeof options[name] === "function") widget[name] = options[name];
    else widget.setAttribute(name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`), options[name]);
  }
  place.append(widget);
  return widget;
};
