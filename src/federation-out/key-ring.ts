import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import { type Backoff, backoffDelayMs } from '../base/tasks/backoff.ts';
import { Slots, SlotsFullError } from '../base/tasks/slots.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { SigningKey } from '../signing/ed25519.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { ServerKeyRow } from '../storage/contract/federation.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { AskNotaries, WantedKey } from './notaries.ts';
import { parsePublishedKeys } from './published-keys.ts';

/** What a server answers to `GET /_matrix/key/v2/server`. Rejects when it gives none. */
export type FetchServerKeys = (server: ServerName) => Promise<JsonObject>;

export interface OwnKey extends Pick<SigningKey, 'keyId' | 'publicKey'> {
  readonly expiredAtMs?: number;
}

export interface KeyRingDeps {
  serverName: ServerName;
  /** Keys of this server. Those it no longer signs with are good for what was signed up to a moment, epoch milliseconds. */
  ownKeys: readonly OwnKey[];
  fetchServerKeys: FetchServerKeys;
  /** Asked when the server itself does not answer, or does not list a key that is wanted. */
  askNotaries: AskNotaries;
  storage: { federation: Pick<Storage['federation'], 'listServerKeys'>; commit: Storage['commit'] };
  clock: Clock;
  random: Random;
  log: Log;
}

const serversMax = 10_000;
const fetchesMax = 32;
const fetchesWaitingMax = 10_000;
/** After a good answer a server is not asked again for this long, whatever key or time is wanted. */
const refetchAfterMs = 60_000;
const failureBackoff: Backoff = { firstMs: 5_000, maxMs: 60_000 };

interface Ring {
  keys: Map<string, ServerKeyRow>;
  /** Monotonic: before it the server is not asked. */
  askAgainAtMs: number;
  failures: number;
}

/**
 * The verification keys of all servers: in memory, then in storage, then asked of the server itself, once at a time and at most
 * 32 servers at once, then of notaries. A server that does not answer is left alone for 5 seconds, doubling to a minute, and with it
 * the notaries about it.
 */
export class KeyRing {
  readonly #deps: KeyRingDeps;
  readonly #own: ReadonlyMap<string, OwnKey>;
  readonly #rings = new LRUCache<ServerName, Ring>({ max: serversMax });
  readonly #loading = new Map<ServerName, Promise<Ring>>();
  readonly #fetching = new Map<ServerName, Promise<void>>();
  readonly #askingOwner = new Map<ServerName, Promise<void>>();
  readonly #slots = new Slots({ runningMax: fetchesMax, waitingMax: fetchesWaitingMax });

  constructor(deps: KeyRingDeps) {
    this.#deps = deps;
    this.#own = new Map(deps.ownKeys.map((key) => [key.keyId, key]));
  }

  /**
   * The public key (unpadded base64) of `server` under `keyId`, for what was signed at `validAtMs`, epoch milliseconds.
   * Undefined when the server has no such key, it was not valid then, or nobody can be asked now.
   */
  async getKey(server: ServerName, keyId: string, validAtMs: number): Promise<string | undefined> {
    if (server === this.#deps.serverName) return this.#findOwn(keyId, validAtMs);
    const ring = await this.#learn(server, [{ keyId, validAtMs }]);
    return usable(ring, { keyId, validAtMs });
  }

  /** The same without a word of any notary: for what notaries sign. */
  async getOwnersKey(server: ServerName, keyId: string, validAtMs: number): Promise<string | undefined> {
    const ring = await this.#find(server);
    if (usable(ring, { keyId, validAtMs }) === undefined) await this.refresh(server);
    return usable(ring, { keyId, validAtMs });
  }

  /** Asks the server what it publishes now, unless it was asked a moment ago. */
  async refresh(server: ServerName): Promise<void> {
    const ring = await this.#find(server);
    await this.#askOwnerOnce(server, ring);
  }

  /** The key as it is at hand: nobody is asked. */
  async findKey(server: ServerName, keyId: string, validAtMs: number): Promise<string | undefined> {
    if (server === this.#deps.serverName) return this.#findOwn(keyId, validAtMs);
    return usable(await this.#find(server), { keyId, validAtMs });
  }

  #findOwn(keyId: string, validAtMs: number): string | undefined {
    const key = this.#own.get(keyId);
    return key && (key.expiredAtMs === undefined || validAtMs <= key.expiredAtMs) ? key.publicKey : undefined;
  }

  /** Asks for what of these keys is not at hand, if somebody may be asked now. */
  async learn(server: ServerName, wanted: readonly WantedKey[]): Promise<void> {
    if (server !== this.#deps.serverName) await this.#learn(server, wanted);
  }

  /** Whether a key of this server that is not at hand may still come: it was not asked lately, or did not answer. */
  async mayLearnMore(server: ServerName): Promise<boolean> {
    if (server === this.#deps.serverName) return false;
    const ring = await this.#find(server);
    return ring.failures > 0 || this.#mayAsk(ring);
  }

  /** The ring of a server, after asking for what of these keys it lacks, if somebody may be asked now. */
  async #learn(server: ServerName, wanted: readonly WantedKey[]): Promise<Ring> {
    const ring = await this.#find(server);
    const missing = wanted.filter((key) => usable(ring, key) === undefined);
    if (missing.length === 0) return ring;
    const underWay = this.#fetching.get(server);
    if (underWay !== undefined) await underWay;
    else if (this.#mayAsk(ring)) await once(this.#fetching, server, () => this.#fetch(server, ring, missing));
    return ring;
  }

  async #find(server: ServerName): Promise<Ring> {
    return this.#rings.get(server) ?? once(this.#loading, server, () => this.#load(server));
  }

  async #load(server: ServerName): Promise<Ring> {
    const rows = await this.#deps.storage.federation.listServerKeys(server);
    const ring: Ring = { keys: new Map(rows.map((row) => [row.keyId, row])), askAgainAtMs: 0, failures: 0 };
    this.#rings.set(server, ring);
    return ring;
  }

  #mayAsk(ring: Ring): boolean {
    return ring.askAgainAtMs <= this.#deps.clock.monotonic();
  }

  async #fetch(server: ServerName, ring: Ring, wanted: readonly WantedKey[]): Promise<void> {
    await this.#askOwnerOnce(server, ring);
    const missing = wanted.filter((key) => usable(ring, key) === undefined);
    if (missing.length === 0) return;
    const told = await this.#deps.askNotaries(server, missing);
    // A notary may have heard less than we have.
    await this.#keep(
      ring,
      told.filter((row) => row.validUntilMs > (ring.keys.get(row.keyId)?.validUntilMs ?? -1)),
    );
  }

  async #askOwnerOnce(server: ServerName, ring: Ring): Promise<void> {
    const underWay = this.#askingOwner.get(server);
    if (underWay !== undefined) await underWay;
    else if (this.#mayAsk(ring)) await once(this.#askingOwner, server, () => this.#askOwner(server, ring));
  }

  async #askOwner(server: ServerName, ring: Ring): Promise<void> {
    const { clock, log, random } = this.#deps;
    try {
      const answer = await this.#slots.run(() => this.#deps.fetchServerKeys(server));
      const rows = parsePublishedKeys(answer, server, clock.now());
      if (!rows) throw new Error('what it publishes is malformed or not signed by itself');
      ring.failures = 0;
      ring.askAgainAtMs = clock.monotonic() + refetchAfterMs;
      await this.#keep(ring, rows, { kind: 'published_keys', server, answer, fetchedAtMs: clock.now() });
    } catch (err) {
      // Too many wait: that says nothing about this server.
      if (err instanceof SlotsFullError) return;
      ring.failures += 1;
      ring.askAgainAtMs = clock.monotonic() + backoffDelayMs(failureBackoff, ring.failures, random);
      log.info({ server, reason: err instanceof Error ? err.message : String(err) }, 'no keys from this server');
    }
  }

  async #keep(ring: Ring, rows: readonly ServerKeyRow[], ...published: Row[]): Promise<void> {
    for (const row of rows) ring.keys.set(row.keyId, row);
    const keys = rows.map((row) => ({ kind: 'server_key' as const, ...row }));
    if (keys.length > 0) await this.#deps.storage.commit({ rows: [...keys, ...published] });
  }
}

/** Those who come while a task for this server runs join it. */
function once<T>(running: Map<ServerName, Promise<T>>, server: ServerName, task: () => Promise<T>): Promise<T> {
  const underWay = running.get(server);
  if (underWay !== undefined) return underWay;
  const promise = task().finally(() => running.delete(server));
  running.set(server, promise);
  return promise;
}

function usable(ring: Ring, { keyId, validAtMs }: WantedKey): string | undefined {
  const row = ring.keys.get(keyId);
  return row !== undefined && row.validUntilMs >= validAtMs ? row.publicKey : undefined;
}
