import { invalidParam } from '../../matrix/errors.ts';
import type { Layer } from '../request-state.ts';

/**
 * Refuses a path or query whose percent-encoding is broken or not UTF-8. The router would pass such text through
 * undecoded, and the query parser would guess.
 */
export function percentEncoding(): Layer {
  return {
    enter(context) {
      if (!isDecodable(context.path)) throw invalidParam('The path is not valid percent-encoded UTF-8');
      if (!isDecodable(context.querystring)) throw invalidParam('The query is not valid percent-encoded UTF-8');
      return undefined;
    },
  };
}

function isDecodable(text: string): boolean {
  if (!text.includes('%')) return true;
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}
