import type { JsonObject } from './pdu.ts';

/** How an event relates to another one (client-server API, "Forming relationships between events"). */
export interface Relation {
  readonly type: string;
  /** Of the other event, as it is written. */
  readonly eventId: string;
  /** Of an annotation, whatever was written there. */
  readonly key: unknown;
}

/** `m.relates_to` of an event's content, as far as it says what kind of relation it is and to which event; undefined where it does not. */
export function relationOf(content: JsonObject | undefined): Relation | undefined {
  const relation = content?.['m.relates_to'];
  if (typeof relation !== 'object' || relation === null) return undefined;
  const { rel_type: type, event_id: eventId, key } = relation as Record<string, unknown>;
  return typeof type === 'string' && typeof eventId === 'string' ? { type, eventId, key } : undefined;
}
