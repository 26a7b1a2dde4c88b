import { pinThisProcess } from '../support/cores.ts';
import { LoadClient, runConcurrently } from '../support/load-client.ts';
import type { BenchPart } from '../support/run.ts';
import { ServerProcess } from '../support/server-process.ts';

const claimers = 50;
/** A device may leave a thousand keys, so several are claimed from, all at once. */
const keysOfDevice = 1_000;

/** Fifty who claim one-time keys of a few devices at the same time: how many get one in a second, each synced to the disk, and none given twice. */
export const claimsPart: BenchPart = {
  name: 'claims',
  run: async ({ set }) => {
    pinThisProcess();
    const devices = set.get('devices') ?? 10;
    const server = await ServerProcess.start();
    const client = new LoadClient(server.clientUrl);
    try {
      const owners: { userId: string; deviceId: string }[] = [];
      let token = '';
      for (let n = 0; n < devices; n += 1) {
        const owner = await client.register(`owner${n}`);
        token = owner.token;
        const { device_id: deviceId } = await client.json({
          method: 'GET',
          path: '/_matrix/client/v3/account/whoami',
          token,
        });
        owners.push({ userId: owner.userId, deviceId: String(deviceId) });
        const keys = Array.from({ length: keysOfDevice }, (_, k) => [`signed_curve25519:k${k}`, { key: `${n} ${k}` }]);
        const body = { one_time_keys: Object.fromEntries(keys) };
        await client.json({ method: 'POST', path: '/_matrix/client/v3/keys/upload', token, body });
      }
      const given: string[] = [];
      const claims = devices * keysOfDevice;
      const startedAtMs = performance.now();
      await runConcurrently(claims, claimers, async (index) => {
        const owner = owners[index % owners.length];
        if (!owner) return;
        const body = { one_time_keys: { [owner.userId]: { [owner.deviceId]: 'signed_curve25519' } } };
        const answer = await client.json({ method: 'POST', path: '/_matrix/client/v3/keys/claim', token, body });
        given.push(JSON.stringify(answer.one_time_keys));
      });
      const elapsedMs = performance.now() - startedAtMs;
      return [
        {
          name: `claims by ${claimers} at once`,
          unit: '/s',
          value: (claims * 1_000) / elapsedMs,
          bound: { atLeast: 500 },
        },
        {
          name: 'keys given twice, or not at all',
          unit: '',
          value: claims - new Set(given).size,
          bound: { atMost: 0 },
        },
      ];
    } finally {
      await client.stop();
      await server.stop();
    }
  },
};
