import type { JsonObject } from '../../matrix/pdu.ts';

/** What is worked out of an event's canonical form while it is parsed, since judging and storing it ask for it again. */
export interface EventForms {
  /** The canonical JSON of all of it; undefined where it was not to be kept. */
  readonly whole: string | undefined;
  readonly isContentHashValid: boolean;
}

/** By the event, with which it goes. */
const forms = new WeakMap<Readonly<JsonObject>, EventForms>();

export function findForms(event: Readonly<JsonObject>): EventForms | undefined {
  return forms.get(event);
}

/** From here on nobody can change the event, nor anything in it: what is said here of it stays true. It has a canonical form, thus no cycle. */
export function keepForms(event: Readonly<JsonObject>, found: EventForms): void {
  freezeAll(event);
  forms.set(event, found);
}

function freezeAll(value: unknown): void {
  if (typeof value !== 'object' || value === null) return;
  for (const member of Object.values(value)) freezeAll(member);
  Object.freeze(value);
}
