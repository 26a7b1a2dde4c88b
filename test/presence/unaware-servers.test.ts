import { beforeEach, describe, expect, it } from 'vitest';
import type { PresencePush } from '../../src/matrix/presence.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import type { PresenceSettings } from '../../src/presence/settings.ts';
import { acceptAll, joinMany } from '../support/presence-crowd.ts';
import { here, room, there, user, World } from '../support/presence-world.ts';

/** A server that the test plays; whether it knows `allowed_recipients` is what it shows of itself. */
const old = 'old.test' as ServerName;
const [alice, bob] = [user('alice'), user('bob')];
const [oscar, olga] = [user('oscar:old.test'), user('olga:old.test')];
const day = 86_400_000;

let world: World;

async function start(settings: Partial<PresenceSettings>): Promise<void> {
  world = await World.start(settings, [here]);
  acceptAll(world);
  await world.join(room('a'), alice, bob);
  await joinMany(world, room('a'), [oscar, olga]);
  await world.settle();
}

/** What the old server was told since the last call. */
function told(): PresencePush[] {
  return world.takeTransactions(old).flatMap(({ push }) => [...push]);
}

/** The old server sends an update with this list. */
async function hear(list: unknown): Promise<void> {
  const push = [{ user_id: oscar, presence: 'online', last_active_ago: 0, allowed_recipients: list }];
  await world.host(here).presence.receive(old, [{ push }]);
  await world.settle();
}

const announcement = (subject = alice): PresencePush => ({
  user_id: subject,
  presence: 'offline',
  last_active_ago: 0,
  currently_active: false,
  allowed_recipients: [`@*:${old}`],
});

describe('the announcement', () => {
  beforeEach(() => start({}));

  it('stands in the first update to a server, and then daily, where the field could be left out', async () => {
    const end = world.device(alice).poll();
    const lists: (readonly string[] | undefined)[] = [];
    for (let hour = 0; hour < 50; hour += 1) {
      await world.advance(day / 24);
      lists.push(...told().map((push) => push.allowed_recipients));
    }
    expect(lists[0]).toEqual([`@*:${old}`]);
    expect(lists.filter((list) => list !== undefined).length).toBe(3);
    expect(lists.length).toBeGreaterThan(100);
    end();
  });

  it('stands in it again after a start', async () => {
    await world.put(alice, 'online', 'one');
    await world.advance(2_000);
    await world.host(here).restart();
    await world.put(alice, 'online', 'two');
    await world.put(bob, 'online');
    await world.advance(60_000);
    const lists = told().map((push) => push.allowed_recipients);
    expect(lists.filter((list) => list !== undefined)).toEqual([[`@*:${old}`], [`@*:${old}`]]);
  });

  it('is given in an update that was refused once more', async () => {
    world.deliver = async (parcel) => {
      world.transactions.push({ ...parcel, atMs: world.clock.monotonic(), edus: 1, accepted: false });
      return false;
    };
    await world.put(alice, 'online');
    await world.advance(10_000);
    const lists = told().map((push) => push.allowed_recipients);
    expect(lists.length).toBeGreaterThan(1);
    for (const list of lists) expect(list).toEqual([`@*:${old}`]);
  });

  it('is not needed where a list is sent anyway', async () => {
    await world.share(alice, { denied_users: [olga] });
    await world.put(alice, 'online');
    await world.advance(2_000);
    await world.put(bob, 'online');
    await world.advance(2_000);
    expect(told().map((push) => push.allowed_recipients)).toEqual([[oscar], undefined]);
  });
});

describe('send', () => {
  it('tells unaware servers like all others', async () => {
    await start({ unawareServers: 'send' });
    await world.share(alice, { denied_users: [olga] });
    await world.put(alice, 'online', 'hi');
    await world.advance(2_000);
    expect(told()).toMatchObject([{ status_msg: 'hi', allowed_recipients: [oscar] }]);
  });
});

describe('a server that answers late', () => {
  it('is told what changed while its answer was awaited', async () => {
    await start({});
    const end = world.device(alice).poll();
    await world.put(alice, 'online', 'one');
    await world.advance(60_000);
    told();
    const { deliver } = world;
    let answer = () => {};
    world.deliver = async (parcel) => {
      await deliver(parcel);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return true;
    };
    await world.put(alice, 'online', 'two');
    await world.advance(40_000);
    await world.put(alice, 'online', 'three');
    await world.advance(5_000);
    expect(told()).toMatchObject([{ status_msg: 'two' }]);
    world.deliver = deliver;
    answer();
    await world.advance(40_000);
    expect(told()[0]).toMatchObject({ status_msg: 'three' });
    end();
  });
});

describe('whole_server_only', () => {
  beforeEach(() => start({ unawareServers: 'whole_server_only' }));

  it('announces itself by somebody who is withheld, whoever else is told there', async () => {
    await start({ unawareServers: 'whole_server_only' });
    await world.put(alice, 'offline');
    await world.share(bob, { denied_users: [oscar] });
    await world.put(bob, 'online', 'secret');
    await world.advance(10_000);
    told();
    await world.host(here).restart();
    await world.advance(10_000);
    expect(told()).toEqual([announcement(bob)]);
  });

  it('tells an unaware server what everybody there may see', async () => {
    await world.put(alice, 'online', 'hi');
    await world.advance(2_000);
    expect(told()).toMatchObject([{ status_msg: 'hi' }]);
  });

  it('withholds what one user there may not see', async () => {
    await world.share(alice, { denied_users: [olga] });
    await world.put(alice, 'online', 'hi');
    await world.advance(60_000);
    expect(told()).toEqual([]);
  });

  it('takes back what it holds when one is denied, and gives it again when nobody is', async () => {
    await world.put(alice, 'online', 'hi');
    await world.advance(2_000);
    told();
    await world.share(alice, { denied_users: [olga] });
    await world.advance(2_000);
    expect(told()).toMatchObject([{ presence: 'offline', allowed_recipients: [`@*:${old}`] }]);
    await world.share(alice, {});
    await world.advance(2_000);
    expect(told()).toMatchObject([{ presence: 'online', status_msg: 'hi' }]);
  });

  it('takes it back when one joins there who may not see, and gives it again when they leave', async () => {
    const ole = user('ole:old.test');
    await world.share(alice, { denied_users: [ole] });
    await world.put(alice, 'online', 'hi');
    await world.advance(2_000);
    expect(told()).toMatchObject([{ status_msg: 'hi' }]);
    const host = world.host(here);
    await host.setMembership({ roomId: room('a'), userId: ole, before: null, after: 'join' });
    await world.advance(2_000);
    expect(told()).toMatchObject([{ presence: 'offline', allowed_recipients: [`@*:${old}`] }]);
    await world.put(alice, 'unavailable', 'secret');
    await world.advance(5_000);
    expect(told()).toEqual([]);
    await host.setMembership({ roomId: room('a'), userId: ole, before: 'join', after: 'leave' });
    await world.advance(2_000);
    expect(told()).toMatchObject([{ presence: 'unavailable', status_msg: 'secret' }]);
  });

  it('stores with the join of one who may not see that it is taken back', async () => {
    const ole = user('ole:old.test');
    await world.share(alice, { denied_users: [ole] });
    await world.put(alice, 'online', 'hi');
    await world.advance(2_000);
    const join = { roomId: room('a'), userId: ole, before: null, after: 'join' };
    const rows = await world.presence.rowsForAudienceChange([join]);
    expect(rows).toMatchObject([{ kind: 'narrowing', destination: old, subject: alice }]);
  });

  it('stores it also where our user comes at the same time', async () => {
    const [ole, carol] = [user('ole:old.test'), user('carol')];
    await world.join(room('c'), carol);
    await joinMany(world, room('c'), [oscar]);
    await world.join(room('b'), bob);
    await world.share(carol, { denied_users: [ole] });
    await world.put(carol, 'online', 'hi');
    await world.advance(2_000);
    const [ours, theirs] = [carol, ole].map((userId) => ({ roomId: room('b'), userId, before: null, after: 'join' }));
    const rows = [];
    for (const step of [ours, theirs]) if (step) rows.push(...(await world.presence.rowsForAudienceChange([step])));
    expect(rows).toMatchObject([{ kind: 'narrowing', destination: old, subject: carol }]);
  });

  it('takes it back also when they join while the answer to a former narrowing is awaited', async () => {
    const ole = user('ole:old.test');
    await world.put(alice, 'online', 'hi');
    await world.advance(2_000);
    const { deliver } = world;
    let answer = () => {};
    world.deliver = async (parcel) => {
      await deliver(parcel);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return true;
    };
    await world.share(alice, { denied_users: [ole] });
    await world.advance(2_000);
    expect(told().at(-1)).toMatchObject({ presence: 'online', allowed_recipients: [olga, oscar] });
    const { presence } = world.host(here);
    const decide = presence.rowsForAudienceChange;
    // Facts moved between the decision and its commit, so that only the fan-out sees the loss.
    presence.rowsForAudienceChange = async () => [];
    await world.host(here).setMembership({ roomId: room('a'), userId: ole, before: null, after: 'join' });
    presence.rowsForAudienceChange = decide;
    await world.settle();
    world.deliver = deliver;
    answer();
    await world.advance(60_000);
    expect(told()).toMatchObject([{ presence: 'offline', allowed_recipients: [`@*:${old}`] }]);
  });
});

describe('withhold', () => {
  beforeEach(() => start({ unawareServers: 'withhold' }));

  it('tells an unaware server nothing', async () => {
    await world.put(alice, 'online', 'secret');
    await world.advance(60_000);
    await world.put(alice, 'unavailable', 'more');
    await world.share(alice, { denied_users: [olga] });
    await world.advance(60_000);
    expect(told()).toEqual([]);
  });

  it.each([
    ['names one of ours', [bob]],
    ['names our server', [`@*:${here}`]],
    ['has a glob', ['@b*']],
  ])('gives what was withheld when the server sends a list that %s', async (_, list) => {
    await world.put(alice, 'online', 'hi');
    await world.advance(5_000);
    expect(told()).toEqual([]);
    await hear(list);
    await world.advance(2_000);
    expect(told()).toMatchObject([{ user_id: alice, presence: 'online', status_msg: 'hi' }]);
  });

  it.each([
    ['no list', undefined],
    ['null', null],
    ['an empty list', []],
    ['no list but a name', bob],
    ['a list that names nobody', [1, 'bob']],
  ])('gives nothing to a server that sent %s', async (_, list) => {
    await world.put(alice, 'online', 'hi');
    await hear(list);
    await world.advance(60_000);
    expect(told()).toEqual([]);
  });

  it('gives nothing for a list that stands with a user of another server', async () => {
    await world.put(alice, 'online', 'hi');
    const push = [{ user_id: user('x:other.test'), presence: 'online', last_active_ago: 0, allowed_recipients: [bob] }];
    await world.host(here).presence.receive(old, [{ push }]);
    await world.advance(60_000);
    expect(told()).toEqual([]);
  });

  it.each(['the same process', 'a restart', 'a crash'])(
    'takes it back seven days after the server last sent the field, in %s',
    async (how) => {
      await hear([bob]);
      await world.put(alice, 'offline', 'hi');
      await world.advance(5_000);
      expect(told()).toMatchObject([{ status_msg: 'hi' }]);
      await world.advance(7 * day - 10_000);
      expect(told()).toEqual([]);
      if (how !== 'the same process') await world.host(here).restart({ crash: how === 'a crash' });
      await world.advance(90_000);
      expect(told()[0]).toMatchObject({ presence: 'offline', allowed_recipients: [`@*:${old}`] });
      await world.put(alice, 'unavailable', 'secret');
      await world.advance(60_000);
      expect(JSON.stringify(told())).not.toContain('secret');
      await hear([bob]);
      await world.advance(5_000);
      expect(told()).toMatchObject([{ user_id: alice, status_msg: 'secret' }]);
    },
  );

  it('counts the seven days from the last time, also while nobody of ours was running', async () => {
    await hear([bob]);
    await world.advance(4 * day);
    await hear([bob]);
    await world.put(alice, 'online', 'hi');
    await world.advance(4 * day);
    expect(told()).not.toEqual([]);
    await world.host(here).presence.stop();
    world.clock.step(8 * day);
    await world.host(here).restart({ crash: true });
    await world.advance(5_000);
    const rest = told();
    expect(rest[0]).toMatchObject({ presence: 'offline', allowed_recipients: [`@*:${old}`] });
    expect(JSON.stringify(rest)).not.toContain('hi');
  });

  it('counts them from the start where the clock was set back', async () => {
    await hear([bob]);
    await world.put(alice, 'online', 'hi');
    world.clock.step(-30 * day);
    await world.host(here).restart();
    await world.advance(7 * day - 10_000);
    expect(told()).not.toEqual([]);
    await world.advance(90_000);
    expect(told().at(-1)).toMatchObject({ presence: 'offline', allowed_recipients: [`@*:${old}`] });
    await world.put(alice, 'unavailable', 'secret');
    await world.advance(60_000);
    expect(JSON.stringify(told())).not.toContain('secret');
  });

  it('goes by the clock of the machine where it is set back meanwhile, and looks again', async () => {
    // A narrowing says when they were last active; the daily announcement does not.
    const takenBack = () => told().filter((push) => push.presence === 'offline' && push.last_active_ago !== 0);
    const end = world.device(alice).poll();
    await hear([bob]);
    await world.put(alice, 'online', 'hi');
    world.clock.step(-3 * day);
    told();
    await world.advance(8 * day);
    expect(takenBack()).toEqual([]);
    await world.advance(3 * day);
    expect(takenBack()).toMatchObject([{ user_id: alice, allowed_recipients: [`@*:${old}`] }]);
    end();
    await world.put(alice, 'unavailable', 'secret');
    await world.advance(60_000);
    expect(JSON.stringify(told())).not.toContain('secret');
  });

  it('announces itself after a start and then daily, by an offline of somebody who is withheld there', async () => {
    await world.put(alice, 'online', 'secret');
    await world.host(here).restart();
    await world.advance(10_000);
    expect(told()).toEqual([announcement()]);
    await world.advance(day - 20_000);
    expect(told()).toEqual([announcement()]);
    await world.advance(3 * day);
    const later = told();
    expect(later.length).toBeGreaterThanOrEqual(3);
    expect(later.length).toBeLessThanOrEqual(4);
  });

  it('announces itself to no server that is known to be aware', async () => {
    await hear([bob]);
    await world.put(alice, 'offline');
    await world.advance(120_000);
    told();
    await world.host(here).restart();
    await world.advance(3 * day);
    expect(told()).toEqual([]);
  });

  it('announces itself to no server whose last user leaves before it is told', async () => {
    await world.put(alice, 'online');
    await world.host(here).restart();
    await world.presence.idle();
    for (const userId of [oscar, olga])
      await world.host(here).setMembership({ roomId: room('a'), userId, before: 'join', after: 'leave' });
    expect(told()).toEqual([]);
    await world.advance(3 * day);
    expect(told()).toEqual([]);
  });

  it('announces itself to nobody while presence does not cross', async () => {
    await start({ unawareServers: 'withhold', outbound: false });
    await world.put(alice, 'online');
    await world.host(here).restart();
    await world.advance(3 * day);
    expect(told()).toEqual([]);
  });

  it('lets two servers that both withhold find each other', async () => {
    world = await World.start({ unawareServers: 'withhold' });
    const dave = user('dave:there.test');
    await world.join(room('a'), alice, dave);
    await world.put(alice, 'online', 'a');
    await world.put(dave, 'online', 'd');
    await world.advance(10_000);
    await world.host(there).restart();
    await world.advance(60_000);
    expect(await world.get(dave, alice)).toMatchObject({ status_msg: 'a' });
    expect(await world.get(alice, dave)).toMatchObject({ status_msg: 'd' });
  });
});

describe('the setting, changed by a restart', () => {
  it('takes back what unaware servers hold, and gives it again', async () => {
    await start({});
    await world.put(alice, 'offline', 'hi');
    await world.advance(2_000);
    told();
    await world.host(here).restart({ settings: { unawareServers: 'withhold' } });
    await world.advance(5_000);
    expect(told()).toMatchObject([{ presence: 'offline', allowed_recipients: [`@*:${old}`] }]);
    await world.host(here).restart({ settings: { unawareServers: 'send' } });
    await world.advance(5_000);
    expect(told()).toMatchObject([{ user_id: alice, status_msg: 'hi' }]);
  });
});
