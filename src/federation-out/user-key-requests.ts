import type { JsonObject } from '../matrix/pdu.ts';
import type { FederationRequests } from './requests-contract.ts';
import type { SendCall } from './signed-call.ts';

const mebibyte = 1_024 * 1_024;

/** "End-to-End Encryption" and "Device Management" of the server-server API. */
export function createUserKeyRequests(
  send: SendCall,
): Pick<FederationRequests, 'queryUserKeys' | 'claimUserKeys' | 'getUserDevices'> {
  const post = async (
    server: Parameters<FederationRequests['queryUserKeys']>[0],
    name: 'query' | 'claim',
    content: JsonObject,
    timeoutMs: number,
  ): Promise<JsonObject> => {
    const { body } = await send({
      server,
      method: 'POST',
      path: ['v1', 'user', 'keys', name],
      content,
      timeoutMs,
      responseBytesMax: 16 * mebibyte,
      // Clients ask for many servers at once, and again when one of them is back.
      heedBackoff: 'yes',
    });
    return body;
  };
  return {
    queryUserKeys: (server, deviceKeys, timeoutMs) => post(server, 'query', { device_keys: deviceKeys }, timeoutMs),
    claimUserKeys: (server, oneTimeKeys, timeoutMs) => post(server, 'claim', { one_time_keys: oneTimeKeys }, timeoutMs),
    async getUserDevices(server, userId) {
      const { body } = await send({
        server,
        method: 'GET',
        path: ['v1', 'user', 'devices', userId],
        timeoutMs: 30_000,
        responseBytesMax: 8 * mebibyte,
        heedBackoff: 'yes',
      });
      return body;
    },
  };
}
