import type { Random } from '../../base/random.ts';
import type { Hour } from '../core/hour.ts';

/**
 * The presence part of a sync token: the run of the process, the wall clock at its start, and the number of what this viewer
 * was last given, which holds how old the process was then.
 */
export type ParsedToken =
  | { readonly epoch: 'ours'; readonly number: number; readonly elapsedMs: number; readonly givenAtMs: number }
  /** 0 for a token that nobody here wrote. */
  | { readonly epoch: 'other'; readonly givenAtMs: number };

const pattern = /^p([0-9]{1,15})e([0-9]{1,10})n([0-9]{1,16})$/;
/** A number counts microseconds of the age of the process, or runs ahead of them by one for each entry. */
export const numbersPerMs = 1_000;

export class PresenceTokens {
  readonly #hour: Pick<Hour, 'beganAtMs' | 'zeroAtMs'>;
  readonly #epoch: string;

  constructor(deps: { hour: Pick<Hour, 'beganAtMs' | 'zeroAtMs'>; random: Random }) {
    this.#hour = deps.hour;
    this.#epoch = `p${this.#hour.zeroAtMs}e${deps.random.int(2 ** 31)}n`;
  }

  encode(number: number): string {
    return `${this.#epoch}${number}`;
  }

  /** Of a token of this process; undefined for any other. */
  numberOf(text: string): number | undefined {
    if (!text.startsWith(this.#epoch)) return undefined;
    const digits = text.slice(this.#epoch.length);
    const number = Number(digits);
    // Written in the one way.
    return Number.isSafeInteger(number) && number >= 0 && String(number) === digits ? number : undefined;
  }

  parse(text: string): ParsedToken {
    const own = this.numberOf(text);
    if (own !== undefined) return this.#ours(own);
    const [, startedAt, , digits] = pattern.exec(text) ?? [];
    const number = Number(digits);
    if (digits === undefined || !Number.isSafeInteger(number)) return { epoch: 'other', givenAtMs: 0 };
    const givenAtMs = Number(startedAt) + Math.floor(number / numbersPerMs);
    // No other process gave it after this one began: one that says so ran by a clock that was set back since.
    return { epoch: 'other', givenAtMs: Math.min(givenAtMs, this.#hour.beganAtMs) };
  }

  #ours(number: number): ParsedToken {
    const elapsedMs = number / numbersPerMs;
    return { epoch: 'ours', number, elapsedMs, givenAtMs: this.#hour.zeroAtMs + Math.floor(elapsedMs) };
  }
}
