import { silentLog } from '../../src/base/log.ts';
import { createRandom } from '../../src/base/random.ts';
import type { DeviceId, EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import { serverOfUser } from '../../src/matrix/ids.ts';
import type { JsonObject } from '../../src/matrix/pdu.ts';
import { type PresencePush, type PresenceState, sharingConfigType } from '../../src/matrix/presence.ts';
import type { ServerName } from '../../src/matrix/server-name.ts';
import { createPresence } from '../../src/presence/presence.ts';
import type { PresenceSettings } from '../../src/presence/settings.ts';
import type { Presence } from '../../src/presence/types.ts';
import { MembershipIndex } from '../../src/roster/membership-index.ts';
import type { Row } from '../../src/storage/contract/commit.ts';
import type { MembershipStep } from '../../src/storage/contract/presence.ts';
import type { Membership } from '../../src/storage/contract/rooms.ts';
import type { Storage } from '../../src/storage/contract/storage.ts';
import { ManualClock } from './manual-clock.ts';
import { openTestStorage } from './storage.ts';

export const here = 'here.test' as ServerName;
export const there = 'there.test' as ServerName;
export const user = (id: string): UserId => (id.includes(':') ? `@${id}` : `@${id}:${here}`) as UserId;
export const room = (name: string): RoomId => `!${name}:${here}` as RoomId;

/** One `m.presence` event as a client gets it. */
export interface Seen {
  sender: UserId;
  presence: PresenceState;
  status_msg?: string;
  last_active_ago?: number;
  currently_active?: boolean;
}

/** A number generator that repeats itself from one run to the next. */
export function fixedRandom(seed = 1) {
  let state = seed;
  return createRandom((length) =>
    Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
      return (state >>> 16) & 0xff;
    }),
  );
}

/** One server as presence knows it: real storage and roster, and a sender that hands transactions over in memory. */
export class Host {
  readonly world: World;
  readonly name: ServerName;
  readonly storage: Storage;
  readonly settings: Partial<PresenceSettings>;
  roster: MembershipIndex;
  presence: Presence;
  /** Who was woken, in order. */
  readonly woken: UserId[] = [];
  /** Refuses what others send while true. */
  isDown = false;
  /** Of this process. */
  #sending = new Set<ServerName>();
  #starts = 0;

  private constructor(world: World, name: ServerName, storage: Storage, settings: Partial<PresenceSettings>) {
    this.world = world;
    this.name = name;
    this.storage = storage;
    this.settings = settings;
    this.roster = new MembershipIndex({ serverName: name });
    this.presence = this.#create(settings);
    storage.onCommit((changes) => {
      this.roster.apply(changes);
      this.presence.onChanges(changes);
    });
  }

  static async start(
    world: World,
    name: ServerName,
    { settings, open }: { settings: Partial<PresenceSettings>; open: (clock: ManualClock) => Promise<Storage> },
  ): Promise<Host> {
    const host = new Host(world, name, await open(world.clock), settings);
    await host.presence.start();
    return host;
  }

  /** A new process on the same storage, `downMs` later. `crash`: the old one had no time to write. */
  async restart(how: { crash?: boolean; settings?: Partial<PresenceSettings>; downMs?: number } = {}): Promise<void> {
    if (!how.crash) await this.presence.stop();
    else this.#abandon(this.presence);
    if (how.downMs) await this.#wait(how.downMs);
    this.roster = new MembershipIndex({ serverName: this.name });
    await this.roster.load(this.storage.rooms);
    this.#sending = new Set();
    this.presence = this.#create(how.settings ?? this.settings);
    await this.presence.start();
  }

  async commit(rows: readonly Row[]): Promise<void> {
    const result = await this.storage.commit({ rows });
    if (result.outcome !== 'committed') throw new Error('the fixture expects nothing');
  }

  async setMembership(step: MembershipStep & { after: Membership }): Promise<void> {
    const { roomId, userId, after } = step;
    const audience = await this.presence.rowsForAudienceChange([step]);
    await this.commit([membershipRow(roomId, userId, after), ...audience]);
  }

  /** As accounts do it. */
  async putAccountData(userId: UserId, type: string, content: JsonObject): Promise<void> {
    await this.commit(await this.presence.checkAccountData(userId, null, type, content));
  }

  async send(destination: ServerName): Promise<void> {
    const sending = this.#sending;
    if (sending.has(destination)) return;
    sending.add(destination);
    const source = this.presence.source;
    try {
      while (source.hasPending(destination)) {
        const parcel = await source.take(destination, 100);
        if (parcel.edus.length === 0) return parcel.refused();
        const push = parcel.edus.flatMap((edu) => edu.content.push as PresencePush[]);
        const contents = parcel.edus.map((edu) => JSON.parse(JSON.stringify(edu.content)) as unknown);
        const arrives = await this.world.deliver({ from: this.name, to: destination, push, contents });
        if (!arrives) return parcel.refused();
        parcel.accepted();
      }
    } finally {
      sending.delete(destination);
    }
  }

  #abandon(old: Presence): void {
    old.onChanges = () => {};
  }

  /** Nobody runs here meanwhile. */
  async #wait(ms: number): Promise<void> {
    const { isDown } = this;
    this.isDown = true;
    this.presence = { ...this.presence };
    await this.world.clock.advance(ms);
    this.isDown = isDown;
  }

  #create(settings: Partial<PresenceSettings>): Presence {
    this.#starts += 1;
    const { presence, accountData, state } = this.storage;
    const created: Presence = {
      ...createPresence({
        serverName: this.name,
        storage: {
          ...{ presence, accountData, state },
          // A process that crashed writes no more, whatever its timers are up to.
          commit: (batch) => (this.presence === created ? this.storage.commit(batch) : new Promise(() => {})),
        },
        roster: this.roster,
        waiters: { wake: (userId) => void this.woken.push(userId) },
        sender: { poke: (destination) => void (this.presence === created && this.send(destination)) },
        clock: this.world.clock,
        random: fixedRandom(this.#starts),
        log: silentLog,
        settings,
      }),
    };
    return created;
  }
}

export interface Transaction {
  readonly from: ServerName;
  readonly to: ServerName;
  readonly atMs: number;
  readonly push: readonly PresencePush[];
  readonly edus: number;
  readonly accepted: boolean;
}

/** Servers that share rooms and time. */
export class World {
  readonly clock = new ManualClock();
  readonly hosts = new Map<ServerName, Host>();
  readonly transactions: Transaction[] = [];
  readonly #rooms = new Map<RoomId, Set<UserId>>();

  static async start(
    settings: Partial<PresenceSettings> = {},
    names: readonly ServerName[] = [here, there],
    open: (clock: ManualClock) => Promise<Storage> = openTestStorage,
  ): Promise<World> {
    const world = new World();
    for (const name of names) world.hosts.set(name, await Host.start(world, name, { settings, open }));
    return world;
  }

  host(name: ServerName | UserId): Host {
    const host = this.hosts.get(name.startsWith('@') ? serverOfUser(name as UserId) : (name as ServerName));
    if (!host) throw new Error(`no host ${name}`);
    return host;
  }

  get presence(): Presence {
    return this.host(here).presence;
  }

  async join(roomId: RoomId, ...users: readonly UserId[]): Promise<void> {
    for (const userId of users) {
      const members = this.#membersOf(roomId);
      const isNewHere = ![...members].some((member) => serverOfUser(member) === serverOfUser(userId));
      const newcomer = this.hosts.get(serverOfUser(userId));
      if (isNewHere && newcomer) {
        // As an import does: everybody who is there, then the join.
        await newcomer.commit([
          { kind: 'room', roomId, version: '11' },
          ...[...members].map((member) => membershipRow(roomId, member, 'join')),
        ]);
      }
      members.add(userId);
      for (const host of this.#hostsIn(roomId))
        await host.setMembership({ roomId, userId, before: null, after: 'join' });
    }
    await this.settle();
  }

  async leave(roomId: RoomId, userId: UserId, after: Membership = 'leave'): Promise<void> {
    const hosts = this.#hostsIn(roomId);
    this.#membersOf(roomId).delete(userId);
    for (const host of hosts) await host.setMembership({ roomId, userId, before: 'join', after });
    await this.settle();
  }

  async forget(roomId: RoomId, userId: UserId): Promise<void> {
    const host = this.host(userId);
    const rows = await host.presence.rowsForAudienceChange([{ roomId, userId, before: 'leave', after: 'forgotten' }]);
    await host.commit([{ kind: 'room_forgotten', roomId, userId }, ...rows]);
    await this.settle();
  }

  async share(userId: UserId, content: JsonObject, type = sharingConfigType): Promise<void> {
    await this.host(userId).putAccountData(userId, type, content);
    await this.settle();
  }

  async ignore(userId: UserId, ...ignored: readonly UserId[]): Promise<void> {
    const content = { ignored_users: Object.fromEntries(ignored.map((other) => [other, {}])) };
    await this.host(userId).putAccountData(userId, 'm.ignored_user_list', content);
    await this.settle();
  }

  async put(userId: UserId, presence: PresenceState, statusMsg: string | null = null, deviceId = 'PUT'): Promise<void> {
    await this.host(userId).presence.putPresence({ userId, deviceId: deviceId as DeviceId }, presence, statusMsg);
    await this.settle();
  }

  /** As accounts and their feed do it. */
  async deactivate(userId: UserId): Promise<void> {
    const { presence } = this.host(userId);
    await this.host(userId).commit(await presence.rowsForDeactivation(userId));
    presence.userDeactivated(userId);
    await this.settle();
  }

  get(viewer: UserId, subject: UserId) {
    return this.host(viewer).presence.getPresence(viewer, subject);
  }

  device(userId: UserId, deviceId = 'PHONE'): Client {
    return new Client(this, userId, deviceId as DeviceId);
  }

  async deliver(parcel: {
    from: ServerName;
    to: ServerName;
    push: readonly PresencePush[];
    contents: readonly unknown[];
  }): Promise<boolean> {
    const host = this.hosts.get(parcel.to);
    const accepted = host !== undefined && !host.isDown;
    const { from, to, push } = parcel;
    this.transactions.push({ from, to, push, atMs: this.clock.monotonic(), edus: parcel.contents.length, accepted });
    if (accepted) await host.presence.receive(from, parcel.contents);
    return accepted;
  }

  /** Transactions since the last call. */
  takeTransactions(to?: ServerName): Transaction[] {
    const all = this.transactions.splice(0);
    return to === undefined ? all : all.filter((transaction) => transaction.to === to);
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settle();
  }

  async settle(): Promise<void> {
    for (let round = 0; round < 2; round += 1) {
      for (const host of this.hosts.values()) await host.presence.idle();
      // What is due now fires; nothing else moves.
      await this.clock.advance(0);
    }
  }

  #membersOf(roomId: RoomId): Set<UserId> {
    let members = this.#rooms.get(roomId);
    if (!members) {
      members = new Set();
      this.#rooms.set(roomId, members);
    }
    return members;
  }

  #hostsIn(roomId: RoomId): Host[] {
    const names = new Set([...this.#membersOf(roomId)].map(serverOfUser));
    return [...this.hosts.values()].filter(({ name }) => names.has(name));
  }
}

/** A client that syncs without waiting, unless told to hang on. */
export class Client {
  readonly world: World;
  readonly userId: UserId;
  readonly deviceId: DeviceId;
  token: string | null = null;

  constructor(world: World, userId: UserId, deviceId: DeviceId) {
    this.world = world;
    this.userId = userId;
    this.deviceId = deviceId;
  }

  /** Begins a sync that goes on until the returned function is called. */
  poll(setPresence: PresenceState = 'online', written = false): () => void {
    const { userId, deviceId } = this;
    const poll = this.world.host(userId).presence.begin({ userId, deviceId, setPresence, written });
    return () => poll.end();
  }

  /** One sync from begin to end; `set` undefined: the request does not say. */
  async sync(
    options: { set?: PresenceState; newlyShared?: readonly UserId[]; accepts?: (subject: UserId) => boolean } = {},
  ): Promise<Seen[]> {
    const end = this.poll(options.set ?? 'online', options.set !== undefined);
    const seen = await this.read(options);
    end();
    await this.world.settle();
    return seen;
  }

  /** What a sync would answer, whatever it makes of the user's own presence. */
  async read(
    options: { newlyShared?: readonly UserId[]; accepts?: (subject: UserId) => boolean } = {},
  ): Promise<Seen[]> {
    await this.world.settle();
    const answer = await this.world.host(this.userId).presence.read({
      viewer: this.userId,
      deviceId: this.deviceId,
      since: this.token,
      newlyShared: new Set(options.newlyShared ?? []),
      accepts: options.accepts ?? (() => true),
    });
    if (answer.events.length === 0 && this.token !== null && answer.token !== this.token) {
      throw new Error('an answer with nothing in it must return the token it was given');
    }
    this.token = answer.token;
    return answer.events.map(parseEvent);
  }

  /** What a sync is answered without waiting, if it is; the same comes again by `read`. */
  async readAtOnce(): Promise<Seen[] | undefined> {
    await this.world.settle();
    const { userId, deviceId, token } = this;
    const { presence } = this.world.host(userId);
    const poll = presence.begin({ userId, deviceId, setPresence: 'offline', written: true });
    const request = { viewer: userId, deviceId, since: token, newlyShared: new Set<UserId>(), accepts: () => true };
    const answer = poll.readNow(request);
    poll.end();
    return answer?.events.map(parseEvent);
  }

  /** The states of others that a sync shows, by user; the user's own is left out. */
  async readStates(): Promise<Record<string, PresenceState>> {
    const seen = await this.read();
    return Object.fromEntries(
      seen.filter(({ sender }) => sender !== this.userId).map(({ sender, presence }) => [sender, presence]),
    );
  }
}

function parseEvent(text: string): Seen {
  const event = JSON.parse(text) as { type: string; sender: UserId; content: Omit<Seen, 'sender'> };
  if (event.type !== 'm.presence') throw new Error(`not presence: ${text}`);
  return { sender: event.sender, ...event.content };
}

function membershipRow(roomId: RoomId, userId: UserId, membership: Membership): Row {
  return {
    kind: 'membership',
    roomId,
    userId,
    membership,
    eventId: `$${membership}-${roomId}-${userId}` as EventId,
    sender: userId,
    displayname: null,
    avatarUrl: null,
  };
}
