import { parse as parseQuery } from 'node:querystring';
import type { ZodType } from 'zod';
import { RecentlyUsed } from '../base/recently-used.ts';
import { checkShape } from './middleware/check-shape.ts';
import type { RequestContext } from './request-state.ts';

/** Queries that are remembered, and how long they may be. */
const rememberedMax = 1_000;
const lengthMax = 1_000;

/**
 * The shape of a query of which one parameter is another each time, and the rest what it was: a long-poll's `since`. What the rest says is read once. The
 * parameter must be one that the shape takes as any string and leaves out where it is absent.
 */
export class RememberedQuery<Q> {
  readonly #shape: ZodType<Q>;
  readonly #changing: string;
  readonly #rests = new RecentlyUsed<string, { readonly read: Q }>({ max: rememberedMax });

  constructor(shape: ZodType<Q>, { changing }: { readonly changing: string }) {
    this.#shape = shape;
    this.#changing = changing;
  }

  /** As the shape gives it. Throws as `checkShape` does. */
  read(context: Pick<RequestContext, 'querystring' | 'query'>): Q {
    const cut = cutOut(context.querystring, this.#changing);
    const found = cut === undefined ? undefined : this.#readRest(cut.rest);
    if (cut === undefined || found === undefined) return checkShape(this.#shape, context.query, 'query');
    // In this order: V8 makes a hidden class for each object that adds to a copy, and none for one that is begun anew.
    return { [this.#changing]: cut.value, ...found.read };
  }

  /** Undefined for what is not remembered. */
  #readRest(rest: string): { readonly read: Q } | undefined {
    const known = this.#rests.get(rest);
    if (known !== undefined) return known;
    // A token is kept nowhere but where it can be forgotten with its device.
    if (rest.length > lengthMax || rest.includes('access_token')) return undefined;
    const query = parseQuery(rest);
    // Given twice, or under an encoded name.
    if (query[this.#changing] !== undefined) return undefined;
    const found = { read: checkShape(this.#shape, query, 'query') };
    this.#rests.set(rest, found);
    return found;
  }
}

/** The first parameter of that name, decoded, and the query without it; undefined where it is absent. */
function cutOut(querystring: string, name: string): { readonly value: string; readonly rest: string } | undefined {
  const start = querystring.startsWith(`${name}=`) ? 0 : querystring.indexOf(`&${name}=`) + 1;
  if (start === 0 && !querystring.startsWith(`${name}=`)) return undefined;
  const end = querystring.indexOf('&', start);
  const text = querystring.slice(start + name.length + 1, end === -1 ? undefined : end);
  const rest =
    end === -1
      ? querystring.slice(0, Math.max(0, start - 1))
      : querystring.slice(0, start) + querystring.slice(end + 1);
  return { value: /[%+]/.test(text) ? String(parseQuery(`v=${text}`).v) : text, rest };
}
