import { beforeEach, describe, expect, it } from 'vitest';
import type { PresenceState } from '../../src/matrix/presence.ts';
import { type Client, here, room, user, World } from '../support/presence-world.ts';

const [alice, bob] = [user('alice'), user('bob')];

let world: World;
let phone: Client;

beforeEach(async () => {
  world = await World.start({}, [here]);
  await world.join(room('a'), alice, bob);
  phone = world.device(alice);
});

async function state(): Promise<PresenceState> {
  return (await world.get(bob, alice)).presence;
}

describe('the first sync after a PUT', () => {
  it('leaves what was put, whether it writes out its state or not', async () => {
    await world.put(alice, 'unavailable', null, 'PHONE');
    await phone.sync();
    expect(await state()).toBe('unavailable');
    await world.put(alice, 'unavailable', null, 'PHONE');
    await phone.sync({ set: 'online' });
    expect(await state()).toBe('unavailable');
  });

  it('ends a PUT of online if it says for the first time that the device is unavailable', async () => {
    await world.put(alice, 'online', 'status', 'PHONE');
    await phone.sync({ set: 'unavailable' });
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'unavailable', status_msg: 'status' });
  });

  it('leaves a PUT of online if it goes on saying what the device said before', async () => {
    await phone.sync({ set: 'unavailable' });
    await world.put(alice, 'online', null, 'PHONE');
    await phone.sync({ set: 'unavailable' });
    await phone.sync({ set: 'unavailable' });
    expect(await state()).toBe('online');
  });
});
