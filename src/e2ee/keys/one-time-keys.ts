import { serverUnavailable } from '../../matrix/errors.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type {
  KeyWish,
  StoredFallbackKey,
  StoredOneTimeKey,
  UploadedKey,
} from '../../storage/contract/one-time-keys.ts';
import type { Storage } from '../../storage/contract/storage.ts';

/** Gives out the one-time keys of our users' devices. */
export interface OneTimeKeyClaims {
  /**
   * For each wish, by its place in the list, a key that nobody else ever gets; when there is none left the fallback key, and undefined where there
   * is neither. What was given out stays given out, also after a power cut.
   */
  claim(wishes: readonly KeyWish[]): Promise<(UploadedKey | undefined)[]>;
  /** Resolves when no claim is under way; for the stop. */
  idle(): Promise<void>;
}

type Deps = { readonly storage: Pick<Storage, 'oneTimeKeys' | 'commit'> };

interface Waiting {
  readonly wishes: readonly KeyWish[];
  resolve(keys: (UploadedKey | undefined)[]): void;
  reject(error: unknown): void;
}

/** Wishes that are granted in one commit; those behind them wait for the next. */
const grantedAtOnceMax = 500;
const waitingMax = 20_000;
/** An attempt fails only when a device went or put other keys in the meantime. */
const attemptsMax = 20;

/**
 * One commit at a time, for all who wait by then: nobody is told of a key that another one takes, and a crowd that wants the same device's keys costs few
 * syncs of the disk.
 */
export function createOneTimeKeyClaims({ storage }: Deps): OneTimeKeyClaims {
  const waiting: Waiting[] = [];
  let running: Promise<void> | undefined;

  async function grantAll(): Promise<void> {
    await Promise.resolve();
    while (waiting.length > 0) {
      const group = takeGroup(waiting);
      try {
        const keys = await grant(group.flatMap(({ wishes }) => wishes));
        let from = 0;
        for (const { wishes, resolve } of group) {
          resolve(keys.slice(from, from + wishes.length));
          from += wishes.length;
        }
      } catch (error) {
        for (const { reject } of group) reject(error);
      }
    }
    // In the same step as the last look at the list: a claim behind it begins anew.
    running = undefined;
  }

  async function grant(wishes: readonly KeyWish[]): Promise<(UploadedKey | undefined)[]> {
    const stocks = listStocks(wishes);
    const wanted = stocks.map(({ wish }) => wish);
    const most = Math.max(0, ...stocks.map(({ places }) => places.length));
    for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
      const next = await storage.oneTimeKeys.listNext(wanted, most);
      const isShort = stocks.some(({ places }, index) => (next[index]?.length ?? 0) < places.length);
      const fallbacks = isShort ? await storage.oneTimeKeys.listFallbacks(wanted) : [];
      const { keys, rows, keyNos } = deal(wishes.length, stocks, { next, fallbacks });
      if (rows.length === 0) return keys;
      const result = await storage.commit({
        rows,
        expect: [{ kind: 'one_time_keys_unclaimed', keyNos }],
        durable: keyNos.length > 0,
      });
      if (result.outcome === 'committed') return keys;
    }
    throw serverUnavailable('The keys change too fast');
  }

  return {
    claim(wishes) {
      if (waiting.length >= waitingMax) return Promise.reject(serverUnavailable('Too many wait for keys'));
      const keys = new Promise<(UploadedKey | undefined)[]>((resolve, reject) => {
        waiting.push({ wishes, resolve, reject });
      });
      running ??= grantAll();
      return keys;
    },
    idle: async () => {
      while (running !== undefined) await running;
    },
  };
}

/** Who came first, as many as fit into one commit; one at least. */
function takeGroup(waiting: Waiting[]): Waiting[] {
  let size = 0;
  let count = 0;
  for (const { wishes } of waiting) {
    size += wishes.length;
    if (count > 0 && size > grantedAtOnceMax) break;
    count += 1;
  }
  return waiting.splice(0, count);
}

/** The keys of one device and algorithm, and who wants some of them. */
interface Stock {
  readonly wish: KeyWish;
  /** Places in the list of wishes, those first that came first. */
  readonly places: number[];
}

function listStocks(wishes: readonly KeyWish[]): Stock[] {
  const stocks = new Map<string, Stock>();
  wishes.forEach((wish, place) => {
    const name = JSON.stringify([wish.userId, wish.deviceId, wish.algorithm]);
    const stock = stocks.get(name) ?? { wish, places: [] };
    stock.places.push(place);
    stocks.set(name, stock);
  });
  return [...stocks.values()];
}

interface Dealt {
  readonly keys: (UploadedKey | undefined)[];
  readonly rows: Row[];
  readonly keyNos: number[];
}

/** Who gets which key. Pure. */
export function deal(
  count: number,
  stocks: readonly Stock[],
  found: {
    readonly next: readonly (readonly StoredOneTimeKey[])[];
    readonly fallbacks: readonly (StoredFallbackKey | undefined)[];
  },
): Dealt {
  const keys: (UploadedKey | undefined)[] = new Array(count).fill(undefined);
  const rows: Row[] = [];
  const taken: number[] = [];
  stocks.forEach(({ wish, places }, index) => {
    const { userId, deviceId, algorithm } = wish;
    const oneTime = (found.next[index] ?? []).slice(0, places.length);
    const fallback = found.fallbacks[index];
    places.forEach((place, turn) => {
      keys[place] = oneTime[turn] ?? fallback;
    });
    const keyNos = oneTime.map(({ keyNo }) => keyNo);
    taken.push(...keyNos);
    if (keyNos.length > 0) rows.push({ kind: 'one_time_keys_claimed', userId, deviceId, keyNos });
    if (keyNos.length < places.length && fallback && !fallback.used)
      rows.push({ kind: 'fallback_key_used', userId, deviceId, algorithm });
  });
  return { keys, rows, keyNos: taken };
}
