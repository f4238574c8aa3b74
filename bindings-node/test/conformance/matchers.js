'use strict';

// What the table calls data and matchers.

/** Bytes written as text, `base64` or `repeat`/`times`; `undefined`: not data. */
function data(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (typeof value?.base64 === 'string') return Buffer.from(value.base64, 'base64');
  if (typeof value?.repeat === 'string') return Buffer.from(value.repeat.repeat(value.times));
  return undefined;
}

function shown(bytes) {
  const text = JSON.stringify(bytes.subarray(0, 300).toString());
  return bytes.length > 300 ? `${text}… (${bytes.length} bytes)` : text;
}

const CONDITIONS = {
  contains: (texts, got) => texts.every((text) => got.includes(text)),
  not_contains: (texts, got) => !texts.some((text) => got.includes(text)),
  starts_with: ([text], got) => got.toString('latin1').startsWith(Buffer.from(text).toString('latin1')),
  ends_with: ([text], got) => got.toString('latin1').endsWith(Buffer.from(text).toString('latin1')),
  length: ([length], got) => got.length === length,
  sorted_lines(lines, got) {
    const sorted = got.toString().split('\n').slice(0, -1).map((line) => Buffer.from(line)).sort(Buffer.compare);
    return JSON.stringify(sorted.map(String)) === JSON.stringify(lines);
  },
  any: () => true,
};

/** Throws unless `got` (text or bytes) fits the matcher. */
function check(what, matcher, got) {
  got = Buffer.isBuffer(got) ? got : Buffer.from(got);
  const exact = data(matcher);
  if (exact !== undefined) {
    if (!exact.equals(got)) throw new Error(`${what} is ${shown(got)}, not ${shown(exact)}`);
    return;
  }
  for (const [condition, value] of Object.entries(matcher)) {
    if (!Object.hasOwn(CONDITIONS, condition)) throw new Error(`the condition ${condition} is unknown`);
    if (!CONDITIONS[condition](Array.isArray(value) ? value : [value], got)) {
      throw new Error(`${what} fails ${condition} ${JSON.stringify(value)}: it is ${shown(got)}`);
    }
  }
}

module.exports = { data, check, shown };
