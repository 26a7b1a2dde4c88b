import type { ZodType } from 'zod';
import { badJson, invalidParam, type MatrixError, missingParam } from '../../matrix/errors.ts';

export type Place = 'body' | 'query' | 'path';

/**
 * The value as the shape gives it. M_MISSING_PARAM when a required field is absent; M_BAD_JSON for any other fault of a
 * body, M_INVALID_PARAM for one of the path or query. The first fault is named, by its field.
 */
export function checkShape<T>(shape: ZodType<T>, value: unknown, place: Place): T {
  const result = shape.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw refusal(value, place, issue?.path ?? [], issue?.message ?? 'is not valid');
}

function refusal(value: unknown, place: Place, path: readonly PropertyKey[], message: string): MatrixError {
  const field = path.map(String).join('.').slice(0, 100);
  if (path.length > 0 && isAbsent(value, path)) return missingParam(`'${field}' is required`);
  const text = field === '' ? `The ${place}: ${message}` : `'${field}': ${message}`;
  return place === 'body' ? badJson(text) : invalidParam(text);
}

function isAbsent(value: unknown, path: readonly PropertyKey[]): boolean {
  let at: unknown = value;
  for (const key of path) {
    if (typeof at !== 'object' || at === null) return false;
    at = Reflect.get(at, key);
  }
  return at === undefined;
}
