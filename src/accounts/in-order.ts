import { Serial, SerialFullError } from '../base/tasks/serial.ts';
import { limitExceeded } from '../matrix/errors.ts';
import type { UserId } from '../matrix/ids.ts';

/** Changes of one user's account, one after the other. A user with too many waiting gets M_LIMIT_EXCEEDED. */
export type InOrder = <T>(userId: UserId, task: () => Promise<T>) => Promise<T>;

const waitingMax = 100;

export function createInOrder(): InOrder {
  const serial = new Serial({ waitingMax });
  return async (userId, task) => {
    try {
      return await serial.run(userId, task);
    } catch (error) {
      throw error instanceof SerialFullError ? limitExceeded(1_000) : error;
    }
  };
}
