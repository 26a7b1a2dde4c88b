import { beforeEach, describe, expect, it } from 'vitest';
import { sharingConfigType } from '../../src/matrix/presence.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import { joinMany } from '../support/presence-crowd.ts';
import { here, room, there, user, World } from '../support/presence-world.ts';

/** More users than a start reads from storage at once. */

const bob = user('bob');
const ours = Array.from({ length: 1_002 }, (_, index) => user(`u${index}`));
const theirs = Array.from({ length: 1_002 }, (_, index) => user(`u${index}:there.test`));

let world: World;

beforeEach(async () => {
  world = await World.start({}, [here]);
  await world.join(room('a'), bob);
  await joinMany(world, room('a'), [...ours, ...theirs]);
});

const gone = { state: 'offline', statusMsg: 'gone fishing', currentlyActive: false } as const;

/** Whose presence an initial sync shows. */
async function sees(): Promise<Set<string>> {
  const seen = await world.device(bob, 'NEW').read();
  return new Set(seen.flatMap(({ sender, status_msg }) => (status_msg === gone.statusMsg ? [sender] : [])));
}

async function saySomething(): Promise<void> {
  const rows = ours.map(
    (userId): Row => ({ kind: 'presence', userId, ...gone, lastActiveAtMs: 0, changedAtMs: 0, devices: [] }),
  );
  await world.host(here).commit(rows);
}

describe('a start', () => {
  it('takes up the presence of all of ours', async () => {
    await saySomething();
    await world.host(here).restart();
    expect(await sees()).toEqual(new Set(ours));
  });

  it('takes up what all of ours decided', async () => {
    await saySomething();
    const content = { denied_users: [bob] };
    const configs = ours.map(
      (userId): Row => ({ kind: 'account_data', userId, roomId: null, type: sharingConfigType, content }),
    );
    await world.host(here).commit(configs);
    await world.host(here).restart();
    expect(await sees()).toEqual(new Set());
  });

  it('takes up what is held of all of theirs', async () => {
    const push = theirs.map((user_id) => ({
      ...{ user_id, presence: 'offline', status_msg: gone.statusMsg, last_active_ago: 0 },
    }));
    await world.presence.receive(there, [{ push }]);
    await world.host(here).restart();
    expect(await sees()).toEqual(new Set(theirs));
  });
});
