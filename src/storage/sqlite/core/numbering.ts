import type { Connection } from './database.ts';
import { RecentMap } from './recent-map.ts';

/** Up to so many texts are quicker looked up one by one than by a list. */
const fewTexts = 8;

/**
 * Numbers that stand for texts which many rows name: room ids, event ids, state keys. Once given, a number never
 * changes; the caches hold `cacheMax` pairs that were used lately.
 */
export class Numbering<Text extends string> {
  readonly #numbers: RecentMap<Text, number>;
  readonly #texts: RecentMap<number, Text>;
  readonly #find;
  readonly #insert;
  readonly #text;
  readonly #insertAll;
  readonly #findAll;
  readonly #textAll;

  /** `table` has the columns `number` (its key) and `text` (unique). */
  constructor(connection: Connection, options: { table: string; number: string; text: string; cacheMax: number }) {
    const { table, number, text, cacheMax } = options;
    this.#numbers = new RecentMap(cacheMax);
    this.#texts = new RecentMap(cacheMax);
    this.#find = connection.prepare<[Text], number>(`SELECT ${number} FROM ${table} WHERE ${text} = ?`).pluck();
    this.#insert = connection.prepare<[Text]>(`INSERT INTO ${table} (${text}) VALUES (?)`);
    this.#text = connection.prepare<[number], Text>(`SELECT ${text} FROM ${table} WHERE ${number} = ?`).pluck();
    this.#insertAll = connection.prepare<[string], { number: number; text: Text }>(
      `INSERT INTO ${table} (${text}) SELECT value FROM json_each(?) WHERE true ON CONFLICT DO NOTHING
       RETURNING ${number} AS number, ${text} AS text`,
    );
    this.#findAll = connection.prepare<[string], { number: number; text: Text }>(
      `SELECT t.${number} AS number, t.${text} AS text FROM json_each(?) j CROSS JOIN ${table} t ON t.${text} = j.value`,
    );
    this.#textAll = connection
      .prepare<[string], [number, Text]>(
        `SELECT t.${number}, t.${text} FROM json_each(?) j CROSS JOIN ${table} t ON t.${number} = j.value`,
      )
      .raw();
  }

  /** The number of a text that has one. */
  find(text: Text): number | undefined {
    const cached = this.#numbers.get(text);
    if (cached !== undefined) return cached;
    const number = this.#find.get(text);
    if (number !== undefined) this.#remember(number, text);
    return number;
  }

  /** The number of a text, a new one if it has none. Only inside a commit. */
  put(text: Text): number {
    return this.find(text) ?? this.add(text);
  }

  /** The number of a text that has none so far. Only inside a commit. */
  add(text: Text): number {
    const number = Number(this.#insert.run(text).lastInsertRowid);
    this.#remember(number, text);
    return number;
  }

  /** Like `put`, for many at once. */
  putAll(texts: Iterable<Text>): Map<Text, number> {
    const { found, missing } = this.#split(texts, this.#numbers);
    if (missing.length <= fewTexts) {
      for (const text of missing) found.set(text, this.put(text));
      return found;
    }
    for (const { number, text } of this.#insertAll.all(JSON.stringify(missing))) {
      found.set(text, number);
      this.#remember(number, text);
    }
    // The others had one that was not remembered.
    const known = missing.filter((text) => !found.has(text));
    return known.length === 0 ? found : new Map([...found, ...this.findAll(known)]);
  }

  /** Numbers of those that have one. */
  findAll(texts: Iterable<Text>): Map<Text, number> {
    const { found, missing } = this.#split(texts, this.#numbers);
    const [first] = missing;
    if (first === undefined) return found;
    if (missing.length === 1) {
      const number = this.find(first);
      return number === undefined ? found : found.set(first, number);
    }
    for (const { number, text } of this.#findAll.all(JSON.stringify(missing))) {
      found.set(text, number);
      this.#remember(number, text);
    }
    return found;
  }

  /** The text of a number that was given. */
  text(number: number): Text {
    const cached = this.#texts.get(number);
    if (cached !== undefined) return cached;
    const text = this.#text.get(number);
    if (text === undefined) throw new Error(`no text has the number ${number}`);
    this.#remember(number, text);
    return text;
  }

  /** The texts of many numbers that were given. */
  texts(numbers: Iterable<number>): Map<number, Text> {
    const { found, missing } = this.#split(numbers, this.#texts);
    if (missing.length === 0) return found;
    for (const [number, text] of this.#textAll.all(JSON.stringify(missing))) {
      found.set(number, text);
      this.#remember(number, text);
    }
    return found;
  }

  /** Drops what was remembered: numbers given inside a transaction that was undone were never given. */
  forget(): void {
    this.#numbers.clear();
    this.#texts.clear();
  }

  #remember(number: number, text: Text): void {
    this.#numbers.set(text, number);
    this.#texts.set(number, text);
  }

  #split<Key extends string | number, Value extends string | number>(
    keys: Iterable<Key>,
    cache: RecentMap<Key, Value>,
  ): { found: Map<Key, Value>; missing: Key[] } {
    const found = new Map<Key, Value>();
    const missing: Key[] = [];
    for (const key of keys) {
      const value = cache.get(key);
      if (value === undefined) missing.push(key);
      else found.set(key, value);
    }
    return { found, missing };
  }
}
