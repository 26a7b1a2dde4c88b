import type { JsonObject } from './pdu.ts';

interface Wanted {
  /** The whole value. */
  whole: boolean;
  readonly parts: Map<string, Wanted>;
}

/**
 * `event_fields` of a filter: "List of event fields to include. … The entries are dot-separated paths for each property to include. So
 * ['content.body'] will include the 'body' field of the 'content' object." A dot or a backslash in a name has a backslash before it.
 * Makes of the JSON text of an event the text with only these.
 */
export function compileEventFields(paths: readonly string[]): (eventText: string) => string {
  const root: Wanted = { whole: false, parts: new Map() };
  for (const path of paths) {
    let at = root;
    for (const name of splitPath(path)) {
      const next = at.parts.get(name) ?? { whole: false, parts: new Map() };
      at.parts.set(name, next);
      at = next;
    }
    at.whole = true;
  }
  return (eventText) => {
    const event: JsonObject = JSON.parse(eventText);
    return JSON.stringify(pick(event, root));
  };
}

function pick(object: JsonObject, { parts }: Wanted): JsonObject {
  const entries = Object.entries(object).flatMap(([name, value]): [string, unknown][] => {
    const wanted = parts.get(name);
    if (!wanted) return [];
    if (wanted.whole) return [[name, value]];
    return isObject(value) ? [[name, pick(value, wanted)]] : [];
  });
  return Object.fromEntries(entries);
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function splitPath(path: string): string[] {
  const names = [''];
  for (let index = 0; index < path.length; index += 1) {
    const character = path[index] ?? '';
    const following = path[index + 1] ?? '';
    if (character === '\\' && (following === '.' || following === '\\')) {
      names.push(`${names.pop() ?? ''}${following}`);
      index += 1;
    } else if (character === '.') names.push('');
    else names.push(`${names.pop() ?? ''}${character}`);
  }
  return names;
}
