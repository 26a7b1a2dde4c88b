import { beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import { here, room, there, user, World } from '../support/presence-world.ts';

/**
 * Two servers learn of a leave one after the other. The one that is told drops what it holds for whoever left, and that may be what was said after the
 * leave: so who comes back is told anew, also where the whole server has been told.
 */

const [alice, bob] = [user('alice'), user('bob')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];

let world: World;

beforeEach(async () => {
  world = await World.start();
  await world.join(room('a'), alice, bob, dave, erin);
  await world.join(room('b'), alice, dave);
  await world.put(alice, 'online', 'hello');
  await world.advance(2_000);
});

async function change(at: typeof here, userId: UserId, how: 'leave' | 'join'): Promise<void> {
  const step = { roomId: room('a'), userId, before: how === 'leave' ? 'join' : 'leave', after: how } as const;
  await world.host(at).setMembership(step);
  await world.advance(2_000);
}

describe('a leave of which their server learns after it was told what follows from it', () => {
  it.each([
    ['the viewer', erin],
    ['the subject', alice],
  ])('of %s costs them no sight once they are back', async (_, leaver) => {
    await change(here, leaver, 'leave');
    await change(there, leaver, 'leave');
    expect(await world.get(erin, alice).catch(() => 'nothing')).toBe('nothing');
    await change(there, leaver, 'join');
    await change(here, leaver, 'join');
    expect(await world.get(erin, alice)).toMatchObject({ presence: 'online', status_msg: 'hello' });
  });

  it('is forgotten in half an hour: by then everybody there was told anew', async () => {
    await change(here, erin, 'leave');
    await change(there, erin, 'leave');
    const end = world.device(alice).poll();
    await world.advance(1_900_000);
    world.takeTransactions();
    await change(there, erin, 'join');
    await change(here, erin, 'join');
    expect(world.takeTransactions(there)).toEqual([]);
    expect(await world.get(erin, alice)).toMatchObject({ status_msg: 'hello' });
    end();
  });
});
