import { serverOfUser, type UserId } from '../../../../src/matrix/ids.ts';
import { type Client, type Host, here, room, type Seen, World } from '../../../support/presence-world.ts';
import { alice, members, type Scenario, strangers } from './scenarios.ts';

const viewers = [...members, ...strangers];

/** In what order things come: who shares a room from the start, and who only when she is online already. */
export type Arrangement = 'together' | 'they join' | 'she joins';
export type Moment = 'before a restart' | 'after a restart' | 'after a crash';

/** One play of a scenario, as far as everybody's clients have come. */
export interface Stage {
  readonly world: World;
  /** By viewer, what a client got that synced all along. */
  readonly live: ReadonlyMap<UserId, readonly Seen[]>;
  /** The same as far as it is answered at once, which a sync is that nothing but presence woke. */
  readonly atOnce: ReadonlyMap<UserId, readonly Seen[] | undefined>;
  /** By viewer, what a client got that slept from before she came online until the end. */
  readonly resumed: ReadonlyMap<UserId, readonly Seen[]>;
  /** By viewer, what a client got that slept so long that its inbox was closed. */
  readonly returned: ReadonlyMap<UserId, readonly Seen[]>;
  /** Every server has started anew since she came online. */
  readonly restarted: boolean;
}

export const status = 'to some';
/** An inbox is kept for a minute after the last sync. */
const closedAfterMs = 130_000;

/** Every server of the world stops, or crashes, and starts; the clients keep their tokens. */
async function restart(world: World, moment: Moment): Promise<void> {
  for (const host of world.hosts.values()) {
    await host.restart({ crash: moment === 'after a crash' });
    await serve(host);
  }
}

/** Each viewer stands for an application service of their own, named like them. */
async function serve(host: Host): Promise<void> {
  const { services } = host.presence;
  services.serve({
    serviceIds: viewers.filter((viewer) => serverOfUser(viewer) === host.name),
    usersIn: (id, roomId) => new Set([...host.roster.localUsersIn(roomId)].filter((userId) => userId === id)),
    isUserOf: (id, userId) => userId === id,
    poke: () => {},
  });
  await services.start();
}

export async function play(scenario: Scenario, arrangement: Arrangement, moment: Moment): Promise<Stage> {
  const restarts = moment !== 'before a restart';
  const world = await World.start(scenario.settings);
  for (const host of world.hosts.values()) await serve(host);
  await world.join(room('c'), ...(arrangement === 'they join' ? viewers : strangers));
  if (arrangement !== 'she joins') await enter(world, [alice]);
  if (arrangement !== 'they join') await enter(world, members);
  await write(world, scenario);
  // A token of the very moment of a denial may be answered with a bare offline once more.
  await world.advance(1_000);
  const awake = clients(world, 'AWAKE');
  const asleep = clients(world, 'ASLEEP');
  const away = clients(world, 'AWAY');
  for (const client of [...awake, ...asleep, ...away]) await client.read();
  for (const client of awake) await client.sync({ set: 'offline' });
  if (restarts && arrangement === 'together') {
    await restart(world, moment);
    for (const client of awake) await client.sync({ set: 'offline' });
  }
  await world.put(alice, 'online', status);
  world.device(alice, 'PUT').poll();
  await world.advance(2_000);
  const live = new Map<UserId, Seen[]>();
  const atOnce = new Map<UserId, Seen[] | undefined>();
  for (const client of arrangement === 'together' ? awake : []) {
    atOnce.set(client.userId, await client.readAtOnce());
    live.set(client.userId, await client.read());
  }
  if (restarts) {
    await restart(world, moment);
    world.device(alice, 'PUT').poll();
  }
  if (arrangement === 'they join') await enter(world, members);
  if (arrangement === 'she joins') await enter(world, [alice]);
  await world.advance(3_000);
  const resumed = await readAll(asleep, arrangement);
  await world.advance(closedAfterMs);
  return { world, live, atOnce, resumed, returned: await readAll(away, arrangement), restarted: restarts };
}

async function readAll(clients: readonly Client[], arrangement: Arrangement): Promise<Map<UserId, Seen[]>> {
  const newlyShared = arrangement === 'together' ? [] : [alice];
  const seen = new Map<UserId, Seen[]>();
  for (const client of clients) {
    const isMember = members.includes(client.userId);
    seen.set(client.userId, await client.read({ newlyShared: isMember ? newlyShared : [] }));
  }
  return seen;
}

async function enter(world: World, users: readonly UserId[]): Promise<void> {
  const ofRoomB = new Set<UserId>([alice, ...members.filter((_, index) => index % 2 === 0)]);
  await world.join(room('b'), ...users.filter((userId) => ofRoomB.has(userId)));
  await world.join(room('a'), ...users);
}

async function write(world: World, { config, type, found, ignored, wanted = [] }: Scenario): Promise<void> {
  if (config) await world.share(alice, config, type);
  if (ignored) await world.ignore(alice, ...ignored);
  for (const viewer of wanted) await world.share(viewer, { allowed_users: [alice] });
  const rows = Object.entries(found ?? {}).map(([each, content]) => ({
    kind: 'account_data' as const,
    userId: alice,
    roomId: null,
    type: each,
    content,
  }));
  if (rows.length > 0) await world.host(here).commit(rows);
}

function clients(world: World, deviceId: string): Client[] {
  return viewers.map((viewer) => world.device(viewer, deviceId));
}
