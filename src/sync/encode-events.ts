import { type AggregationDeps, readAggregations } from '../rooms/aggregations.ts';
import { encodeClientEvents } from '../rooms/client-event.ts';
import type { TimelineEvent } from '../storage/contract/events.ts';
import type { SyncScope } from './stream.ts';

export interface RoomEvents {
  readonly state: readonly TimelineEvent[];
  readonly timeline: readonly TimelineEvent[];
  /** Between this timeline and what the client was told before there are others, which may relate to its events. */
  readonly limited: boolean;
}

/** State and timeline of rooms for this viewer, as JSON texts, by index. All rooms are read together. */
export async function encodeRoomEvents(
  deps: AggregationDeps,
  scope: SyncScope,
  rooms: readonly RoomEvents[],
): Promise<{ state: string[]; timeline: string[] }[]> {
  const { filter, nowMs, viewer } = scope;
  const options = { withRoomId: false, nowMs, format: filter.eventFormat };
  const isLimited = new Set(rooms.filter(({ limited }) => limited).flatMap(({ timeline }) => timeline));
  const encode = async (events: readonly TimelineEvent[], withMembership: boolean): Promise<string[]> => {
    const asked = events.filter((event) => isLimited.has(event));
    const aggregations = await readAggregations(deps, asked, viewer, { ...options, withMembership });
    const texts = await encodeClientEvents(deps, events, viewer, { ...options, withMembership, aggregations });
    return filter.eventFields ? texts.map(filter.eventFields) : texts;
  };
  const state = await encode(
    rooms.flatMap((room) => room.state),
    false,
  );
  const timeline = await encode(
    rooms.flatMap((room) => room.timeline),
    true,
  );
  return rooms.map((room) => ({
    state: state.splice(0, room.state.length),
    timeline: timeline.splice(0, room.timeline.length),
  }));
}
