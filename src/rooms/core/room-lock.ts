import { Serial, SerialFullError } from '../../base/tasks/serial.ts';
import { limitExceeded } from '../../matrix/errors.ts';
import type { RoomId } from '../../matrix/ids.ts';

const waitingMax = 1000;
const retryAfterMs = 1000;

/**
 * One decision at a time in each room: read, decide, commit. Never held over a call to another server. A room with too many
 * waiting refuses with M_LIMIT_EXCEEDED.
 */
export interface RoomLock {
  run<T>(roomId: RoomId, task: () => Promise<T>): Promise<T>;
  idle(): Promise<void>;
}

export function createRoomLock(): RoomLock {
  const serial = new Serial({ waitingMax });
  return {
    async run(roomId, task) {
      try {
        return await serial.run(roomId, task);
      } catch (error) {
        if (error instanceof SerialFullError) throw limitExceeded(retryAfterMs);
        throw error;
      }
    },
    idle: () => serial.idle(),
  };
}
