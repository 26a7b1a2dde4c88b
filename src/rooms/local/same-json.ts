import { CanonicalJsonError, canonicalJson } from '../../base/json/canonical-json.ts';

/** Whether two values say the same. False for what has no canonical form: it is refused elsewhere. */
export function isSameJson(a: unknown, b: unknown): boolean {
  try {
    return canonicalJson(a) === canonicalJson(b);
  } catch (error) {
    if (error instanceof CanonicalJsonError) return false;
    throw error;
  }
}
