import { expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import type { PduVerdict } from '../../../src/engine/verdict.ts';
import { createPduReceiver } from '../../../src/federation-in/pdus.ts';
import type { EventId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

async function answerTo(verdict: PduVerdict) {
  const eventId = '$event' as EventId;
  const receiver = createPduReceiver({
    rooms: {
      receivePdus: () => Promise.resolve([{ eventId, verdict }]),
    },
    log: silentLog,
  });
  const pdus = [{ room_id: '!room:b.test' }];
  return (await receiver.receive('b.test' as ServerName, pdus)).get(eventId);
}

it.each<[string, PduVerdict, { error?: string }]>([
  ['accepted', { verdict: 'accepted' }, {}],
  ['soft-failed', { verdict: 'soft_failed', reason: 'banned by now' }, {}],
  ['waiting for others', { verdict: 'waiting', missing: ['$other' as EventId] }, {}],
  ['dropped', { verdict: 'dropped', reason: 'no event' }, { error: 'no event' }],
  ['rejected', { verdict: 'rejected', reason: 'not allowed' }, { error: 'not allowed' }],
])('the answer for a PDU that is %s names an error only if it can never be taken', async (_, verdict, answer) => {
  expect(await answerTo(verdict)).toEqual(answer);
});
