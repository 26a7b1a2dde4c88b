import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RoomId, UserId } from '../../src/matrix/ids.ts';
import type { PresenceSettings } from '../../src/presence/settings.ts';
import { type Client, here, room, there, user, World } from '../support/presence-world.ts';
import { propertyRuns } from '../support/property-runs.ts';

/**
 * Whatever happens at once, and in whatever order: in the end the clients of everybody show what the policy says, nobody has a
 * dot left over, and nothing was ever shown to whom it was denied.
 */

const users = [user('alice'), user('bob'), user('carol'), user('dave:there.test'), user('erin:there.test')] as const;
const rooms = [room('a'), room('b'), room('c')] as const;

type Step =
  | { kind: 'put'; who: number; state: 'online' | 'unavailable' | 'offline'; status: string | null }
  | { kind: 'move'; who: number; where: number }
  | { kind: 'share'; who: number; allowed: string[]; denied: string[] }
  | { kind: 'ignore'; who: number; whom: number }
  /** Both name each other, so that they need no room. */
  | { kind: 'befriend'; who: number; whom: number };

/** What comes between batches of steps that happen at once. */
type Pause = 'nothing' | 'read' | 'second' | 'minutes' | 'restart' | 'crash' | 'crash there' | 'outage' | 'back';

const who = fc.nat(users.length - 1);
const entry = fc.constantFrom<string>(...users, ...rooms, '@*', '@*:there.test', '@a*', '@d*:*', '@?*:here.test');
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    kind: fc.constant('put' as const),
    who,
    state: fc.constantFrom('online' as const, 'unavailable' as const, 'offline' as const),
    status: fc.constantFrom(null, 'one', 'two'),
  }),
  fc.record({ kind: fc.constant('move' as const), who, where: fc.nat(rooms.length - 1) }),
  fc.record({
    kind: fc.constant('share' as const),
    who,
    allowed: fc.array(entry, { maxLength: 2 }),
    denied: fc.array(entry, { maxLength: 2 }),
  }),
  fc.record({ kind: fc.constant('ignore' as const), who, whom: who }),
  fc.record({ kind: fc.constant('befriend' as const), who, whom: who }),
);
const pause = fc.constantFrom<Pause>(
  'nothing',
  'read',
  'read',
  'second',
  'minutes',
  'restart',
  'crash',
  'crash there',
  'outage',
  'back',
);
const play = fc.array(fc.tuple(fc.array(step, { minLength: 1, maxLength: 4 }), pause), { minLength: 1, maxLength: 8 });

const settings = fc.constantFrom<Partial<PresenceSettings>>(
  {},
  { largestRoom: 3 },
  { excludedRooms: [rooms[1]] },
  { defaultConfig: { denied_users: [rooms[0]] }, overrideConfig: { denied_users: ['@*:there.test', users[1]] } },
);

class Play {
  readonly world: World;
  readonly #joined = new Map<RoomId, Set<UserId>>(rooms.map((roomId) => [roomId, new Set()]));
  readonly #viewers = new Map<UserId, { client: Client; shown: Map<UserId, string> }>();

  private constructor(world: World) {
    this.world = world;
  }

  static async start(settings: Partial<PresenceSettings>): Promise<Play> {
    const played = new Play(await World.start(settings));
    for (const host of played.world.hosts.values())
      await host.commit(rooms.map((roomId) => ({ kind: 'room' as const, roomId, version: '11' })));
    for (const userId of users) await played.#move(userId, rooms[0]);
    await played.world.settle();
    for (const userId of users) {
      played.#viewers.set(userId, { client: played.world.device(userId), shown: new Map() });
      await played.read(userId);
    }
    return played;
  }

  async do(one: Step): Promise<void> {
    const userId = users[one.who] ?? users[0];
    const host = this.world.host(userId);
    if (one.kind === 'put') {
      // The limit is not what this is about.
      const limited = await host.presence
        .putPresence({ userId, deviceId: 'PUT' as never }, one.state, one.status)
        .catch(() => 'limited');
      expect(['limited', undefined]).toContain(limited);
    } else if (one.kind === 'move') await this.#move(userId, rooms[one.where] ?? rooms[0]);
    else if (one.kind === 'share') await this.#share(userId, one.allowed, one.denied);
    else if (one.kind === 'befriend') {
      const whom = users[one.whom] ?? users[0];
      await Promise.all([this.#share(userId, [whom], []), this.#share(whom, [userId], ['@*'])]);
    } else {
      const whom = users[one.whom] ?? users[0];
      await host.putAccountData(userId, 'm.ignored_user_list', { ignored_users: { [whom]: {} } });
    }
  }

  async #share(userId: UserId, allowed: readonly string[], denied: readonly string[]): Promise<void> {
    const content = { allowed_users: allowed, denied_users: denied };
    await this.world.host(userId).putAccountData(userId, 'm.presence_sharing_config', content);
  }

  /** Joins whoever is out, and the other way round. */
  async #move(userId: UserId, roomId: RoomId): Promise<void> {
    const members = this.#joined.get(roomId) ?? new Set();
    const isIn = members.delete(userId);
    if (!isIn) members.add(userId);
    const [before, after] = isIn ? (['join', 'leave'] as const) : ([null, 'join'] as const);
    for (const host of this.world.hosts.values()) await host.setMembership({ roomId, userId, before, after });
  }

  async pause(kind: Pause): Promise<void> {
    const there_ = this.world.host(there);
    if (kind === 'read') for (const userId of users) await this.read(userId);
    else if (kind === 'second') await this.world.advance(1_000);
    else if (kind === 'minutes') await this.world.advance(130_000);
    else if (kind === 'restart') await this.world.host(here).restart();
    else if (kind === 'crash') await this.world.host(here).restart({ crash: true });
    else if (kind === 'crash there') await there_.restart({ crash: true });
    else if (kind === 'outage') there_.isDown = true;
    else if (kind === 'back') there_.isDown = false;
  }

  /** One sync, held to the policy of this very moment. */
  async read(userId: UserId): Promise<void> {
    const viewer = this.#viewers.get(userId);
    if (!viewer) return;
    for (const { sender, presence, status_msg: status } of await viewer.client.read()) {
      const text = `${presence} ${status ?? ''}`;
      viewer.shown.set(sender, text);
      if (text !== 'offline ')
        expect([userId, sender, text]).toEqual([userId, sender, await this.#truth(userId, sender)]);
    }
  }

  /** What GET says, to whom it is not only permitted: without a shared room a viewer has to name the subject. */
  async #truth(viewer: UserId, subject: UserId): Promise<string> {
    const isNear = viewer === subject || this.world.host(viewer).roster.shareRoom(viewer, subject);
    if (!isNear && !(await this.#wants(viewer, subject))) return 'offline ';
    const status = await this.world.get(viewer, subject).catch(() => ({ presence: 'offline' as const }));
    return `${status.presence} ${'status_msg' in status ? status.status_msg : ''}`;
  }

  async #wants(viewer: UserId, subject: UserId): Promise<boolean> {
    const { accountData } = this.world.host(viewer).storage;
    const config = await accountData.find(viewer, null, 'm.presence_sharing_config');
    const ignored = await accountData.find(viewer, null, 'm.ignored_user_list');
    const names = (list: unknown): boolean => JSON.stringify(list ?? null).includes(JSON.stringify(subject));
    return names(config?.content.allowed_users) && !names(ignored?.content);
  }

  async end(): Promise<void> {
    this.world.host(there).isDown = false;
    await this.world.advance(60_000);
    await this.world.advance(5_000);
    for (const viewer of users) {
      await this.read(viewer);
      const shown = this.#viewers.get(viewer)?.shown;
      for (const subject of users)
        expect([viewer, subject, shown?.get(subject) ?? 'offline ']).toEqual([
          viewer,
          subject,
          await this.#truth(viewer, subject),
        ]);
    }
  }
}

describe('whatever happens at once', () => {
  it('ends with everybody seeing what the policy lets them see', { timeout: 600_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(settings, play, async (set, batches) => {
        const played = await Play.start(set);
        for (const [steps, then] of batches) {
          await Promise.all(steps.map((one) => played.do(one)));
          await played.pause(then);
        }
        await played.end();
      }),
      { numRuns: propertyRuns(20) },
    );
  });
});
