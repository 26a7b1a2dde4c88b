/**
 * A number of somebody else's JSON that a double does not keep as it was written: with a fraction or an exponent (`1.0`, `1e2`), or beyond
 * ±(2^53 - 1). Only `parseExactJson` makes them. Hashes and signatures of room versions 1 to 5 cover such numbers in the form that
 * Python gives them, since the servers of that time were written in it, and so do signatures of requests that carry them.
 */
export class LooseNumber {
  /** As it was sent, but for `-0`, which nobody keeps. */
  readonly sent: string;
  readonly #text: string;

  /** From the token as it stands in the JSON. */
  constructor(token: string) {
    this.sent = integerText(token);
    this.#text = isIntegerToken(token) ? integerText(token) : floatText(Number(token));
  }

  /** As `json.dumps` writes what `json.loads` made of it: integers of any size, and floats by `repr`. `inf` is no JSON. */
  get text(): string {
    return this.#text;
  }

  /** Written without fraction or exponent. */
  get isInteger(): boolean {
    return isIntegerToken(this.#text);
  }

  /** False for what no double can hold: it has no form to hash. */
  get isFinite(): boolean {
    return this.isInteger || Number.isFinite(Number(this.#text));
  }

  /** The nearest double: for rules that compare. */
  valueOf(): number {
    return Number(this.#text);
  }

  /** What clients get, whose JSON numbers are doubles. */
  toJSON(): number {
    return this.valueOf();
  }
}

/** Whether there is one in what `parseExactJson` gave, whose depth is bounded. */
export function holdsLooseNumber(value: unknown): boolean {
  if (value instanceof LooseNumber) return true;
  return typeof value === 'object' && value !== null && Object.values(value).some(holdsLooseNumber);
}

/** Which of two numbers is larger, exactly, also of those that no double holds: below 0 for the second, above 0 for the first. */
export function compareNumbers(left: number | LooseNumber, right: number | LooseNumber): number {
  const [x, y] = [exactly(left), exactly(right)];
  return x < y ? -1 : x > y ? 1 : 0;
}

/** JavaScript compares its two kinds of numbers by what they stand for. */
function exactly(value: number | LooseNumber): number | bigint {
  if (typeof value === 'number') return value;
  return value.isInteger ? BigInt(value.text) : value.valueOf();
}

function isIntegerToken(token: string): boolean {
  return /^-?[0-9]+$/.test(token);
}

/** Integers know no negative zero. */
function integerText(token: string): string {
  return token === '-0' ? '0' : token;
}

/**
 * Python's `repr` of a float: like JavaScript the fewest digits that give this double again, but with `.0` where there is no fraction, and
 * with an exponent of at least two digits from 1e16 on and below 1e-4.
 */
function floatText(value: number): string {
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const sign = value < 0 || Object.is(value, -0) ? '-' : '';
  const [mantissa = '', power = '0'] = Math.abs(value).toExponential().split('e');
  const digits = mantissa.replace('.', '');
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const size = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${size}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}
