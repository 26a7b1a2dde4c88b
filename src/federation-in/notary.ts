import type { Clock, Timer } from '../base/clock.ts';
import { Slots, SlotsFullError } from '../base/tasks/slots.ts';
import { isObject } from '../engine/members.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import { type Signer, signJson } from '../signing/sign-json.ts';
import type { PublishedKeys } from '../storage/contract/federation.ts';
import type { Storage } from '../storage/contract/storage.ts';

/** Of one server. */
export interface WantedKey {
  /** Undefined: any. */
  readonly keyId?: string | undefined;
  /** Until when what the server says shall hold at least, epoch milliseconds; undefined: now. */
  readonly untilMs?: number | undefined;
}

export interface NotaryDeps {
  readonly signer: Signer;
  /** Our own keys, as we publish them. */
  readonly signedKeys: () => string;
  /** Asks a server what it publishes and stores it, unless it was asked a moment ago. Never rejects. */
  readonly refresh: (server: ServerName) => Promise<void>;
  readonly storage: { readonly federation: Pick<Storage['federation'], 'listPublishedKeys'> };
  readonly clock: Clock;
}

/** Server-server API, "Querying Keys Through Another Server". */
export interface KeyNotary {
  /** What the servers published, signed by them and by us; servers of which nothing is known are left out. */
  query(wanted: ReadonlyMap<ServerName, readonly WantedKey[]>): Promise<JsonObject[]>;
}

/** Anybody may ask: so many servers are asked for one query, the others are answered from what is known. */
const refreshedPerQueryMax = 32;
/** A part of what the key ring may ask at once, so that our own verifications never wait for strangers. */
const refreshesMax = 8;
const refreshesWaitingMax = 256;
/** Then the query is answered with what is there; what comes later is there for the next. */
const patienceMs = 8_000;

export function createKeyNotary(deps: NotaryDeps): KeyNotary {
  const { signer, storage, clock } = deps;
  const slots = new Slots({ runningMax: refreshesMax, waitingMax: refreshesWaitingMax });

  async function refresh(server: ServerName): Promise<void> {
    try {
      await slots.run(() => deps.refresh(server));
    } catch (error) {
      if (!(error instanceof SlotsFullError)) throw error;
    }
  }

  async function refreshAll(servers: readonly ServerName[]): Promise<void> {
    let timer: Timer | undefined;
    const over = new Promise<void>((resolve) => {
      timer = clock.setTimer(patienceMs, resolve);
    });
    await Promise.race([Promise.all(servers.map(refresh)), over]);
    timer?.clear();
  }

  async function read(servers: readonly ServerName[]): Promise<Map<ServerName, PublishedKeys>> {
    const rows = await storage.federation.listPublishedKeys(servers);
    return new Map(rows.map((row) => [row.server, row]));
  }

  return {
    async query(wanted) {
      const others = [...wanted.keys()].filter((server) => server !== signer.server);
      const known = await read(others);
      const stale = others
        .filter((server) => !isEnough(known.get(server), wanted.get(server) ?? [], clock.now()))
        .slice(0, refreshedPerQueryMax);
      if (stale.length > 0) {
        await refreshAll(stale);
        for (const [server, row] of await read(stale)) known.set(server, row);
      }
      const answers = [...known.values()].map(({ server, answer }) => countersign(answer, server, signer));
      if (wanted.has(signer.server)) answers.push(JSON.parse(deps.signedKeys()));
      return answers;
    },
  };
}

/** "The returned keys SHOULD be valid until at least this timestamp. If not supplied, the notary server MUST use the current time." */
function isEnough(known: PublishedKeys | undefined, wanted: readonly WantedKey[], nowMs: number): boolean {
  if (!known) return false;
  const { verify_keys: current, old_verify_keys: old, valid_until_ts: validUntilMs } = known.answer;
  const isListed = (keyId: string) =>
    (isObject(current) && Object.hasOwn(current, keyId)) || (isObject(old) && Object.hasOwn(old, keyId));
  return wanted.every(
    ({ keyId, untilMs }) => Number(validUntilMs) >= (untilMs ?? nowMs) && (keyId === undefined || isListed(keyId)),
  );
}

/** What others may have signed beside its owner is not ours to pass on. */
function countersign(answer: JsonObject, server: ServerName, signer: Signer): JsonObject {
  const signatures = isObject(answer.signatures) ? answer.signatures[server] : undefined;
  return signJson({ ...answer, signatures: { [server]: signatures } }, signer);
}
