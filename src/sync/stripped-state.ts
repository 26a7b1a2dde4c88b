import { strippedStateTypes } from '../matrix/event-types.ts';
import type { EventId } from '../matrix/ids.ts';
import type { JsonObject, Pdu, StateKey } from '../matrix/pdu.ts';
import { stateKeyOf } from '../matrix/pdu.ts';
import { memberKey } from '../rooms/state-reads.ts';
import type { StoredEvent } from '../storage/contract/events.ts';
import type { StoredMembership } from '../storage/contract/rooms.ts';
import type { SnapshotId } from '../storage/contract/state.ts';
import type { Storage } from '../storage/contract/storage.ts';

export interface StrippedStateDeps {
  readonly storage: Pick<Storage, 'events' | 'state'>;
}

/**
 * The room as an invited or knocking user may see it before they join, as JSON texts, the own member event last: what
 * the other server told us, or the state behind the member event where we are in the room ourselves.
 */
export async function listStrippedStates(
  deps: StrippedStateDeps,
  memberships: readonly StoredMembership[],
): Promise<string[][]> {
  const members = await readById(
    deps,
    memberships.filter((row) => row.outOfBand === null).map((row) => row.eventId),
  );
  const states = await readStates(deps, [...members.values()]);
  const events = await readById(deps, [...new Set([...states.values()].flat())]);
  return memberships.map((row) => {
    if (row.outOfBand !== null) return fromElsewhere(row.outOfBand.event, row.outOfBand.strippedState);
    const member = members.get(row.eventId);
    if (!member) return [];
    const around = (states.get(row.eventId) ?? []).filter((eventId) => eventId !== row.eventId);
    return [...around.map((eventId) => events.get(eventId)), member]
      .filter((stored) => stored !== undefined)
      .map((stored) => encodeStripped(stored.event.pdu));
  });
}

/** For each member event the state around it that is shown, in the order of the types. */
async function readStates(
  deps: StrippedStateDeps,
  members: readonly StoredEvent[],
): Promise<Map<EventId, readonly EventId[]>> {
  const wanted = new Map<SnapshotId, readonly StateKey[]>();
  for (const { event, snapshotAfter } of members) {
    if (snapshotAfter === null) continue;
    const keys = [...strippedStateTypes.map((type) => stateKeyOf(type, '')), memberKey(event.pdu.sender)];
    wanted.set(snapshotAfter, keys);
  }
  if (wanted.size === 0) return new Map();
  const found = await deps.storage.state.getFromSnapshots(wanted);
  return new Map(
    members.map(({ event, snapshotAfter }) => {
      const state = snapshotAfter === null ? undefined : found.get(snapshotAfter);
      return [event.eventId, [...(state?.values() ?? [])]];
    }),
  );
}

async function readById(deps: StrippedStateDeps, ids: readonly EventId[]): Promise<Map<EventId, StoredEvent>> {
  if (ids.length === 0) return new Map();
  return new Map((await deps.storage.events.listByIds(ids)).map((stored) => [stored.event.eventId, stored]));
}

function fromElsewhere(member: JsonObject, strippedState: readonly JsonObject[]): string[] {
  const others = strippedState.filter((event) => !(event.type === member.type && event.state_key === member.state_key));
  return [...others, member].map(encodeStripped);
}

/** "Stripped state events can only have the `sender`, `type`, `state_key` and `content` properties", and on `m.room.create` since MSC4311 the time. */
function encodeStripped(event: JsonObject | Readonly<Pdu>): string {
  const { type, state_key, sender, content } = event;
  const time = type === 'm.room.create' ? { origin_server_ts: event.origin_server_ts } : {};
  return JSON.stringify({ type, state_key, sender, content, ...time });
}
