import { type UserId, userIdOf } from '../matrix/ids.ts';
import type { Config } from './config/shape.ts';

/** Who speaks for the server. */
export function noticesSender({ server_name, server_notices }: Pick<Config, 'server_name' | 'server_notices'>): UserId {
  return userIdOf(server_notices.localpart, server_name);
}
