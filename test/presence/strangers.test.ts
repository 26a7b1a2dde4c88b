import { beforeEach, describe, expect, it } from 'vitest';
import type { UserId } from '../../src/matrix/ids.ts';
import type { PresencePush } from '../../src/matrix/presence.ts';
import { type Client, here, room, there, user, World } from '../support/presence-world.ts';

/** Who shares no room: she has to let them in by name, and they have to name her. */

const [alice, bob] = [user('alice'), user('bob')];
const [dave, erin] = [user('dave:there.test'), user('erin:there.test')];
const offline = (sender: string) => ({ sender, presence: 'offline' });
const away = 120_000;

let world: World;
let bobs: Client;
let daves: Client;

async function connect(viewer: UserId): Promise<Client> {
  const client = world.device(viewer);
  await client.sync({ set: 'offline' });
  client.poll('offline', true);
  return client;
}

beforeEach(async () => {
  world = await World.start();
  await world.join(room('a'), alice, user('friend'));
  await world.join(room('b'), bob, dave, erin);
  bobs = await connect(bob);
  daves = await connect(dave);
  await world.share(alice, { allowed_users: [bob, dave] });
  for (const viewer of [bob, dave]) await world.share(viewer, { allowed_users: [alice] });
  await world.put(alice, 'online', 'hello');
  await world.advance(2_000);
});

describe('who names her and is named by her', () => {
  it('sees her, here and there, live and from the start', async () => {
    for (const client of [bobs, daves]) {
      expect(await client.read()).toMatchObject([{ sender: alice, presence: 'online', status_msg: 'hello' }]);
      expect(await world.device(client.userId, 'NEW').readStates()).toMatchObject({ [alice]: 'online' });
      expect(await world.get(client.userId, alice)).toMatchObject({ status_msg: 'hello' });
    }
    await world.put(alice, 'unavailable', 'later');
    await world.advance(2_000);
    for (const client of [bobs, daves]) expect(await client.readStates()).toEqual({ [alice]: 'unavailable' });
  });

  it('is told over a restart of either server', async () => {
    await world.host(here).restart();
    await world.host(there).restart();
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'online' });
    for (const client of [bobs, daves]) expect(await client.readStates()).toMatchObject({ [alice]: 'online' });
  });

  it('keeps her when the last shared room is left, without an offline in between', async () => {
    await world.join(room('a'), bob);
    await bobs.read();
    await world.leave(room('a'), bob);
    expect((await bobs.read()).filter(({ presence }) => presence === 'offline')).toEqual([]);
    expect(await world.get(bob, alice)).toMatchObject({ presence: 'online' });
  });

  it('of another server has her again after the last shared room is left, from their list', async () => {
    await world.join(room('a'), dave);
    await world.advance(2_000);
    await daves.read();
    await world.leave(room('a'), dave);
    await world.advance(2_000);
    expect(await daves.read()).toMatchObject([{ sender: alice, presence: 'online' }]);
    await world.put(alice, 'unavailable');
    await world.advance(2_000);
    expect(await daves.readStates()).toEqual({ [alice]: 'unavailable' });
  });

  it('of another server keeps her also when what they saw last was for everybody in the room', async () => {
    await world.join(room('a'), dave);
    await world.put(alice, 'unavailable', 'to the room');
    await world.advance(2_000);
    await world.leave(room('a'), dave);
    await world.advance(2_000);
    expect(await world.get(dave, alice)).toMatchObject({ status_msg: 'to the room' });
  });

  it('of another server that forgot her when it restarted has her with the first shared room', async () => {
    await world.share(dave, {});
    await world.put(alice, 'unavailable', 'unwanted');
    await world.advance(2_000);
    await world.host(there).restart();
    await world.join(room('a'), dave);
    await world.advance(2_000);
    expect(await world.get(dave, alice)).toMatchObject({ status_msg: 'unwanted' });
  });

  it('of another server may crash right behind their consent: what was told before it is not lost', async () => {
    await world.share(dave, {});
    await world.put(alice, 'unavailable', 'unwanted');
    await world.advance(2_000);
    await world.share(dave, { allowed_users: [alice] });
    await world.host(there).restart({ crash: true });
    expect(await world.get(dave, alice)).toMatchObject({ presence: 'unavailable', status_msg: 'unwanted' });
  });

  it('only since their server restarted, which stores nothing of strangers, has her when she is renewed', async () => {
    await world.share(dave, {});
    await world.put(alice, 'unavailable', 'unwanted');
    world.device(alice).poll('unavailable', true);
    await world.advance(2_000);
    await world.host(there).restart({ crash: true });
    daves = await connect(dave);
    await world.share(dave, { allowed_users: [alice] });
    await world.advance(60_000);
    expect(await daves.readStates()).toEqual({});
    await world.advance(1_500_000);
    expect(await daves.read()).toMatchObject([{ sender: alice, presence: 'unavailable', status_msg: 'unwanted' }]);
  });

  it('is named one by one: leaving out the list would not reach them', () => {
    const push = world.takeTransactions(there).flatMap((transaction) => transaction.push);
    expect(push.filter(({ user_id }) => user_id === alice)).toMatchObject([{ allowed_recipients: [dave] }]);
  });
});

describe('who takes back their consent', () => {
  it.each([
    ['by an edit of their list', (viewer: UserId) => world.share(viewer, { allowed_users: [] })],
    ['by ignoring her', (viewer: UserId) => world.ignore(viewer, alice)],
  ])('%s, sees one bare offline and nothing of her any more', async (_, refuse) => {
    for (const client of [bobs, daves]) {
      await client.read();
      await refuse(client.userId);
      expect(await client.read()).toEqual([offline(alice)]);
    }
    await world.put(alice, 'unavailable', 'secret');
    await world.advance(2_000);
    for (const client of [bobs, daves]) expect(await client.read()).toEqual([]);
    expect(await world.get(bob, alice)).toMatchObject({ status_msg: 'secret' });
    await expect(world.get(dave, alice)).rejects.toMatchObject({ status: 404 });
  });

  it.each(['the same process', 'a restart', 'a crash'])('while away is told so by %s', async (how) => {
    for (const client of [bobs, daves]) await client.read();
    // Nobody polls any more.
    for (const client of [bobs, daves]) client.poll('offline', true)();
    await world.advance(away);
    for (const viewer of [bob, dave]) await world.share(viewer, {});
    if (how !== 'the same process')
      for (const host of world.hosts.values()) await host.restart({ crash: how === 'a crash' });
    for (const client of [bobs, daves]) expect(await client.read()).toContainEqual(offline(alice));
    for (const client of [bobs, daves]) expect(await client.read()).toEqual([]);
  });

  it('and gives it again sees her again', async () => {
    for (const client of [bobs, daves]) await client.read();
    await world.share(bob, {});
    await bobs.read();
    await world.share(bob, { allowed_users: [alice] });
    expect(await bobs.readStates()).toEqual({ [alice]: 'online' });
  });

  it('of another server and gives it again sees her as she is by then', async () => {
    await daves.read();
    await world.share(dave, {});
    await daves.read();
    await world.put(alice, 'unavailable', 'meanwhile');
    await world.advance(2_000);
    await world.share(dave, { allowed_users: [alice] });
    expect(await daves.read()).toMatchObject([{ sender: alice, presence: 'unavailable', status_msg: 'meanwhile' }]);
  });
});

describe('who is not let in any more', () => {
  it('sees one bare offline, here and there', async () => {
    for (const client of [bobs, daves]) await client.read();
    await world.share(alice, {});
    await world.advance(2_000);
    for (const client of [bobs, daves]) expect(await client.read()).toEqual([offline(alice)]);
    await expect(world.get(bob, alice)).rejects.toMatchObject({ status: 404 });
    world.takeTransactions();
    await world.put(alice, 'unavailable', 'secret');
    await world.advance(2_000);
    expect(world.takeTransactions(there)).toEqual([]);
  });

  it('while both their server and ours were away is told when they are back', async () => {
    await daves.read();
    world.host(there).isDown = true;
    await world.share(alice, {});
    await world.host(here).restart({ crash: true });
    world.host(there).isDown = false;
    await world.advance(60_000);
    expect(await daves.read()).toContainEqual(offline(alice));
  });

  it('while away, with no room left that would remind of her, is told by a token from before', async () => {
    await bobs.read();
    await world.share(alice, {});
    await world.host(here).restart();
    expect(await bobs.read()).toContainEqual(offline(alice));
  });
});

describe('without consent', () => {
  it('nothing arrives, whatever another server says', async () => {
    await world.share(bob, {});
    await bobs.read();
    const push: PresencePush[] = [bob, `@*:${here}`, '@*'].map((entry) => ({
      user_id: erin,
      presence: 'online',
      last_active_ago: 0,
      currently_active: true,
      status_msg: 'buy this',
      allowed_recipients: [entry],
    }));
    await world.leave(room('b'), bob);
    await bobs.read();
    await world.host(here).presence.receive(there, [{ push }]);
    expect(await bobs.read()).toEqual([]);
    await expect(world.get(bob, erin)).rejects.toMatchObject({ status: 404 });
    // Nor later, unless by a name of their own.
    await world.share(bob, { allowed_users: ['@*:there.test', '@e*'] });
    expect(await bobs.read()).toEqual([]);
  });

  it('nothing is stored, and what was faster than the consent is shown with it', async () => {
    const zoe = user('zoe:there.test');
    const push = [{ user_id: zoe, presence: 'online', last_active_ago: 0, allowed_recipients: [bob] }];
    await world.host(here).presence.receive(there, [{ push }]);
    await world.advance(away);
    const stored = async () =>
      (await world.host(here).storage.presence.listCopies(null, 100)).map((row) => row.subject);
    expect(await stored()).not.toContain(zoe);
    await world.share(bob, { allowed_users: [zoe] });
    expect(await bobs.readStates()).toMatchObject({ [zoe]: 'online' });
    await world.advance(away);
    expect(await stored()).toContain(zoe);
  });

  it('an update without a list is for who shares a room', async () => {
    await world.share(bob, { allowed_users: [erin] });
    await world.leave(room('b'), bob);
    await bobs.read();
    const update = { user_id: erin, presence: 'online', last_active_ago: 0 };
    const receive = (push: object[]) => world.host(here).presence.receive(there, [{ push }]);
    // The last is how another server announces that it knows the field; it means the same.
    for (const list of [undefined, null, [], [`@*:${here}`]]) await receive([{ ...update, allowed_recipients: list }]);
    expect(await bobs.read()).toEqual([]);
    await receive([{ ...update, allowed_recipients: [`@b*:${here}`] }]);
    expect(await bobs.readStates()).toEqual({ [erin]: 'online' });
  });

  it('an update without a list takes nothing from whom another one named', async () => {
    await world.share(bob, { allowed_users: [erin] });
    await world.leave(room('b'), bob);
    await bobs.read();
    const receive = (push: object[]) => world.host(here).presence.receive(there, [{ push }]);
    const update = { user_id: erin, presence: 'online', last_active_ago: 0 };
    await receive([
      { ...update, allowed_recipients: [bob] },
      { ...update, presence: 'unavailable' },
    ]);
    expect(await bobs.readStates()).toEqual({ [erin]: 'online' });
    await receive([{ ...update, presence: 'offline' }]);
    expect(await bobs.read()).toEqual([offline(erin)]);
  });

  it('an offline with a status and without a list shows a bare offline to whom another one named', async () => {
    await world.share(bob, { allowed_users: [erin] });
    await world.leave(room('b'), bob);
    await bobs.read();
    const receive = (push: object[]) => world.host(here).presence.receive(there, [{ push }]);
    const update = { user_id: erin, presence: 'online', last_active_ago: 0 };
    await receive([{ ...update, allowed_recipients: [bob] }]);
    expect(await bobs.readStates()).toEqual({ [erin]: 'online' });
    await receive([{ ...update, presence: 'offline', status_msg: 'for the room' }]);
    expect(await bobs.read()).toEqual([offline(erin)]);
    await expect(world.get(bob, erin)).rejects.toMatchObject({ status: 404 });
  });

  it('and the first wish for somebody takes nothing from what the room will show', async () => {
    await world.leave(room('b'), bob);
    await world.share(bob, { allowed_users: [] });
    await world
      .host(here)
      .presence.receive(there, [{ push: [{ user_id: erin, presence: 'online', last_active_ago: 0 }] }]);
    await world.share(bob, { allowed_users: [erin] });
    expect(await bobs.readStates()).not.toMatchObject({ [erin]: 'online' });
    await world.host(here).setMembership({ roomId: room('b'), userId: bob, before: 'leave', after: 'join' });
    expect(await bobs.readStates()).toMatchObject({ [erin]: 'online' });
  });

  it('and the end of the wish for somebody takes nothing from what the room will show', async () => {
    await world.put(erin, 'online', 'for the room');
    await world.advance(2_000);
    await world.join(room('b'), user('friend'));
    await world.leave(room('b'), bob);
    await world.advance(2_000);
    await world.share(bob, { allowed_users: [erin] });
    await world.share(bob, { allowed_users: [] });
    await world.join(room('b'), bob);
    await world.advance(2_000);
    expect(await bobs.readStates()).toMatchObject({ [erin]: 'online' });
  });

  it('neither the wish for somebody nor its end tells whether others here are shown them', async () => {
    await world.put(erin, 'online', 'for the room');
    await world.advance(2_000);
    expect(await world.get(bob, erin)).toMatchObject({ status_msg: 'for the room' });
    const carols = await connect(user('carol'));
    for (const allowed of [[erin], []]) {
      await world.share(carols.userId, { allowed_users: allowed });
      expect(await carols.read()).toEqual([]);
    }
  });
});

describe('a wish of somebody who comes back with an old token', () => {
  /** More kinds of audiences here than are remembered. */
  async function changeAudiences(): Promise<void> {
    const others = ['u0', 'u1', 'u2', 'u3'].map((name) => user(name));
    await world.join(room('b'), ...others);
    for (let bits = 1; bits < 16; bits += 1) {
      await world.share(erin, { denied_users: others.filter((_, index) => (bits >> index) % 2 === 1) });
      await world.put(erin, 'online', `${bits}`);
      await world.advance(5_000);
    }
    expect(await world.get(bob, erin)).toMatchObject({ presence: 'online', status_msg: '15' });
  }

  it('is not answered for a stranger who never let them in, however often others here were told something', async () => {
    await world.share(alice, { allowed_users: [erin] });
    await world.put(erin, 'online', 'hello');
    await world.advance(2_000);
    const alices = world.device(alice);
    await alices.read();
    await world.advance(away);
    await changeAudiences();
    expect((await alices.read()).map(({ sender }) => sender)).not.toContain(erin);
  });

  it('is answered by an offline where they were let in then', async () => {
    await world.share(erin, { allowed_users: [alice] });
    await world.share(alice, { allowed_users: [erin] });
    await world.put(erin, 'online', 'hello');
    await world.advance(2_000);
    const alices = world.device(alice);
    expect(await alices.readStates()).toMatchObject({ [erin]: 'online' });
    await world.advance(away);
    await changeAudiences();
    expect(await alices.read()).toContainEqual(offline(erin));
  });
});

describe('servers without a shared room', () => {
  it('are told of a user only if the list names somebody there, and at most twenty of them', async () => {
    const names = Array.from({ length: 30 }, (_, index) => user(`x:${index}.test`));
    world.takeTransactions();
    await world.share(alice, { allowed_users: names });
    await world.advance(60_000);
    const to = new Set(world.takeTransactions().map((transaction) => transaction.to));
    to.delete(there);
    expect([...to].sort()).toEqual(Array.from({ length: 20 }, (_, index) => `${index}.test`).sort());
  });

  it('are told the end when they fall out of the twenty', async () => {
    const names = Array.from({ length: 20 }, (_, index) => user(`x:${index}.test`));
    await world.share(alice, { allowed_users: [...names, dave] });
    await world.advance(2_000);
    expect(await daves.readStates()).toEqual({ [alice]: 'offline' });
    await world.share(alice, { allowed_users: [dave, ...names] });
    await world.advance(2_000);
    expect(await daves.readStates()).toEqual({ [alice]: 'online' });
  });
});
