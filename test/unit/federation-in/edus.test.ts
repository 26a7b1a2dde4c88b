import { describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { createEduReceiver } from '../../../src/federation-in/edus.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

const origin = 'other.example' as ServerName;
const [open, closed] = ['!open:here.example', '!closed:here.example'];

function setUp(options: { failing?: string } = {}) {
  const got: unknown[] = [];
  const take = (type: string) => async (server: ServerName, content: unknown) => {
    if (options.failing === type) throw new Error('a bug');
    got.push([type, server, content]);
  };
  const receiver = createEduReceiver({
    receiveTyping: take('typing'),
    receiveReceipts: take('receipts'),
    receivePresence: take('presence'),
    receiveToDevice: take('to_device'),
    receiveDeviceListUpdate: take('device_list'),
    receiveSigningKeyUpdate: take('signing_keys'),
    isServerAllowed: async (roomId) => roomId === open,
    log: silentLog,
  });
  return { receiver, got };
}

describe('EDUs', () => {
  it('of devices and keys reach whom they concern, also under their older name', async () => {
    const { receiver, got } = setUp();
    await receiver.receive(origin, [
      { edu_type: 'm.device_list_update', content: { n: 1 } },
      { edu_type: 'm.signing_key_update', content: { n: 2 } },
      { edu_type: 'org.matrix.signing_key_update', content: { n: 3 } },
      { edu_type: 'org.matrix.device_list_update', content: { n: 4 } },
    ]);
    expect(got).toEqual([
      ['device_list', origin, { n: 1 }],
      ['signing_keys', origin, { n: 2 }],
      ['signing_keys', origin, { n: 3 }],
    ]);
  });

  it('reach whom they concern, all presence of a transaction at once and in order', async () => {
    const { receiver, got } = setUp();
    await receiver.receive(origin, [
      { edu_type: 'm.presence', content: { push: [1] } },
      { edu_type: 'm.typing', content: { room_id: open } },
      { edu_type: 'm.presence', content: { push: [2] } },
      { edu_type: 'm.receipt', content: { [open]: { a: 1 } } },
    ]);
    expect(got).toEqual([
      ['presence', origin, [{ push: [1] }, { push: [2] }]],
      ['typing', origin, { room_id: open }],
      ['receipts', origin, { [open]: { a: 1 } }],
    ]);
  });

  it('with messages to devices are handed on together and in order', async () => {
    const { receiver, got } = setUp();
    await receiver.receive(origin, [
      { edu_type: 'm.direct_to_device', content: { message_id: '1' } },
      { edu_type: 'm.direct_to_device', content: [] },
      { edu_type: 'm.direct_to_device', content: { message_id: '2' } },
    ]);
    expect(got).toEqual([['to_device', origin, [{ message_id: '1' }, { message_id: '2' }]]]);
  });

  it('that name a room obey its access control list', async () => {
    const { receiver, got } = setUp();
    await receiver.receive(origin, [
      { edu_type: 'm.typing', content: { room_id: closed } },
      { edu_type: 'm.receipt', content: { [closed]: { a: 1 }, [open]: { b: 1 } } },
    ]);
    expect(got).toEqual([['receipts', origin, { [open]: { b: 1 } }]]);
  });

  it('that are malformed or unknown are dropped, and their neighbours are not', async () => {
    const { receiver, got } = setUp();
    const bad = [
      null,
      1,
      [],
      {},
      { edu_type: 1, content: {} },
      { edu_type: 'm.typing' },
      { edu_type: 'm.typing', content: [] },
    ];
    const odd = [
      { edu_type: 'm.typing', content: { room_id: 7 } },
      { edu_type: 'org.example', content: {} },
    ];
    await receiver.receive(origin, [...bad, ...odd, { edu_type: 'm.typing', content: { room_id: open } }]);
    expect(got).toEqual([['typing', origin, { room_id: open }]]);
  });

  it('survive a neighbour that shows a bug', async () => {
    const { receiver, got } = setUp({ failing: 'presence' });
    await receiver.receive(origin, [
      { edu_type: 'm.presence', content: {} },
      { edu_type: 'm.typing', content: { room_id: open } },
    ]);
    expect(got).toHaveLength(1);
  });
});
