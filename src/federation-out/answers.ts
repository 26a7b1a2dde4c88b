import { isObject } from '../engine/members.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { FederationError } from './requests-contract.ts';
import type { Answer } from './signed-call.ts';

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
