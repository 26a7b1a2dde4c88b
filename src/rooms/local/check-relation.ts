import { duplicateAnnotation, unknown } from '../../matrix/errors.ts';
import { isEventId } from '../../matrix/ids.ts';
import { relationOf } from '../../matrix/relation.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { NewEvent } from '../core/room-draft.ts';

/**
 * What a client may not relate (client-server API, "Avoiding duplicate annotations", "Validation of m.thread relationships"): a second
 * annotation with the same key, and a thread on an event that relates to another one. Throws M_DUPLICATE_ANNOTATION, M_UNKNOWN.
 */
export async function checkRelation(
  { storage }: { readonly storage: Pick<Storage, 'relations'> },
  { type, sender, content }: Pick<NewEvent, 'type' | 'sender' | 'content'>,
): Promise<void> {
  const relation = relationOf(content);
  if (!relation || !isEventId(relation.eventId)) return;
  const { type: relType, eventId, key } = relation;
  if (relType === 'm.annotation' && typeof key === 'string') {
    if (await storage.relations.hasAnnotation(eventId, { sender, type, key })) {
      throw duplicateAnnotation('You annotated this event with this key already');
    }
  }
  if (relType === 'm.thread' && (await storage.relations.findRelationType(eventId)) !== null) {
    throw unknown('A thread cannot begin at an event that relates to another one');
  }
}
