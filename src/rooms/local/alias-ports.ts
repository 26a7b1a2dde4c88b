import { authStateOfEvents } from '../../engine/auth-state.ts';
import { maySend } from '../../engine/power.ts';
import { MatrixError } from '../../matrix/errors.ts';
import type { RoomAlias, RoomId, UserId } from '../../matrix/ids.ts';
import type { RoomsCore } from '../core/deps.ts';
import { powerKeys } from '../core/power-keys.ts';
import { findRoomHead } from '../core/room-head.ts';
import { readStateSlice } from '../state-reads.ts';
import type { Sending } from './send.ts';

export interface AliasPorts {
  /** Whether a member's power suffices to send `m.room.canonical_alias`. */
  maySetCanonicalAlias(roomId: RoomId, userId: UserId): Promise<boolean>;
  /** Takes an alias out of the room's `m.room.canonical_alias` in the user's name; where they may not, it stays. */
  withdrawCanonicalAlias(roomId: RoomId, userId: UserId, alias: RoomAlias): Promise<void>;
}

const type = 'm.room.canonical_alias';

/** What the directory asks of rooms. */
export function createAliasPorts(deps: Pick<RoomsCore, 'storage' | 'roster' | 'log'>, sending: Sending): AliasPorts {
  return {
    async maySetCanonicalAlias(roomId, userId) {
      const head = deps.roster.isJoined(roomId, userId) ? await findRoomHead(deps.storage, roomId) : undefined;
      if (!head) return false;
      const slice = await readStateSlice(deps, head.snapshotId, powerKeys);
      const state = authStateOfEvents([...slice.values()].map((stored) => stored.event));
      return maySend(userId, { type, isState: true }, { state, version: head.version });
    },

    async withdrawCanonicalAlias(roomId, userId, alias) {
      const before = (await deps.storage.state.findCurrent(roomId, type, ''))?.event.pdu.content;
      if (!before) return;
      const { alias: main, alt_aliases: others, ...rest } = before;
      const kept = Array.isArray(others) ? others.filter((entry) => entry !== alias) : [];
      if (main !== alias && (!Array.isArray(others) || kept.length === others.length)) return;
      const content = {
        ...rest,
        ...(main === alias || main === undefined ? {} : { alias: main }),
        ...(kept.length > 0 ? { alt_aliases: kept } : {}),
      };
      try {
        await sending.sendEvent({ roomId, sender: userId, type, stateKey: '', content });
      } catch (error) {
        if (!(error instanceof MatrixError)) throw error;
        deps.log.info({ roomId, alias, reason: error.message }, 'a removed alias stays in the canonical aliases');
      }
    },
  };
}
