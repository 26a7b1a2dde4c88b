import { serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { RoomsCore } from './deps.ts';

type AskDeps = Pick<RoomsCore, 'storage' | 'serverName' | 'ports'>;

/** Before somebody is invited: a user of ours who is not there may be made now. That nobody makes them is no error. */
export async function askForInvited({ storage, serverName, ports }: AskDeps, userId: UserId): Promise<void> {
  if (ports.askForUser === undefined || serverOfUser(userId) !== serverName) return;
  if (!(await storage.accounts.findAccount(userId))) await ports.askForUser(userId);
}
