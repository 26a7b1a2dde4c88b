import type { JsonObject } from '../matrix/pdu.ts';
import { WordText } from './word-glob.ts';

/** The names that lead to a property, from outside inwards. */
export type Path = readonly string[];

const bodyPath: Path = ['content', 'body'];

/**
 * An event that many rules are asked about, as clients see it: `type`, `sender`, `room_id`, `content`, `state_key` of a state event. Its body is
 * made ready once for all who look for words in it.
 */
export class AskedEvent {
  readonly #json: JsonObject;
  #body: WordText | null | undefined;

  constructor(json: JsonObject) {
    this.#json = json;
  }

  /** Undefined where there is no such property. */
  read(path: Path): unknown {
    let at: unknown = this.#json;
    for (const name of path) {
      if (typeof at !== 'object' || at === null || Array.isArray(at) || !Object.hasOwn(at, name)) return undefined;
      at = Reflect.get(at, name);
    }
    return at;
  }

  /** Null where there is no body that is text. */
  get body(): WordText | null {
    if (this.#body === undefined) {
      const text = this.read(bodyPath);
      this.#body = typeof text === 'string' ? new WordText(text) : null;
    }
    return this.#body;
  }
}
