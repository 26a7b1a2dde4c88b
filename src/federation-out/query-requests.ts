import { isRoomId } from '../matrix/ids.ts';
import { isServerName } from '../matrix/server-name.ts';
import { FederationError, type FederationRequests } from './requests-contract.ts';
import type { SendCall } from './signed-call.ts';

const secondMs = 1_000;
const kibibyte = 1_024;

/** "Querying for information" of the server-server API. */
export function createQueryRequests(send: SendCall): Pick<FederationRequests, 'queryProfile' | 'queryDirectory'> {
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
  };
}
