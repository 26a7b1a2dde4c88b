import { isObject } from '../engine/members.ts';
import { type EventId, isEventId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { FederationError } from './requests-contract.ts';
import type { Answer } from './signed-call.ts';

/** Events in one answer; no room that works has as many. */
const eventsMax = 500_000;

function badAnswer(what: string): FederationError {
  return new FederationError('bad_answer', `the answer ${what}`, 200);
}

/** The object under `key`. */
export function getObject({ body }: Answer, key: string): JsonObject {
  const value = body[key];
  if (!isObject(value)) throw badAnswer(`has no object "${key}"`);
  return value;
}

export function findString({ body }: Answer, key: string): string | undefined {
  const value = body[key];
  if (value !== undefined && typeof value !== 'string') throw badAnswer(`has a "${key}" that is no string`);
  return value;
}

/** The events under `key`, read exactly. Entries that are no objects are left out: "Event is valid, otherwise it is dropped". */
export function listEvents({ body }: Answer, key: string): JsonObject[] {
  const entries: unknown = body[key];
  if (!Array.isArray(entries)) throw badAnswer(`has no list "${key}"`);
  if (entries.length > eventsMax) throw badAnswer(`has more than ${eventsMax} entries in "${key}"`);
  return entries.filter(isObject);
}

/** The event ids under `key`; others are left out. */
export function listEventIds({ body }: Answer, key: string): EventId[] {
  const entries: unknown = body[key];
  if (!Array.isArray(entries)) throw badAnswer(`has no list "${key}"`);
  return entries.filter(isEventId);
}
