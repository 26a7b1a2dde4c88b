import { parse } from 'node:querystring';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkShape } from '../../../src/http/middleware/check-shape.ts';
import { RememberedQuery } from '../../../src/http/remembered-query.ts';
import { queryInteger } from '../../../src/http/shapes.ts';
import { propertyRuns } from '../../support/property-runs.ts';

const shape = z.object({
  since: z.string().optional(),
  filter: z.string().optional(),
  limit: queryInteger(1, 10).optional(),
});
const contextOf = (querystring: string) => ({ querystring, query: parse(querystring) });

/** The value, or what it is refused with. */
function outcome(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    return String(error);
  }
}

const plain = (querystring: string): unknown => outcome(() => checkShape(shape, parse(querystring), 'query'));

describe('a query of which one parameter changes', () => {
  it.each([
    'since=s1&filter=0',
    'filter=0&since=s1',
    'filter=0&since=s1&limit=3',
    'since=s1',
    'since=',
    'filter=0',
    '',
    'since=a%20b+c%2Bd&filter=x%26since%3Dy',
    'since=s1&since=s2',
    'filter=0&since=s1&limit=3&since=s2',
    'since=s1&%73ince=s2',
    '%73ince=s2&filter=1',
    'notsince=1&since=2',
    'xsince=1',
    'since&filter=0',
    'since=s1&limit=11',
    'since=s1&access_token=secret',
    '&since=s1&',
    'since=s1&__proto__=x',
  ])('is read as if nothing were remembered: %s', (querystring) => {
    const query = new RememberedQuery(shape, { changing: 'since' });
    const expected = plain(querystring);
    for (let time = 0; time < 2; time += 1) expect(outcome(() => query.read(contextOf(querystring)))).toEqual(expected);
  });

  it('is read as if nothing were remembered, whatever comes in which order', () => {
    const part = fc.oneof(
      fc.constantFrom('since=s1', 'since=s%202', 'filter=0', 'limit=2', 'limit=x', 'since', '%73ince=3', '', 'since=+'),
      fc.string({ maxLength: 6 }).map((text) => `since=${encodeURIComponent(text)}`),
    );
    fc.assert(
      fc.property(fc.array(fc.array(part, { maxLength: 4 }), { maxLength: 6 }), (queries) => {
        const query = new RememberedQuery(shape, { changing: 'since' });
        for (const parts of queries) {
          const querystring = parts.join('&');
          expect(outcome(() => query.read(contextOf(querystring)))).toEqual(plain(querystring));
        }
      }),
      { numRuns: propertyRuns(300) },
    );
  });

  it('has a value of its own each time', () => {
    const query = new RememberedQuery(shape, { changing: 'since' });
    const first = query.read(contextOf('since=s1&filter=0'));
    const second = query.read(contextOf('since=s2&filter=0'));
    expect([first, second]).toEqual([
      { since: 's1', filter: '0' },
      { since: 's2', filter: '0' },
    ]);
  });
});
