// The demo: the widget in an app, what the service does with it, and the phone that it reaches.
//
// One state object, one render(): events, polls and a steady tick change the first and call the second.
const SCENARIOS = [
  ["0100", "Delivered", "The text is delivered within two seconds."],
  ["0101", "Undelivered", "The carrier refuses the text as spam, so the service calls at once."],
  ["0103", "Silence", "The text is sent and no report follows, so a timer decides when to call."],
  ["0105", "Fake delivery", "The carrier claims it delivered the text. It did not."],
  ["0106", "Landline", "The number cannot receive texts, so the service calls at once."],
  ["0107", "Busy, then answered", "The text fails and the line is busy. The call is repeated."],
  ["0108", "Never answered", "The text fails, and two calls are not answered."],
  ["0109", "Voicemail", "The text fails and voicemail picks up: the code must not be spoken to it."],
  ["0110", "PHLO node fails", "Plivo accepts the run, but the node inside the PHLO fails."],
  ["0113", "Plivo hangs", "Plivo sends the text at once, but its answer hangs for 30 seconds."],
  ["0114", "Doubled callbacks", "Delivered, while callbacks come twice and out of order."],
  ["0115", "Late text", "The text arrives after the call. Both carry the same code."],
  ["0116", "Geo permission", "The account may not text this country, so it does not call either."],
  ["0117", "Opted out", "The owner has opted out: the service does not contact them again."],
];
const ATTEMPT = { // status: [label, tone]
  triggering: ["requesting", "flat"], triggered: ["accepted", "info"], queued: ["queued", "info"], sent: ["sent", "info"],
  delivered: ["delivered", "ok"], undelivered: ["undelivered", "bad"], failed: ["failed", "bad"], ringing: ["ringing", "info"],
  answered: ["answered", "ok"], completed: ["code spoken", "ok"], no_answer: ["no answer", "warn"], busy: ["busy", "warn"],
  rejected: ["declined", "bad"], machine: ["voicemail", "warn"], unknown: ["no reply yet", "warn"], canceled: ["canceled", "flat"],
};
const CALL_OPEN = ["triggering", "triggered", "queued", "unknown", "ringing", "answered"];
const REASON = {
  undelivered: "the carrier did not deliver the text", failed: "the text could not be sent", landline: "the number cannot receive texts",
  rejected_by_plivo: "Plivo did not accept the text", requested: "it was requested", stuck_queued: "the text is stuck in Plivo's queue",
  no_report: "no delivery report has arrived", delivered_unverified: "it is reported as delivered, but no code was entered",
  route_unreliable: "waiting longer on this route is expected to cost more",
};
const MISSED = {
  no_answer: ["Missed call", "It rang and was not answered."], busy: ["Missed call", "The line was busy with another call."],
  machine: ["Voicemail", "Voicemail picked up. The code was not spoken to it."], failed: ["Call failed", "The call could not be placed."],
  rejected: ["Call declined", "The call was declined."], canceled: ["Call canceled", "It stopped ringing: the call was no longer needed."],
};
const CARRIERS = { // of the local Plivo
  "310-004": "Verizon", "310-260": "T-Mobile", "310-410": "AT&T", "234-10": "O2", "234-15": "Vodafone", "234-30": "EE",
  "262-01": "Telekom", "262-02": "Vodafone", "262-03": "O2", "208-01": "Orange", "208-10": "SFR", "208-20": "Bouygues",
  "404-10": "Airtel", "404-20": "Vi", "404-45": "Airtel",
};
const RING_MIN = 2000, MISSED_MIN = 1600, INTRO = 1800, DIGIT = 850, GAP = 1500, READINGS = 2; // milliseconds; times the code is read
const NO_HANDSET = { messages: [], calls: [] };

const $ = (id) => document.getElementById(id);
const state = { session: 0, sound: false, phoneInView: true, skew: -Infinity, learned: null };
function clear() { // everything that belongs to one verification
  state.stream?.close();
  clearTimeout(state.timer);
  state.session += 1;
  Object.assign(state, { view: null, entries: [], handset: NO_HANDSET, base: { messages: 0, calls: 0 }, since: Infinity, digits: "", stream: null,
    playing: new Map(), notes: [], unseen: "", offline: false, verified: null, finalAt: 0, planned: "" });
}

