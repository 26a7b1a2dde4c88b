import { silentLog } from '../../../src/base/log.ts';
import { createRandom } from '../../../src/base/random.ts';
import { createHistoryServer } from '../../../src/federation-in/serve-history.ts';
import {
  type AnsweredEvent,
  FederationError,
  type FederationRequests,
} from '../../../src/federation-out/requests-contract.ts';
import { MatrixError } from '../../../src/matrix/errors.ts';
import { type EventId, type RoomId, type UserId, userIdOf } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import type { Profile, RoomsPorts } from '../../../src/rooms/core/deps.ts';
import type { Rooms } from '../../../src/rooms/rooms.ts';
import { createRooms } from '../../../src/rooms/rooms.ts';
import { MembershipIndex } from '../../../src/roster/membership-index.ts';
import { importPublicKey, type SigningKey, signingKeyOfSeed, verifySignature } from '../../../src/signing/ed25519.ts';
import { findSignature, signedBytes, signJson } from '../../../src/signing/sign-json.ts';
import type { Row } from '../../../src/storage/contract/commit.ts';
import type { MembershipStep } from '../../../src/storage/contract/presence.ts';
import type { Storage } from '../../../src/storage/contract/storage.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { openTestStorage } from '../../support/storage.ts';

/** One server of a world: real storage and rooms, neighbours as small fakes. */
export interface TestHome {
  readonly name: ServerName;
  readonly storage: Storage;
  readonly roster: MembershipIndex;
  readonly rooms: Rooms;
  readonly requests: FederationRequests;
  /** What was asked of other servers, `method server`. */
  readonly asked: string[];
  readonly profiles: Map<string, Profile>;
  readonly aliases: Map<string, RoomId>;
  readonly steps: MembershipStep[];
  /** Rows that the audience port adds to the next commits. */
  audienceRows: Row[];
  /** What happens while another server is told what is on its way to it. */
  meanwhile: () => Promise<unknown>;
  /** Servers that cannot be reached from here. */
  readonly unreachable: Set<string>;
  /** Servers whose keys are not at hand here, and cannot be had while they cannot be reached. */
  readonly withheldKeys: Set<string>;
  user(localpart: string): Promise<UserId>;
  key: SigningKey;
}

export class World {
  readonly clock = new ManualClock();
  readonly homes = new Map<string, TestHome>();

  async add(name: string): Promise<TestHome> {
    const home = await createHome(this, name as ServerName);
    this.homes.set(name, home);
    return home;
  }

  get(name: string): TestHome {
    const home = this.homes.get(name);
    if (!home) throw new FederationError('unreachable', `no server ${name}`);
    return home;
  }

  async stop(): Promise<void> {
    for (const home of this.homes.values()) {
      await home.rooms.idle();
      await home.storage.stop();
    }
  }

  /** Gives what waits in the outgoing logs to the other servers, until nothing is left. */
  async deliver(): Promise<void> {
    for (let round = 0; round < 5; round++) {
      let delivered = 0;
      for (const from of this.homes.values()) {
        for (const to of this.homes.values()) if (from !== to) delivered += await deliverTo(from, to);
      }
      if (delivered === 0) return;
    }
  }
}

const cursors = new WeakMap<TestHome, Map<string, number>>();

async function deliverTo(from: TestHome, to: TestHome): Promise<number> {
  if (from.unreachable.has(to.name)) return 0;
  const ofHome = cursors.get(from) ?? new Map<string, number>();
  cursors.set(from, ofHome);
  const pdus = await from.storage.outgoing.listPdus(to.name, ofHome.get(to.name) ?? 0, 500);
  for (const { position, eventId, roomId } of pdus) {
    const [text = '{}'] = await from.storage.events.listPduTexts([eventId]);
    await to.rooms.receiver.receivePdus({
      origin: from.name,
      roomId,
      pdus: [JSON.parse(text)],
    });
    await to.rooms.idle();
    ofHome.set(to.name, position);
  }
  return pdus.length;
}

let seeds = 0;

async function createHome(world: World, name: ServerName): Promise<TestHome> {
  const storage = await openTestStorage(world.clock);
  const roster = new MembershipIndex({ serverName: name });
  const state: { home: TestHome | undefined; rooms: Rooms | undefined } = { home: undefined, rooms: undefined };
  storage.onCommit((changes) => {
    roster.apply(changes);
    state.rooms?.onChanges(changes);
  });
  seeds += 1;
  const key = signingKeyOfSeed(new Uint8Array(32).fill(seeds), 'test');
  const asked: string[] = [];
  const profiles = new Map<string, Profile>();
  const aliases = new Map<string, RoomId>();
  const steps: MembershipStep[] = [];
  const unreachable = new Set<string>();
  const withheldKeys = new Set<string>();
  const requests = fakeRequests(world, { name, asked, unreachable });
  const ports: RoomsPorts = {
    findProfile: async (userId) => profiles.get(userId),
    rowsForAudienceChange: async (added) => {
      steps.push(...added);
      return state.home?.audienceRows ?? [];
    },
    rowsForNotifications: async () => [],
    resolveAlias: async (alias) => {
      const roomId = aliases.get(alias);
      return roomId === undefined ? undefined : { roomId, servers: [name] };
    },
    positionOfSyncToken: (token) => (token.startsWith('s') ? Number(token.slice(1)) : undefined),
  };
  let byte = 0;
  const rooms = createRooms({
    storage,
    clock: world.clock,
    log: silentLog,
    random: createRandom((length) => Uint8Array.from({ length }, () => (byte = (byte * 31 + 7 + seeds) % 251))),
    serverName: name,
    sign: (object) => signJson(object, { server: name, key }),
    roster,
    requests,
    flushOutgoing: async () => void (await state.home?.meanwhile()),
    learnKeys: async () => undefined,
    checkSignatures: async (checks, { ask }) =>
      checks.map(({ object, message, servers }) => {
        if (servers.some((server) => withheldKeys.has(server) && (!ask || unreachable.has(server)))) return 'unknown';
        const isSigned = servers.every((server) => {
          const home = world.homes.get(server);
          const signature = home && findSignature(object, server, home.key.keyId);
          const key = home && importPublicKey(home.key.publicKey);
          return signature && key && verifySignature(key, message ?? signedBytes(object), signature);
        });
        return isSigned && servers.length > 0 ? 'good' : 'bad';
      }),
    ports,
    defaultRoomVersion: '11',
    noticesSender: userIdOf('_server', name),
    publishing: true,
  });
  const home: TestHome = {
    name,
    storage,
    roster,
    rooms,
    requests,
    asked,
    profiles,
    aliases,
    steps,
    audienceRows: [],
    meanwhile: async () => undefined,
    unreachable,
    withheldKeys,
    key,
    async user(localpart) {
      const userId = `@${localpart}:${name}` as UserId;
      await storage.commit({
        rows: [
          {
            kind: 'account',
            userId,
            passwordHash: null,
            createdAtMs: world.clock.now(),
            deactivatedAtMs: null,
          },
        ],
      });
      return userId;
    },
  };
  state.home = home;
  state.rooms = rooms;
  return home;
}

interface Caller {
  readonly name: ServerName;
  readonly asked: string[];
  readonly unreachable: ReadonlySet<string>;
}

/** An event as an answer has it. */
export function answered(text: string): AnsweredEvent {
  return { json: JSON.parse(text), text };
}

/** The requests of one server, answered by the others without HTTP: JSON goes over as text, refusals as on the wire. */
function fakeRequests(world: World, caller: Caller): FederationRequests {
  const call = async <T>(method: string, server: ServerName, answer: (home: TestHome) => Promise<T>): Promise<T> => {
    caller.asked.push(`${method} ${server}`);
    if (caller.unreachable.has(server)) throw new FederationError('unreachable', `${server} is down`);
    try {
      const result = await answer(world.get(server));
      return result === undefined ? result : (JSON.parse(JSON.stringify(result)) as T);
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error;
      throw new FederationError('refused', error.message, error.status, error.toBody());
    }
  };
  const history = (home: TestHome) =>
    createHistoryServer({ storage: home.storage, roster: home.roster, serverName: home.name });
  const sent = (json: JsonObject) => JSON.parse(JSON.stringify(json)) as JsonObject;
  const parse = (texts: readonly string[]) => texts.map((text) => JSON.parse(text) as JsonObject);
  return {
    makeJoin: (server, roomId, userId, versions) =>
      call('makeJoin', server, async (home) => {
        const { room_version, event } = await home.rooms.server.makeJoin(caller.name, { roomId, userId, versions });
        return { roomVersion: room_version, event };
      }),
    sendJoin: (server, roomId, eventId, event, take) =>
      call('sendJoin', server, async (home) => {
        const answer = await home.rooms.server.sendJoin(caller.name, { roomId, eventId, event: sent(event) });
        await take('state', answer.state.map(answered));
        await take('auth_chain', answer.authChain.map(answered));
        return { event: JSON.parse(answer.event) as JsonObject };
      }),
    makeLeave: (server, roomId, userId) =>
      call('makeLeave', server, async (home) => {
        const { room_version, event } = await home.rooms.server.makeLeave(caller.name, { roomId, userId });
        return { roomVersion: room_version as string | undefined, event };
      }),
    sendLeave: (server, roomId, eventId, event) =>
      call('sendLeave', server, (home) =>
        home.rooms.server.sendLeave(caller.name, { roomId, eventId, event: sent(event) }),
      ),
    makeKnock: (server, roomId, userId, versions) =>
      call('makeKnock', server, async (home) => {
        const { room_version, event } = await home.rooms.server.makeKnock(caller.name, { roomId, userId, versions });
        return { roomVersion: room_version, event };
      }),
    sendKnock: (server, roomId, eventId, event) =>
      call('sendKnock', server, async (home) =>
        parse(await home.rooms.server.sendKnock(caller.name, { roomId, eventId, event: sent(event) })),
      ),
    invite: (server, roomId, eventId, body) =>
      call('invite', server, (home) =>
        home.rooms.server.receiveInvite(caller.name, {
          roomId,
          eventId,
          roomVersion: body.room_version,
          event: sent(body.event),
          strippedState: body.invite_room_state.map((event) => sent(event)),
        }),
      ),
    getEvent: (server, eventId) =>
      call('getEvent', server, async (home) => answered(await history(home).getEvent(caller.name, eventId))),
    getState: (server, roomId, eventId, take) =>
      call('getState', server, async (home) => {
        const { pdus, authChain } = await history(home).getState(caller.name, { roomId, eventId });
        await take('state', pdus.map(answered));
        await take('auth_chain', authChain.map(answered));
      }),
    getStateIds: (server, roomId, eventId) =>
      call('getStateIds', server, async (home) => {
        const { pduIds, authChainIds } = await history(home).getStateIds(caller.name, { roomId, eventId });
        return { pduIds: [...pduIds], authChainIds: [...authChainIds] as EventId[] };
      }),
    getEventAuth: (server, roomId, eventId, take) =>
      call('getEventAuth', server, async (home) => {
        const chain = await history(home).getEventAuth(caller.name, { roomId, eventId });
        await take('auth_chain', chain.map(answered));
      }),
    timestampToEvent: (server, roomId, moment) =>
      call('timestampToEvent', server, (home) => history(home).timestampToEvent(caller.name, { roomId, ...moment })),
    backfill: (server, roomId, from, limit) =>
      call('backfill', server, async (home) =>
        parse(await history(home).backfill(caller.name, { roomId, from, limit })),
      ),
    getMissingEvents: (server, roomId, body) =>
      call('getMissingEvents', server, async (home) =>
        parse(
          await history(home).getMissingEvents(caller.name, {
            roomId,
            earliest: body.earliest_events,
            latest: body.latest_events,
            limit: body.limit,
            minDepth: body.min_depth,
          }),
        ),
      ),
    queryUserKeys: () => Promise.reject(new FederationError('unreachable', 'not asked in these tests')),
    claimUserKeys: () => Promise.reject(new FederationError('unreachable', 'not asked in these tests')),
    getUserDevices: () => Promise.reject(new FederationError('unreachable', 'not asked in these tests')),
    queryProfile: () => Promise.reject(new FederationError('unreachable', 'not asked in these tests')),
    queryDirectory: () => Promise.reject(new FederationError('unreachable', 'not asked in these tests')),
    queryPublicRooms: () => Promise.reject(new Error('not asked for here')),
    getHierarchy: () => Promise.reject(new Error('not asked for here')),
    sendTransaction: () => Promise.reject(new FederationError('unreachable', 'not asked in these tests')),
  };
}
