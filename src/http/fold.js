// What people paste, folded. Invisible marks go, and decimal digits of every script become ASCII.
function folded(text) {
  const isDigit = (point) => /^\p{Nd}$/u.test(String.fromCodePoint(point));
  const value = (digit) => { // digits of a script stand in order, zero first
    let zero = digit.codePointAt(0);
    while (isDigit(zero - 1)) zero -= 1;
    return (digit.codePointAt(0) - zero) % 10;
  };
  return text.normalize("NFKC").replace(/\p{Cf}/gu, "").replace(/\p{Nd}/gu, value);
}
// The digits of a code; null if it cannot be one.
function foldedCode(text) {
  const code = folded(text).replace(/[\s\p{Pd}\u2212]/gu, "");
  return /^[0-9]{4,10}$/.test(code) ? code : null;
}
// A number in E.164; null without + or 00, because then its country is unknown. Britons write +44 (0)20.
function foldedNumber(text) {
  const number = folded(text).replace(/^\s*tel:/i, "").replace(/\(0\)/, "").replace(/[\s().\/\p{Pd}\u2212]/gu, "").replace(/^00/, "+");
  return /^\+[1-9][0-9]{6,14}$/.test(number) ? number : null;
}
