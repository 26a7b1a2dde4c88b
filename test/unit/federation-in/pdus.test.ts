import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import type { PduVerdict } from '../../../src/engine/verdict.ts';
import { createPduReceiver } from '../../../src/federation-in/pdus.ts';
import type { EventId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { ReceiveRequest } from '../../../src/rooms/remote/receive/receive.ts';
import type { ReceivedPdu } from '../../../src/rooms/remote/receive/receive-types.ts';

const origin = 'other.example' as ServerName;
const pdu = (roomId: unknown, name: string) => ({ room_id: roomId, name });

function setUp(answer: (request: ReceiveRequest) => Promise<ReceivedPdu[]> = async () => []) {
  const requests: ReceiveRequest[] = [];
  const receiver = createPduReceiver({
    rooms: {
      receivePdus(request) {
        requests.push(request);
        return answer(request);
      },
    },
    log: silentLog,
  });
  return { receiver, requests };
}

describe('the PDUs of a transaction', () => {
  it('go to their rooms, each with its neighbours in order', async () => {
    const { receiver, requests } = setUp();
    const [a1, b1, a2] = [pdu('!a:x', '1'), pdu('!b:x', '2'), pdu('!a:x', '3')];
    await receiver.receive(origin, [a1, b1, a2]);
    expect(requests).toEqual([
      { origin, roomId: '!a:x', pdus: [a1, a2] },
      { origin, roomId: '!b:x', pdus: [b1] },
    ]);
  });

  it('without a room id are dropped without a word', async () => {
    const { receiver, requests } = setUp();
    const bad = [pdu(undefined, 'a'), pdu(7, 'b'), pdu('room', 'c'), null];
    expect(await receiver.receive(origin, bad)).toEqual(new Map());
    expect(requests).toEqual([]);
  });

  it.each<[PduVerdict, object]>([
    [{ verdict: 'accepted' }, {}],
    [{ verdict: 'soft_failed', reason: 'no' }, {}],
    [{ verdict: 'waiting', missing: [] }, {}],
    [{ verdict: 'rejected', reason: 'no' }, { error: 'no' }],
    [{ verdict: 'dropped', reason: 'no' }, { error: 'no' }],
  ])('that are %j answer %j', async (verdict, said) => {
    const eventId = '$e' as EventId;
    const { receiver } = setUp(async () => [
      { eventId, verdict },
      { eventId: undefined, verdict },
    ]);
    expect(await receiver.receive(origin, [pdu('!a:x', '1')])).toEqual(new Map([[eventId, said]]));
  });

  it('of one room whose handling shows a bug cost the other rooms nothing', async () => {
    const eventId = '$fine' as EventId;
    const { receiver } = setUp(async ({ roomId }) => {
      if (roomId === '!bug:x') throw new Error('a bug');
      return [{ eventId, verdict: { verdict: 'accepted' } }];
    });
    const taken = receiver.receive(origin, [pdu('!bug:x', '1'), pdu('!fine:x', '2')]);
    expect(await taken).toEqual(new Map([[eventId, {}]]));
  });

  it('of different rooms are taken in side by side', async () => {
    const eventId = '$late' as EventId;
    let finish: () => void = () => undefined;
    const { receiver, requests } = setUp(
      ({ roomId }) =>
        new Promise((resolve) => {
          if (roomId === '!slow:x') finish = () => resolve([{ eventId, verdict: { verdict: 'accepted' } }]);
          else resolve([]);
        }),
    );
    const taken = receiver.receive(origin, [pdu('!slow:x', '1'), pdu('!b:x', '2')]);
    expect(requests).toHaveLength(2);
    finish();
    expect(await taken).toEqual(new Map([[eventId, {}]]));
  });
});
