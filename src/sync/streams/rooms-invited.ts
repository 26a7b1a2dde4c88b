import { mayBeNews, type SyncStream } from '../stream.ts';
import { listStrippedStates, type StrippedStateDeps } from '../stripped-state.ts';

/** Invites, and rooms that the viewer knocked on: each with the room's stripped state. */
export function createRoomsInvitedStream(deps: StrippedStateDeps): SyncStream {
  return {
    mayTell: (question) => mayBeNews(question, () => false),
    async read(scope, answer) {
      const { pending } = scope.rooms;
      if (pending.length === 0) return;
      const states = await listStrippedStates(deps, pending);
      for (const [index, { roomId, membership }] of pending.entries()) {
        const section = membership === 'knock' ? answer.knocked : answer.invited;
        section.set(roomId, states[index] ?? []);
      }
    },
  };
}
