// The looks. Ink and background are the page's own, so that the widget is dark where the page is.
const STYLE = `
:host { display: block; max-width: 24em; --ac: var(--phlo-accent, #0b6b5b); --oa: var(--phlo-on-accent, #fff); --er: var(--phlo-error, #b1261d);
  --ra: var(--phlo-radius, .6em); --li: var(--phlo-line, color-mix(in srgb, currentColor 45%, transparent)); font-family: var(--phlo-font, inherit); }
@supports (color: light-dark(#000, #fff)) { :host { --ac: var(--phlo-accent, light-dark(#0b6b5b, #52cdb3));
  --oa: var(--phlo-on-accent, light-dark(#fff, #04211b)); --er: var(--phlo-error, light-dark(#b1261d, #ff8f85)); } }
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; margin: 0; } input, select, button { font: inherit; color: inherit; }
:focus-visible, .dial:focus-within { outline: 2px solid var(--ac); outline-offset: 2px; }
label { display: block; margin-bottom: .4em; font-weight: 600; }
.row { display: flex; flex-wrap: wrap; gap: .5em; align-items: center; margin-top: .8em; }
.field { display: flex; gap: .5em; }
.dial, input { min-height: 2.75em; border: 1px solid var(--li); border-radius: var(--ra); background: transparent; }
.dial { position: relative; display: grid; place-items: center; padding: 0 .7em; white-space: nowrap; }
.dial select { position: absolute; inset: 0; width: 100%; opacity: 0; cursor: pointer; } option { color: CanvasText; background: Canvas; }
input { flex: 1; width: 100%; min-width: 0; padding: .4em .8em; }
.boxes { position: relative; overflow: clip; display: inline-grid; grid-auto-flow: column; grid-auto-columns: 2.2ch; gap: .6ch; height: 2em;
  font: 500 1.5em ui-monospace, Menlo, Consolas, monospace; } .boxes.small { font-size: 1em; }
.boxes i { border: 1px solid var(--li); border-radius: min(var(--ra), .4em); }
.boxes input { position: absolute; inset: 0; width: calc(100% + 2ch); min-height: 0; padding: 0 0 0 .6ch; border: 0; outline: 0; letter-spacing: 1.8ch; }
.boxes:focus-within i { border: 2px solid var(--ac); } .bad i, .bad input:not(.boxes *) { border-color: var(--er); }
.error { margin-top: .5em; color: var(--er); } .error:empty { margin: 0; } .live { margin-top: .6em; font-variant-numeric: tabular-nums; }
button { min-height: 2.75em; padding: .3em 1.1em; border: 1px solid var(--ac); border-radius: var(--ra); background: var(--ac); color: var(--oa);
  font-weight: 600; cursor: pointer; }
button.quiet { border-color: var(--li); background: none; color: inherit; font-weight: 500; }
[aria-disabled="true"], [aria-busy="true"] button { opacity: .65; cursor: default; }
.done { font-weight: 600; font-size: 1.15em; outline: 0; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
`;
