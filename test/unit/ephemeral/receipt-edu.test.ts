import { describe, expect, it } from 'vitest';
import { parseReceiptEdu } from '../../../src/ephemeral/receipt-edu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

const there = 'there.test' as ServerName;
const bob = '@bob:there.test';
const bea = '@bea:there.test';
const entry = (eventId: string) => ({ data: { ts: 5 }, event_ids: [eventId] });

describe('receipts in an EDU', () => {
  const malformed: [string, unknown][] = [
    ['no data', { event_ids: ['$e'] }],
    ['a time that is a fraction', { data: { ts: 1.5 }, event_ids: ['$e'] }],
    ['a time before 1970', { data: { ts: -1 }, event_ids: ['$e'] }],
    ['no events', { data: { ts: 1 }, event_ids: [] }],
    ['events that are no list', { data: { ts: 1 }, event_ids: '$e' }],
    ['an event that is none', { data: { ts: 1 }, event_ids: [7] }],
    ['a thread that is none', { data: { ts: 1, thread_id: 'x' }, event_ids: ['$e'] }],
  ];
  for (const [what, bad] of malformed) {
    it(`with ${what} are left out`, async () => {
      const room = '!den:here.test';
      const parsed = await parseReceiptEdu(there, { [room]: { 'm.read': { [bob]: bad, [bea]: entry('$good') } } });
      expect([...parsed.values()].flat().map(({ userId }) => userId)).toEqual([bea]);
    });
  }

  it('beyond a thousand in one EDU are left out', async () => {
    const users = Object.fromEntries(Array.from({ length: 700 }, (_, n) => [`@u${n}:there.test`, entry('$e')]));
    const parsed = await parseReceiptEdu(there, { '!a:b.test': { 'm.read': users }, '!c:b.test': { 'm.read': users } });
    expect([...parsed.values()].map(({ length }) => length)).toEqual([700, 300]);
  });
});
