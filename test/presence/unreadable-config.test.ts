import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { sharingConfigType, sharingConfigTypeUnstable } from '../../src/matrix/presence.ts';
import { here, room, user, World } from '../support/presence-world.ts';

const alice = user('alice');
const [bob, carol] = [user('bob'), user('carol')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];
const members = [bob, carol, dave, erin];

/** Who sees whom is the matrix's business (`scenarios/privacy`); here is what may be written. */

describe('what cannot be read', () => {
  it('shares with nobody, and names the first bad entry to who wrote it', async () => {
    const world = await World.start();
    await world.join(room('a'), alice, ...members);
    await world.share(alice, { denied_users: [bob] });
    for (const [content, problem] of [
      [{ allowed_users: [bob, 'carol'] }, 'allowed_users[1]'],
      [{ denied_users: 'bob' }, 'denied_users'],
      [{ denied_users: null }, 'denied_users'],
      [{ allowed_users: [1] }, 'allowed_users[0]'],
      [{ denied_users: [`@${'x'.repeat(255)}:y`] }, 'denied_users[0]'],
      [{ denied_users: Array.from({ length: 101 }, (_, index) => `@${index}*`) }, 'denied_users[100]'],
      [{ denied_users: Array.from({ length: 1_001 }, (_, index) => `@${index}:y`) }, 'denied_users[1000]'],
    ] as const) {
      const refused = world.share(alice, content as JsonObject);
      await expect(refused).rejects.toMatchObject({ status: 400, errcode: 'M_BAD_JSON' });
      await expect(refused).rejects.toThrow(problem);
    }
    await world.put(alice, 'online');
    expect((await world.get(bob, alice)).presence).toBe('offline');
    expect((await world.get(carol, alice)).presence).toBe('online');
  });

  it('when it is found in storage, hides its owner from everybody but themselves', async () => {
    for (const [type, content] of [
      [sharingConfigType, { allowed_users: ['nonsense'] }],
      ['m.ignored_user_list', { ignored_users: ['@bob:here.test'] }],
    ] as const) {
      const world = await World.start();
      await world.join(room('a'), alice, ...members);
      await world.host(here).commit([{ kind: 'account_data', userId: alice, roomId: null, type, content }]);
      await world.host(here).restart();
      await world.put(alice, 'online');
      await world.advance(2_000);
      for (const viewer of members) expect((await world.get(viewer, alice)).presence).toBe('offline');
      expect((await world.get(alice, alice)).presence).toBe('online');
      expect(world.transactions).toEqual([]);
    }
  });

  it('when two different documents are found, lets a viewer see who passes both', async () => {
    const world = await World.start();
    await world.join(room('a'), alice, ...members);
    const row = { kind: 'account_data', userId: alice, roomId: null } as const;
    await world.host(here).commit([
      { ...row, type: sharingConfigType, content: { denied_users: [bob] } },
      { ...row, type: sharingConfigTypeUnstable, content: { denied_users: [carol] } },
    ]);
    await world.host(here).restart();
    await world.put(alice, 'online');
    await world.advance(2_000);
    expect((await world.get(bob, alice)).presence).toBe('offline');
    expect((await world.get(carol, alice)).presence).toBe('offline');
    expect((await world.get(dave, alice)).presence).toBe('online');
  });
});

describe('the two account-data types', () => {
  it('are one document: a PUT of either stores both', async () => {
    const world = await World.start({}, [here]);
    const { storage } = world.host(here);
    for (const [type, content] of [
      [sharingConfigType, { denied_users: [bob] }],
      [sharingConfigTypeUnstable, { denied_users: [carol] }],
    ] as const) {
      await world.share(alice, content, type);
      for (const either of [sharingConfigType, sharingConfigTypeUnstable]) {
        expect((await storage.accountData.find(alice, null, either))?.content).toEqual(content);
      }
    }
  });
});
