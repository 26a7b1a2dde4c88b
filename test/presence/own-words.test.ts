import { beforeEach, describe, expect, it } from 'vitest';
import type { DeviceId } from '../../src/matrix/ids.ts';
import { type Client, type Host, here, room, user, World } from '../support/presence-world.ts';

/** What users said of themselves, over the end of a process, and while storage fails or is slow. */

const [alice, bob] = [user('alice'), user('bob')];
const second = 1_000;
const minute = 60_000;
/** Nothing but what they say changes anybody. */
const settings = { currentlyActiveMs: 60 * minute, idleAfterMs: 60 * minute };

let world: World;
let host: Host;
let phone: Client;

beforeEach(async () => {
  world = await World.start(settings, [here]);
  host = world.host(here);
  await world.join(room('a'), alice, bob);
  phone = world.device(alice);
});

const stateOf = async (): Promise<string> => (await world.get(bob, alice)).presence;
const act = async (deviceId: string): Promise<void> => {
  host.presence.activity({ userId: alice, deviceId: deviceId as DeviceId });
  await world.settle();
};

describe('a device that hides by its syncs', () => {
  beforeEach(async () => {
    await phone.sync({ set: 'online' });
    await phone.sync({ set: 'offline' });
    await world.advance(2 * minute);
    expect(await stateOf()).toBe('offline');
  });

  it.each(['a stop', 'a crash'])('stays hidden after %s, whatever it does', async (how) => {
    await host.restart({ crash: how === 'a crash' });
    await act(phone.deviceId);
    expect(await stateOf()).toBe('offline');
    await phone.sync({ set: 'offline' });
    await act(phone.deviceId);
    expect(await stateOf()).toBe('offline');
  });

  it('hides nobody else: another device of theirs shows what it does, and a new word shows this one', async () => {
    await host.restart();
    await act('TABLET');
    expect(await stateOf()).toBe('online');
    await world.advance(minute);
    expect(await stateOf()).toBe('offline');
    await phone.sync({ set: 'online' });
    expect(await stateOf()).toBe('online');
  });
});

describe('a device that says nothing but that it hides', () => {
  it('is hidden also for a process that comes after a crash, though nothing changed that anybody saw', async () => {
    await phone.sync({ set: 'offline' });
    await world.advance(2 * second);
    await host.restart({ crash: true });
    await act(phone.deviceId);
    expect(await stateOf()).toBe('offline');
  });
});

describe('a sync', () => {
  it('that is ended twice ends no other of the same device', async () => {
    const endFirst = phone.poll('online', true);
    const endSecond = phone.poll('online', true);
    endFirst();
    endFirst();
    await world.advance(2 * minute);
    expect(await stateOf()).toBe('online');
    endSecond();
    await world.advance(30 * second);
    expect(await stateOf()).toBe('offline');
  });
});

describe('the grace after a restart', () => {
  it('is not ended by a sync that leaves presence alone, and is by one that does not', async () => {
    await phone.sync({ set: 'online' });
    await world.advance(2 * second);
    await host.restart();
    await world.device(alice, 'TABLET').sync({ set: 'offline' });
    expect(await stateOf()).toBe('online');
    await world.advance(44 * second);
    expect(await stateOf()).toBe('online');
    await world.advance(second);
    expect(await stateOf()).toBe('offline');
    await host.restart();
    await phone.sync({ set: 'unavailable' });
    expect(await stateOf()).toBe('unavailable');
  });
});

describe('storage', () => {
  const stored = async () => (await host.storage.presence.find(alice))?.state;

  it('that fails once loses nothing: what was not written is written a minute later', async () => {
    const commit = host.storage.commit.bind(host.storage);
    let failures = 0;
    host.storage.commit = (batch) => {
      if (failures > 0 || !batch.rows.some(({ kind }) => kind === 'presence')) return commit(batch);
      failures += 1;
      return Promise.reject(new Error('the disk is full'));
    };
    phone.poll('online', true);
    await world.advance(2 * second);
    expect(failures).toBe(1);
    expect(await stored()).toBeUndefined();
    await world.advance(minute);
    expect(await stored()).toBe('online');
  });

  it('has a first word a second later, however often others speak who were written lately', async () => {
    phone.poll('online', true);
    await world.advance(2 * second);
    expect(await stored()).toBe('online');
    const end = world.device(bob).poll('online', true);
    for (let time = 0; time < 10; time += 1) {
      await act('PHONE');
      await world.advance(200);
    }
    expect((await host.storage.presence.find(bob))?.state).toBe('online');
    end();
  });

  it('that is slow holds back the answer to a PUT, and to an equal one behind it', async () => {
    const commit = host.storage.commit.bind(host.storage);
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    host.storage.commit = async (batch) => {
      await held;
      return commit(batch);
    };
    const answered: string[] = [];
    const put = async (name: string): Promise<void> => {
      await host.presence.putPresence({ userId: alice, deviceId: phone.deviceId }, 'unavailable', 'hello');
      answered.push(name);
    };
    const puts = [put('the first'), put('an equal one')];
    for (let turn = 0; turn < 5; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
    expect(answered).toEqual([]);
    goOn();
    await Promise.all(puts);
    expect(answered).toHaveLength(2);
    expect(await stored()).toBe('unavailable');
    await put('one more');
  });
});
