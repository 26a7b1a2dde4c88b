import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { MembershipStep } from '../../storage/contract/presence.ts';
import type { Difference } from '../core/facts.ts';
import type { RulesOfUsers } from '../core/rules.ts';
import { deniesRoom, withDeniedRoom, withoutRoom } from '../sharing-config.ts';
import type { RowSet } from './row-set.ts';

/** Rewrites whose commit has not been seen; beyond it the oldest are taken for done. */
const rewritesMax = 1_000;

export interface ConfigRewritesDeps {
  rules: RulesOfUsers;
  /** The room that this one replaces, as its create event says. */
  findPredecessor(roomId: RoomId): Promise<RoomId | undefined>;
}

/** A sharing config document as it was committed. */
export interface RewrittenConfig {
  readonly type: string;
  readonly before: JsonObject | null;
  readonly content: JsonObject;
}

interface Rewrite {
  readonly base: JsonObject;
  readonly content: JsonObject;
  apply(config: JsonObject): JsonObject | undefined;
}

/**
 * The server's own edits of sharing configs: "When S leaves a room, its ID is removed from `allowed_users`; in `denied_users` it
 * stays until S forgets the room. When S joins a room whose predecessor is denied, the new ID is added to `denied_users` before
 * any presence is shared there."
 */
export class ConfigRewrites {
  readonly #deps: ConfigRewritesDeps;
  /** By user and type: what each was made of, and how. */
  readonly #rewrites = new Map<string, Rewrite>();

  constructor(deps: ConfigRewritesDeps) {
    this.#deps = deps;
  }

  /** Adds the documents that the step changes, and lays the rules that follow from them over the difference. */
  async add(rows: RowSet, step: MembershipStep, difference: Difference): Promise<void> {
    const { userId } = step;
    const documents = new Map<string, JsonObject>();
    for (const [type, content] of this.#deps.rules.configsOf(userId)) {
      const known = rows.findAccountData(userId, type) ?? content;
      const apply = await this.#rewriteFor(known, step);
      const rewritten = apply?.(known);
      if (!apply || !rewritten) continue;
      documents.set(type, rewritten);
      this.#noteRewrite(JSON.stringify([userId, type]), { base: content, content: rewritten, apply });
    }
    if (documents.size === 0) return;
    for (const [type, content] of documents) rows.add({ kind: 'account_data', userId, roomId: null, type, content });
    const all = new Map(this.#deps.rules.configsOf(userId));
    for (const type of all.keys()) {
      const content = rows.findAccountData(userId, type);
      if (content) all.set(type, content);
    }
    difference.rules.set(userId, this.#deps.rules.preview(userId, all));
  }

  /**
   * A rewritten config was committed. Undefined if it replaced what it was made of; else the owner's PUT came in between,
   * and this is what has to be stored: that PUT, rewritten.
   */
  repair(userId: UserId, change: RewrittenConfig): JsonObject | undefined {
    const key = JSON.stringify([userId, change.type]);
    const rewrite = this.#rewrites.get(key);
    if (!rewrite || !isSameJson(rewrite.content, change.content)) return undefined;
    this.#rewrites.delete(key);
    if (change.before === null || isSameJson(rewrite.base, change.before)) return undefined;
    return rewrite.apply(change.before) ?? change.before;
  }

  /** What the step does to a config; undefined: nothing. */
  async #rewriteFor(content: JsonObject, step: MembershipStep): Promise<Rewrite['apply'] | undefined> {
    const { roomId, before, after } = step;
    if (after === 'forgotten') return (config) => withoutRoom(config, 'denied_users', roomId);
    if (before === 'join' && after !== 'join') return (config) => withoutRoom(config, 'allowed_users', roomId);
    if (before === 'join' || after !== 'join') return undefined;
    // Most configs deny no room, and then nobody need look for the room that came before.
    if (!Array.isArray(content.denied_users) || !content.denied_users.some(isRoomEntry)) return undefined;
    const predecessor = step.predecessor === undefined ? await this.#deps.findPredecessor(roomId) : step.predecessor;
    if (!predecessor) return undefined;
    return (config) => (deniesRoom(config, predecessor) ? withDeniedRoom(config, roomId) : undefined);
  }

  #noteRewrite(key: string, rewrite: Rewrite): void {
    this.#rewrites.delete(key);
    this.#rewrites.set(key, rewrite);
    if (this.#rewrites.size <= rewritesMax) return;
    for (const oldest of this.#rewrites.keys()) {
      this.#rewrites.delete(oldest);
      return;
    }
  }
}

function isSameJson(a: JsonObject, b: JsonObject): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isRoomEntry(entry: unknown): boolean {
  return typeof entry === 'string' && entry.startsWith('!');
}
