import { expect, test } from 'vitest';
import { createDeviceListUpdates } from '../../../src/e2ee/device-lists/updates.ts';
import type { DeviceId, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import { openTestStorage } from '../../support/storage.ts';

const alice = '@alice:here.test' as UserId;
const servers = ['far.test', 'wide.test'] as ServerName[];

/** What other servers are told when so many devices of alice go at once, of whom number 7 was told last. */
async function rowsAtTheEndOf(devices: number): Promise<readonly Row[]> {
  const storage = await openTestStorage();
  await storage.commit({ rows: [{ kind: 'device_list_stream', userId: alice, streamId: 7, broadcastId: 7 }] });
  const updates = createDeviceListUpdates({
    serverName: 'here.test' as ServerName,
    storage,
    roster: {
      isJoined: () => true,
      roomsOf: () => new Set(),
      serversIn: () => new Set(servers),
      serversSharingWith: () => new Set(servers),
    },
    shareDeviceNames: false,
  });
  const deviceIds = Array.from({ length: devices }, (_, n) => `DEVICE${n}` as DeviceId);
  const change = {
    kind: 'device_list',
    userId: alice,
    deviceIds,
    here: true,
    signingKeys: false,
    viewer: null,
  } as const;
  const rows = await updates.react({ ...change, position: 1 });
  await storage.stop();
  return rows;
}

/** The numbers of the updates for one server, with those that they point at. */
function toldTo(server: ServerName, rows: readonly Row[]): unknown[] {
  return rows.flatMap((row) => {
    if (row.kind !== 'outgoing_edu' || row.destination !== server) return [];
    const { device_id, stream_id, prev_id, deleted } = row.edu.content;
    return [{ device_id, stream_id, prev_id, deleted }];
  });
}

test('of some devices that go at once each is told, one after the other', async () => {
  const rows = await rowsAtTheEndOf(2);
  for (const server of servers)
    expect(toldTo(server, rows)).toEqual([
      { device_id: 'DEVICE0', stream_id: 8, prev_id: [7], deleted: true },
      { device_id: 'DEVICE1', stream_id: 9, prev_id: [8], deleted: true },
    ]);
  expect(rows).toContainEqual({ kind: 'device_list_stream', userId: alice, streamId: 9, broadcastId: 9 });
});

test('of many one is told, behind a number that no server has, so that each asks for all of them', async () => {
  const rows = await rowsAtTheEndOf(21);
  for (const server of servers)
    expect(toldTo(server, rows)).toEqual([{ device_id: 'DEVICE20', stream_id: 9, prev_id: [8], deleted: true }]);
  expect(rows).toContainEqual({ kind: 'device_list_stream', userId: alice, streamId: 9, broadcastId: 9 });
});
