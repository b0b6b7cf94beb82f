// Follows a verification. The browser resumes the stream by itself after a lost connection, with Last-Event-ID. Where no
// stream can be had, or a proxy holds it back, the state is read every few seconds, and the stream is tried again now and then.
const STREAM_FAILURES_MAX = 3, POLLS_BETWEEN_STREAMS = 10;
// Milliseconds.
const SILENCE_MAX = 5000, POLL_EVERY = 3000, RETRY_AFTER = 500;

class Follower {
  constructor(url, show) {
    Object.assign(this, { url, show, failures: 0 });
    this.open();
  }
  close() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = null;
  }
  later(milliseconds) {
    this.close();
    this.timer = setTimeout(() => this.open(), milliseconds);
  }
  open() {
    if (this.failures < STREAM_FAILURES_MAX) this.listen();
    else this.poll();
  }
  listen() {
    const source = this.source = new EventSource(this.url);
    this.timer = setTimeout(() => { this.failures = STREAM_FAILURES_MAX; this.later(0); }, SILENCE_MAX);
    source.addEventListener("entry", ({ data }) => {
      // The clocks may differ: the least delay of an event is the nearest to the truth.
      this.skew = Math.min(this.skew ?? Infinity, Date.now() - Date.parse(JSON.parse(data).at));
    });
    source.addEventListener("verification", ({ data }) => {
      clearTimeout(this.timer);
      this.failures = 0;
      this.show(JSON.parse(data));
    });
    source.onerror = () => {
      this.failures += 1;
      if (this.failures >= STREAM_FAILURES_MAX || source.readyState === EventSource.CLOSED) this.later(RETRY_AFTER);
    };
  }
  async poll() {
    const source = this.source = { close() {} };
    const response = await fetch(this.url, { headers: { Accept: "application/json" } }).catch(() => ({}));
    const news = response.ok && await response.json().catch(() => null);
    if (this.source !== source) return;
    this.failures += 1;
    if (this.failures > STREAM_FAILURES_MAX + POLLS_BETWEEN_STREAMS) this.failures = 0;
    this.later(POLL_EVERY);
    if (news) this.show(news);
  }
}
