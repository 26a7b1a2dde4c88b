import type { RoomEvent, StateKey } from '../../matrix/pdu.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { StatePoint } from './state-point.ts';

/** The events that hold at these places in a state, those that are stored. */
export async function readStateEvents(
  deps: { readonly storage: Pick<Storage, 'events'> },
  point: StatePoint,
  keys: readonly StateKey[],
): Promise<Map<StateKey, RoomEvent>> {
  const ids = await point.readKeys(keys);
  const stored = await deps.storage.events.listByIds([...ids.values()]);
  const byId = new Map(stored.map((entry) => [entry.event.eventId, entry.event]));
  const state = new Map<StateKey, RoomEvent>();
  for (const [key, eventId] of ids) {
    const event = byId.get(eventId);
    if (event) state.set(key, event);
  }
  return state;
}
