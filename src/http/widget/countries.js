// Calling codes, each with its countries, the main one first. A test compares them with libphonenumber.
const CALLING_CODES = `
1USAGAIASBBBMBSCADMDOGDGUJMKNKYLCMPMSPRSXTCTTVCVGVI 7RUKZ 20EG 27ZA 30GR 31NL 32BE 33FR 34ES 36HU 39ITVA 40RO 41CH 43AT
44GBGGIMJE 45DK 46SE 47NOSJ 48PL 49DE 51PE 52MX 53CU 54AR 55BR 56CL 57CO 58VE 60MY 61AUCCCX 62ID 63PH 64NZ 65SG 66TH 81JP 82KR
84VN 86CN 90TR 91IN 92PK 93AF 94LK 95MM 98IR 211SS 212MAEH 213DZ 216TN 218LY 220GM 221SN 222MR 223ML 224GN 225CI 226BF 227NE
228TG 229BJ 230MU 231LR 232SL 233GH 234NG 235TD 236CF 237CM 238CV 239ST 240GQ 241GA 242CG 243CD 244AO 245GW 246IO 247AC 248SC
249SD 250RW 251ET 252SO 253DJ 254KE 255TZ 256UG 257BI 258MZ 260ZM 261MG 262REYT 263ZW 264NA 265MW 266LS 267BW 268SZ 269KM
290SHTA 291ER 297AW 298FO 299GL 350GI 351PT 352LU 353IE 354IS 355AL 356MT 357CY 358FIAX 359BG 370LT 371LV 372EE 373MD 374AM
375BY 376AD 377MC 378SM 380UA 381RS 382ME 383XK 385HR 386SI 387BA 389MK 420CZ 421SK 423LI 500FK 501BZ 502GT 503SV 504HN 505NI
506CR 507PA 508PM 509HT 590GPBLMF 591BO 592GY 593EC 594GF 595PY 596MQ 597SR 598UY 599CWBQ 670TL 672NF 673BN 674NR 675PG 676TO
677SB 678VU 679FJ 680PW 681WF 682CK 683NU 685WS 686KI 687NC 688TV 689PF 690TK 691FM 692MH 850KP 852HK 853MO 855KH 856LA 880BD
886TW 960MV 961LB 962JO 963SY 964IQ 965KW 966SA 967YE 968OM 970PS 971AE 972IL 973BH 974QA 975BT 976MN 977NP 992TJ 993TM 994AZ
995GE 996KG 998UZ
`;
const CODE_OF = new Map(), MAIN_COUNTRY = new Map();
for (const [, code, countries] of CALLING_CODES.matchAll(/(\d+)(\w+)/g)) {
  for (const country of countries.match(/../g)) CODE_OF.set(country, code);
  MAIN_COUNTRY.set(code, countries.slice(0, 2));
}
// What people dial before a number inside their country, where it is not a 0; and where the 0 is a part of the number.
const TRUNK = { HU: /^06/, BY: /^80/, TM: /^8(?=\d{8}$)/, RU: /^8(?=\d{10}$)/, KZ: /^8(?=\d{10}$)/ };
const KEEPS_ZERO = "IT VA SM CI GA CG BJ";
// The country of a number with its calling code; the chosen one where several share it.
function countryOf(number, chosen) {
  const code = [4, 3, 2].map((end) => number.slice(1, end)).find((code) => MAIN_COUNTRY.has(code));
  return CODE_OF.get(chosen) === code ? chosen : MAIN_COUNTRY.get(code);
}
// E.164 of what was typed, with or without a calling code; null if it cannot be a number.
function typedNumber(text, country) {
  const number = foldedNumber(text);
  if (number) return number;
  const digits = folded(text).replace(/[\s().\/\p{Pd}\u2212]/gu, "");
  if (!/^\d{4,14}$/.test(digits)) return null;
  const code = CODE_OF.get(country);
  const trunk = TRUNK[country] ?? (code === "1" ? /^1(?=\d{10}$)/ : KEEPS_ZERO.includes(country) ? /^$/ : /^0/);
  return foldedNumber(`+${code}${digits.replace(trunk, "")}`);
}
