import { isObject } from '../engine/members.ts';
import { isRoomId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { isServerName } from '../matrix/server-name.ts';
import { findString } from './answers.ts';
import { FederationError, type FederationRequests, type PublicRoomsQuery } from './requests-contract.ts';
import type { SendCall } from './signed-call.ts';

const secondMs = 1_000;
const kibibyte = 1_024;

/** "Querying for information" of the server-server API. */
export function createQueryRequests(
  send: SendCall,
): Pick<FederationRequests, 'queryProfile' | 'queryDirectory' | 'queryPublicRooms' | 'getHierarchy'> {
  return {
    async queryProfile(server, userId, field) {
      const answer = await send({
        server,
        method: 'GET',
        path: ['v1', 'query', 'profile'],
        query: [['user_id', userId], ...(field === undefined ? [] : [['field', field] as const])],
        timeoutMs: 10 * secondMs,
        responseBytesMax: 64 * kibibyte,
        heedBackoff: 'yes',
      });
      return answer.body;
    },

    async queryDirectory(server, alias) {
      const { body } = await send({
        server,
        method: 'GET',
        path: ['v1', 'query', 'directory'],
        query: [['room_alias', alias]],
        timeoutMs: 20 * secondMs,
        responseBytesMax: 1_024 * kibibyte,
        // Somebody is on the way into the room.
        heedBackoff: 'no',
      });
      if (!isRoomId(body.room_id) || !Array.isArray(body.servers)) {
        throw new FederationError('bad_answer', `${server} did not say which room the alias stands for`, 200);
      }
      return { roomId: body.room_id, servers: body.servers.filter(isServerName) };
    },

    async getHierarchy(server, roomId, suggestedOnly) {
      const answer = await send({
        server,
        method: 'GET',
        path: ['v1', 'hierarchy', roomId],
        query: [['suggested_only', String(suggestedOnly)]],
        timeoutMs: 10 * secondMs,
        responseBytesMax: 4 * 1_024 * kibibyte,
        // One of many rooms, which the answer can do without.
        heedBackoff: 'yes',
      });
      return answer.body;
    },

    async queryPublicRooms(server, query) {
      const answer = await send({
        server,
        path: ['v1', 'publicRooms'],
        ...(query.filter === undefined
          ? { method: 'GET' as const, query: queryOf(query) }
          : { method: 'POST' as const, content: contentOf(query) }),
        timeoutMs: 20 * secondMs,
        responseBytesMax: 4 * 1_024 * kibibyte,
        // Somebody chose this server and waits.
        heedBackoff: 'no',
      });
      const { chunk, total_room_count_estimate: total } = answer.body;
      if (!Array.isArray(chunk)) throw new FederationError('bad_answer', `${server} gave no list of rooms`, 200);
      return {
        chunk: chunk.filter(isObject),
        nextBatch: findString(answer, 'next_batch'),
        prevBatch: findString(answer, 'prev_batch'),
        total: typeof total === 'number' && Number.isSafeInteger(total) && total >= 0 ? total : undefined,
      };
    },
  };
}

function queryOf(query: PublicRoomsQuery): [string, string][] {
  const { limit, since, include_all_networks: all, third_party_instance_id: network } = query;
  return [
    ['limit', String(limit)],
    ...(since === undefined ? [] : [['since', since] satisfies [string, string]]),
    ...(all === undefined ? [] : [['include_all_networks', String(all)] satisfies [string, string]]),
    ...(network === undefined ? [] : [['third_party_instance_id', network] satisfies [string, string]]),
  ];
}

/** Without the fields that are not given, which canonical JSON cannot write. */
function contentOf({ filter, ...query }: PublicRoomsQuery): JsonObject {
  return { ...given(query), filter: given(filter ?? {}) };
}

function given(fields: object): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
