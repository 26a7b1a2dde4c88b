import { canonicalJson } from '../../src/base/json/canonical-json.ts';
import { buildEvent } from '../../src/engine/event/build.ts';
import type { EventId, RoomId, UserId } from '../../src/matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../src/matrix/pdu.ts';
import { getRoomVersion } from '../../src/matrix/room-versions.ts';
import { type Signer, signJson } from '../../src/signing/sign-json.ts';

export interface LargeRoom {
  readonly roomId: RoomId;
  readonly version: string;
  /** Canonical JSON of the events. */
  readonly state: readonly string[];
  readonly authChain: readonly string[];
  /** What a join of this user looks like before its server completes it. */
  templateFor(userId: UserId): JsonObject;
}

/**
 * A public room in which everybody has joined and then changed their name twice, so that the auth chain holds two events for each member of
 * the state. The members are of all these servers in turn.
 */
export function makeLargeRoom(servers: readonly Signer[], members: number): LargeRoom {
  const [home] = servers;
  if (!home) throw new Error('a room needs a server');
  const version = getRoomVersion('11');
  const roomId = `!large:${home.server}` as RoomId;
  const creator = `@creator:${home.server}` as UserId;
  let depth = 0;
  let previous: EventId[] = [];
  const add = (
    signer: Signer,
    event: { type: string; sender: UserId; key: string; content: JsonObject; auth: RoomEvent[] },
  ) => {
    depth += 1;
    const built = buildEvent(
      {
        type: event.type,
        sender: event.sender,
        room_id: roomId,
        state_key: event.key,
        content: event.content,
        depth,
        origin_server_ts: Date.now(),
        prev_events: previous,
        auth_events: event.auth.map(({ eventId }) => eventId),
      },
      version,
      (object) => signJson(object, signer),
    );
    if (built.outcome !== 'parsed') throw new Error(built.reason);
    previous = [built.event.eventId];
    return built.event;
  };
  const make = (type: string, content: JsonObject, auth: RoomEvent[], key = '') =>
    add(home, { type, sender: creator, key, content, auth });
  const create = make('m.room.create', { room_version: '11' }, []);
  const founder = make('m.room.member', { membership: 'join' }, [create], creator);
  const power = make('m.room.power_levels', { users: { [creator]: 100 } }, [create, founder]);
  const rules = make('m.room.join_rules', { join_rule: 'public' }, [create, founder, power]);
  const state: RoomEvent[] = [create, founder, power, rules];
  const chain: RoomEvent[] = [create, founder, power, rules];
  for (let index = 0; index < members; index += 1) {
    const signer = servers[index % servers.length] ?? home;
    const sender = `@member${index}:${signer.server}` as UserId;
    const join = (name: string, auth: RoomEvent[]) =>
      add(signer, {
        type: 'm.room.member',
        sender,
        key: sender,
        content: { membership: 'join', displayname: name, avatar_url: 'mxc://example.org/abcdefghijklmnopqrstuvwx' },
        auth: [create, power, rules, ...auth],
      });
    const first = join(`Member ${index}`, []);
    const second = join(`Member ${index} again`, [first]);
    chain.push(first, second);
    state.push(join(`Member number ${index}`, [second]));
  }
  return {
    roomId,
    version: version.id,
    // Last come, first served: nothing stands behind what authorises it.
    state: state.toReversed().map(({ pdu }) => canonicalJson(pdu)),
    authChain: chain.toReversed().map(({ pdu }) => canonicalJson(pdu)),
    templateFor: (userId) => ({
      type: 'm.room.member',
      room_id: roomId,
      sender: userId,
      state_key: userId,
      content: { membership: 'join' },
      depth: depth + 1,
      origin_server_ts: Date.now(),
      prev_events: previous,
      auth_events: [create, power, rules].map(({ eventId }) => eventId),
    }),
  };
}
