import { serverUnavailable } from '../../matrix/errors.ts';
import type { RoomId } from '../../matrix/ids.ts';
import { commitDraft } from '../core/commit-draft.ts';
import { appendMember, attemptsMax, getDraft, type MemberChange, type MemberDeps } from './send-member.ts';

/** Joins of one commit: it holds up the loop, and the others of the room. */
export const joinsOfRunMax = 16;

interface Waiting {
  readonly join: MemberChange;
  resolve(): void;
  reject(error: unknown): void;
}

/**
 * Own joins into rooms that we know the state of. Those that wait for one room together are authorised one on top of the other and written in
 * one commit: reading where the room stands and the commit cost more than a join itself. Each has its own outcome.
 */
export class JoinRuns {
  readonly #deps: MemberDeps;
  /** The last run of each room that stands in line, as long as there is place in it. */
  readonly #open = new Map<RoomId, Waiting[]>();

  constructor(deps: MemberDeps) {
    this.#deps = deps;
  }

  /** Resolves when the join is stored. Throws as `sendMember` does. */
  join(join: MemberChange): Promise<void> {
    return new Promise((resolve, reject) => {
      const { roomId } = join;
      const waiting = { join, resolve, reject };
      const open = this.#open.get(roomId);
      if (open && open.length < joinsOfRunMax) {
        open.push(waiting);
        return;
      }
      const run = [waiting];
      this.#open.set(roomId, run);
      this.#deps.lock
        .run(roomId, () => {
          this.#close(roomId, run);
          return this.#write(roomId, run);
        })
        // Too many stand in line, or storage fails: nobody's join is stored.
        .catch((error: unknown) => {
          this.#close(roomId, run);
          for (const one of run) one.reject(error);
        });
    });
  }

  #close(roomId: RoomId, run: readonly Waiting[]): void {
    if (this.#open.get(roomId) === run) this.#open.delete(roomId);
  }

  async #write(roomId: RoomId, run: readonly Waiting[]): Promise<void> {
    let left = run;
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const draft = await getDraft(this.#deps, roomId);
      const taken: Waiting[] = [];
      for (const one of left) {
        try {
          await appendMember(this.#deps, draft, one.join);
          taken.push(one);
        } catch (error) {
          // What is refused is refused for good, and leaves the draft as it was.
          one.reject(error);
        }
      }
      if (taken.length === 0) return;
      const result = await commitDraft(this.#deps, draft);
      if (result.outcome === 'committed') {
        for (const one of taken) one.resolve();
        return;
      }
      left = taken;
    }
    throw serverUnavailable('The room is busy, try again');
  }
}
