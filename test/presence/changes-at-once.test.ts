import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import type { DeviceId, EventId } from '../../src/matrix/ids.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { Position } from '../../src/storage/contract/numbers.ts';
import { PresenceStorage } from '../support/presence-storage.ts';
import { type Client, here, room, user, World } from '../support/presence-world.ts';

const [alice, bob, carol] = [user('alice'), user('bob'), user('carol')];
const offline = (sender: string) => ({ sender, presence: 'offline' });

let world: World;
let bobs: Client;

beforeEach(async () => {
  world = await World.start({}, [here]);
  await world.join(room('a'), alice, bob, carol);
  bobs = world.device(bob);
  bobs.poll('offline', true);
  await bobs.read();
  await world.put(alice, 'online', 'hello');
  expect(await bobs.readStates()).toEqual({ [alice]: 'online' });
  // Acknowledged: nothing waits in the inbox.
  expect(await bobs.read()).toEqual([]);
});

/** Each step of the way takes longer than anybody may hold up the others. */
function makeSlow(): void {
  let ms = 0;
  vi.spyOn(systemClock, 'monotonic').mockImplementation(() => {
    ms += 20;
    return ms;
  });
}

afterEach(() => {
  vi.restoreAllMocks();
});

/** A leave as one commit, without waiting for what follows from it. */
async function leave(userId: typeof alice, name: string): Promise<void> {
  const step = { roomId: room(name), userId, before: 'join', after: 'leave' } as const;
  await world.host(here).setMembership(step);
}

describe('a leave, and what their server says of it', () => {
  it('may be taken in before the leave is handed out: who saw them through the room sees them offline', async () => {
    const dave = user('dave:there.test');
    const { presence, roster } = world.host(here);
    const receive = (fields: object) =>
      presence.receive('there.test' as ServerName, [{ push: [{ user_id: dave, last_active_ago: 0, ...fields }] }]);
    await world.join(room('a'), dave);
    await receive({ presence: 'online' });
    expect(await bobs.readStates()).toEqual({ [dave]: 'online' });
    // Others are told about first.
    const puts = [alice, bob, carol].map((userId) =>
      presence.putPresence({ userId, deviceId: 'PUT' as DeviceId }, 'unavailable', null),
    );
    const left = { roomId: room('a'), userId: dave, before: 'join', after: 'leave' } as const;
    const change = { kind: 'membership', position: 1 as Position, eventId: '$left' as EventId, ...left } as const;
    roster.apply([change]);
    presence.onChanges([change]);
    await receive({ presence: 'offline', allowed_recipients: [`@*:${here}`] });
    await Promise.all(puts);
    await world.settle();
    expect(await bobs.read()).toContainEqual(offline(dave));
  });

  it.each([
    ['each other', () => {}, () => Promise.resolve()],
    ['each other, while every step holds up the others', makeSlow, () => new Promise<void>((go) => setImmediate(go))],
  ])('may come at any moment of %s: who saw them through the room sees them offline', async (_, begin, pass) => {
    const dave = user('dave:there.test');
    const takenBack = { user_id: dave, presence: 'offline', last_active_ago: 0, allowed_recipients: [`@*:${here}`] };
    begin();
    for (let turns = 0; turns < 40; turns += 1) {
      world = await World.start({}, [here], () => PresenceStorage.open());
      await world.join(room('a'), bob, dave);
      bobs = world.device(bob);
      bobs.poll('offline', true);
      await bobs.read();
      const { presence } = world.host(here);
      const receive = (push: object) => presence.receive('there.test' as ServerName, [{ push: [push] }]);
      await receive({ user_id: dave, presence: 'online', last_active_ago: 0 });
      expect(await bobs.readStates()).toEqual({ [dave]: 'online' });
      // The one goes first, then the other.
      const before = Math.max(0, 20 - turns);
      const behind = Math.max(0, turns - 20);
      const left = (async () => {
        for (let turn = 0; turn < behind; turn += 1) await pass();
        await leave(dave, 'a');
      })();
      for (let turn = 0; turn < before; turn += 1) await pass();
      await Promise.all([receive(takenBack), left]);
      expect(await bobs.read(), `after ${turns} turns`).toContainEqual(offline(dave));
    }
  });
});

describe('two changes of which neither alone hides the subject', () => {
  it('a leave takes the room out of her config with it: who saw her through it sees her offline', async () => {
    await world.join(room('b'), alice, bob);
    await world.share(alice, { allowed_users: [room('b')], denied_users: ['@*'] });
    await bobs.read();
    await world.leave(room('b'), alice);
    expect(await bobs.read()).toEqual([offline(alice)]);
  });

  it('a leave of the last shared room right behind a config edit hides her', async () => {
    await world.join(room('b'), alice, bob);
    await world.leave(room('a'), alice);
    await bobs.read();
    const host = world.host(here);
    const edit = await host.presence.checkAccountData(alice, null, 'm.presence_sharing_config', {
      denied_users: [room('b')],
    });
    const step = { roomId: room('b'), userId: alice, before: 'join', after: 'leave' } as const;
    const audience = await host.presence.rowsForAudienceChange([step]);
    await Promise.all([host.commit(edit), host.commit([leaveRow(alice, 'b'), ...audience])]);
    await world.settle();
    expect(await bobs.read()).toEqual([offline(alice)]);
  });

  it('both leave at once', async () => {
    await Promise.all([leave(alice, 'a'), leave(bob, 'a')]);
    await world.settle();
    expect(await bobs.read()).toEqual([offline(alice)]);
  });

  it.each(['the same process', 'a restart', 'a crash'])(
    'each leaves another one of their two rooms: who was away is told by %s',
    async (how) => {
      await world.join(room('b'), alice, bob);
      await bobs.read();
      await Promise.all([leave(alice, 'a'), leave(bob, 'b')]);
      if (how !== 'the same process') await world.host(here).restart({ crash: how === 'a crash' });
      await world.settle();
      expect((await bobs.read()).filter(({ sender }) => sender !== bob)).toEqual([offline(alice)]);
    },
  );

  it('and only one of them was committed: nothing is lost', async () => {
    await world.join(room('b'), alice, bob);
    await bobs.read();
    const step = { roomId: room('b'), userId: bob, before: 'join', after: 'leave' } as const;
    await world.host(here).presence.rowsForAudienceChange([step]);
    await leave(alice, 'a');
    await world.host(here).restart();
    expect(await bobs.readStates()).toMatchObject({ [alice]: 'online' });
  });

  it('a denial and its end in one breath leave the viewer where they were', async () => {
    const host = world.host(here);
    const rows = await host.presence.checkAccountData(alice, null, 'm.presence_sharing_config', {
      denied_users: [bob],
    });
    const undo = await host.presence.checkAccountData(alice, null, 'm.presence_sharing_config', {});
    await Promise.all([host.commit(rows), host.commit(undo)]);
    await world.settle();
    const seen = await bobs.read();
    expect(seen.filter(({ presence }) => presence === 'offline')).toEqual([]);
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'online' });
  });
});

describe('the last of ours who leave a room at once', () => {
  it('are each woken, and see who stays behind elsewhere offline', async () => {
    const dave = user('dave:there.test');
    const { presence, woken } = world.host(here);
    await world.join(room('c'), bob, carol, dave);
    const carols = world.device(carol);
    carols.poll('offline', true);
    const online = { user_id: dave, presence: 'online', last_active_ago: 0 };
    await presence.receive('there.test' as ServerName, [{ push: [online] }]);
    for (const client of [bobs, carols]) expect(await client.readStates()).toMatchObject({ [dave]: 'online' });
    for (const client of [bobs, carols]) await client.read();
    woken.length = 0;
    const steps = [bob, carol].map(
      (userId) => ({ roomId: room('c'), userId, before: 'join', after: 'leave' }) as const,
    );
    const audience = await presence.rowsForAudienceChange(steps);
    await world.host(here).commit([leaveRow(bob, 'c'), leaveRow(carol, 'c'), ...audience]);
    await world.settle();
    expect(woken.toSorted()).toEqual([bob, carol]);
    for (const client of [bobs, carols]) expect(await client.read()).toEqual([offline(dave)]);
  });
});

describe('a denial and a change of state at once', () => {
  it('show a viewer offline who was not told that she had gone', async () => {
    const host = world.host(here);
    const rows = await host.presence.checkAccountData(alice, null, 'm.presence_sharing_config', {
      denied_users: [bob],
    });
    await Promise.all([
      host.presence.putPresence({ userId: alice, deviceId: 'PUT' as never }, 'offline', null),
      host.commit(rows),
    ]);
    await world.settle();
    expect(await bobs.read()).toEqual([offline(alice)]);
  });

  it('in the other order show them offline as well', async () => {
    const host = world.host(here);
    const rows = await host.presence.checkAccountData(alice, null, 'm.presence_sharing_config', {
      denied_users: [bob],
    });
    await Promise.all([
      host.commit(rows),
      host.presence.putPresence({ userId: alice, deviceId: 'PUT' as never }, 'offline', null),
    ]);
    await world.settle();
    expect(await bobs.read()).toEqual([offline(alice)]);
  });

  it('tell nothing to who knew already that she was offline', async () => {
    await world.put(alice, 'offline');
    expect(await bobs.read()).toHaveLength(1);
    expect(await bobs.read()).toEqual([]);
    await world.share(alice, { denied_users: [bob] });
    expect(await bobs.read()).toEqual([]);
  });
});

function leaveRow(userId: typeof alice, name: string): Row {
  return {
    kind: 'membership',
    roomId: room(name),
    userId,
    membership: 'leave',
    eventId: `$leave-${name}-${userId}` as never,
    sender: userId,
    displayname: null,
    avatarUrl: null,
  };
}
