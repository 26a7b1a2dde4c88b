import { notFound } from '../../matrix/errors.ts';
import type { EventId, RoomId, UserId } from '../../matrix/ids.ts';
import type { TimelineEvent } from '../../storage/contract/events.ts';
import type { Direction } from '../history.ts';
import { filterVisible, isEventVisible, type VisibilityDeps } from '../visible-history.ts';
import { getRoomAccess } from './access.ts';

export type MomentsDeps = VisibilityDeps & {
  /**
   * Asks other servers for an event nearer to the moment than `nearest` and stores it. Bounded in time; never throws for what other
   * servers do.
   */
  readonly findElsewhere: (roomId: RoomId, moment: Moment, nearest: number | undefined) => Promise<EventId | undefined>;
};

export interface Moment {
  /** Unix milliseconds. */
  readonly ts: number;
  /** backward: at the moment or before it. */
  readonly direction: Direction;
}

/** Client-server API, "Jump to date". */
export interface Moments {
  /**
   * The event next to a moment that the viewer may see. Where our history has a gap on the way to it, other servers are asked. Throws
   * M_FORBIDDEN, M_NOT_FOUND.
   */
  findEvent(
    viewer: UserId,
    roomId: RoomId,
    moment: Moment,
  ): Promise<{ readonly eventId: EventId; readonly originServerTs: number }>;
}

/** Events that are looked at for one that the viewer may see. */
const candidatesMax = 100;

export function createMoments(deps: MomentsDeps): Moments {
  const { events } = deps.storage;

  async function findHere(viewer: UserId, roomId: RoomId, moment: Moment): Promise<TimelineEvent | undefined> {
    const [nearest] = await events.listNearMoment(roomId, moment.ts, moment.direction, 1);
    if (!nearest || (await isEventVisible(deps, viewer, nearest))) return nearest;
    const candidates = await events.listNearMoment(roomId, moment.ts, moment.direction, candidatesMax);
    return (await filterVisible(deps, viewer, candidates))[0];
  }

  /** Whether an event may be missing that stands between the moment and what we found. */
  async function mayLackNearer(roomId: RoomId, direction: Direction, found: TimelineEvent | undefined) {
    const gaps = await events.listBackwardExtremities(roomId);
    if (!found) return gaps.length > 0;
    return gaps.some(({ depth }) => (direction === 'forward' ? depth <= found.depth : depth > found.depth));
  }

  return {
    async findEvent(viewer, roomId, moment) {
      await getRoomAccess(deps, roomId, viewer);
      const here = await findHere(viewer, roomId, moment);
      if (await mayLackNearer(roomId, moment.direction, here)) {
        const eventId = await deps.findElsewhere(roomId, moment, here?.originServerTs);
        const found = eventId === undefined ? undefined : await events.findTimelineEvent(eventId);
        if (found && (await isEventVisible(deps, viewer, found))) return found;
      }
      if (!here) throw notFound('There is no event on that side of the moment');
      return here;
    },
  };
}
