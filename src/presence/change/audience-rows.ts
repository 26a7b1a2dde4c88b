import { breathe } from '../../base/breathe.ts';
import { badJson } from '../../matrix/errors.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import { ignoredUsersType } from '../../matrix/ignored-users.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { MembershipStep } from '../../storage/contract/presence.ts';
import { listServers } from '../core/audience.ts';
import { createFacts, type Difference, newDifference, setJoined } from '../core/facts.ts';
import type { Hour } from '../core/hour.ts';
import type { RoomSizes } from '../core/room-sizes.ts';
import { isAudienceType, type RulesOfUsers, readIgnored } from '../core/rules.ts';
import { reaches } from '../policy.ts';
import { parseSharingConfig, sharingConfigTypes } from '../sharing-config.ts';
import { ConfigRewrites, type ConfigRewritesDeps, type RewrittenConfig } from './config-rewrites.ts';
import { type Compared, LossRows, type LossRowsDeps } from './loss-rows.ts';
import type { Move, NarrowingRows } from './narrowing-rows.ts';
import { type Choice, PendingChanges, type PendingChangesDeps } from './pending.ts';
import { RowSet } from './row-set.ts';

export interface AudienceRowsDeps extends ConfigRewritesDeps, LossRowsDeps, PendingChangesDeps {
  rules: ConfigRewritesDeps['rules'] & LossRowsDeps['rules'] & Pick<RulesOfUsers, 'preview'>;
  roster: Roster;
  sizes: RoomSizes;
  hour: Pick<Hour, 'now'>;
  narrowings: NarrowingRows;
  isLocal(userId: UserId): boolean;
}

/**
 * What must be durable together with its cause: that an audience shrank, whom a viewer lost with the last shared room, and
 * the sharing config as a join, leave or forget rewrites it. Decides on what is so now and what is about to be; writes nothing.
 */
export class AudienceRows {
  readonly #deps: AudienceRowsDeps;
  readonly #rewrites: ConfigRewrites;
  readonly #pending: PendingChanges;
  readonly #narrowings: NarrowingRows;
  readonly #losses: LossRows;

  constructor(deps: AudienceRowsDeps) {
    this.#deps = deps;
    this.#rewrites = new ConfigRewrites(deps);
    this.#pending = new PendingChanges(deps);
    this.#narrowings = deps.narrowings;
    this.#losses = new LossRows(deps);
  }

  /** The rows in place of a PUT of account data; M_BAD_JSON names the first bad entry. */
  async forAccountData(
    userId: UserId,
    roomId: RoomId | null,
    written: { readonly type: string; readonly content: JsonObject },
  ): Promise<readonly Row[]> {
    const { type, content } = written;
    const own: Row = { kind: 'account_data', userId, roomId, type, content };
    if (roomId !== null || !isAudienceType(type)) return [own];
    if (type === ignoredUsersType && !readIgnored(content)) throw badJson('ignored_users is not an object');
    const rows = new RowSet();
    const contents = new Map([[type, content]]);
    rows.add(own);
    if (sharingConfigTypes.includes(type)) {
      const parsed = parseSharingConfig(content);
      if (parsed.outcome === 'bad') throw badJson(parsed.problem);
      // The two types are one document.
      for (const other of sharingConfigTypes.filter((name) => name !== type)) {
        contents.set(other, content);
        rows.add({ kind: 'account_data', userId, roomId, type: other, content });
      }
    }
    const difference = newDifference();
    difference.rules.set(userId, this.#deps.rules.preview(userId, contents));
    const choice = this.#pending.choose(difference);
    await this.#narrowings.add(rows, userId, choice);
    this.#losses.addStrangers(rows, userId, choice);
    return rows.list();
  }

  async forMembership(steps: readonly MembershipStep[]): Promise<readonly Row[]> {
    const rows = new RowSet();
    const difference = newDifference();
    const changes = steps.filter(({ before, after }) => (before === 'join') !== (after === 'join'));
    for (const { userId, roomId, after } of changes)
      setJoined(difference, userId, { roomId, joined: after === 'join' });
    this.#addCrossings(rows, changes, difference);
    for (const step of steps) {
      if (this.#deps.isLocal(step.userId)) await this.#rewrites.add(rows, step, difference);
    }
    const choice = this.#pending.choose(difference);
    for (const [roomId, counts] of difference.counts) if (!counts) await this.#narrowings.addRoom(rows, roomId, choice);
    const newcomers: Move[] = [];
    let count = 0;
    for (const { userId, roomId, after } of changes) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (after !== 'join') await this.#addLeave(rows, { userId, roomId }, choice);
      else if (this.#deps.isLocal(userId)) await this.#narrowings.add(rows, userId, choice);
      else newcomers.push({ userId, roomId });
    }
    await this.#narrowings.addForNewcomers(rows, newcomers, choice);
    return rows.list();
  }

  /** A commit was seen: what it changed is not pending any more. */
  sawMembership(userId: UserId, roomId: RoomId): void {
    this.#pending.sawMembership(userId, roomId);
  }

  sawRules(userId: UserId): void {
    this.#pending.sawRules(userId);
  }

  /** For a user whose presence ends: everybody who could see them is told, here and there, however late they come. */
  async forDeactivation(userId: UserId): Promise<readonly Row[]> {
    const rows = new RowSet();
    rows.add({ kind: 'presence_removed', userId });
    const facts = createFacts(this.#deps.ground);
    const atMs = this.#deps.hour.now();
    let count = 0;
    const { roster, rules } = this.#deps;
    for (const viewer of [...roster.usersSharingWith(userId), ...rules.namedBy(userId)]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (viewer !== userId && this.#deps.isLocal(viewer) && reaches(userId, viewer, facts)) {
        rows.add({ kind: 'presence_loss', viewer, subject: userId, atMs });
      }
    }
    for (const server of listServers(userId, roster, facts)) {
      const held =
        this.#deps.stanceTowards(server) === 'withhold' ? undefined : this.#narrowings.findHeld(server, userId);
      if (held) rows.add(this.#narrowings.rowOf(server, userId, held));
    }
    return rows.list();
  }

  /** Losses between a user and these others that stand in no commit: the subject was first shown when the change was decided on. */
  async forMissedLosses(userId: UserId, others: Iterable<UserId>, compared: Compared): Promise<readonly Row[]> {
    const rows = new RowSet();
    let count = 0;
    for (const other of others) {
      count += 1;
      if (count % 100 === 0) await breathe();
      this.#losses.addMissed(rows, { viewer: userId, subject: other }, compared);
      this.#losses.addMissed(rows, { viewer: other, subject: userId }, compared);
    }
    return rows.list();
  }

  /** See `ConfigRewrites.repair`. */
  repair(userId: UserId, change: RewrittenConfig): JsonObject | undefined {
    return this.#rewrites.repair(userId, change);
  }

  #addCrossings(rows: RowSet, changes: readonly MembershipStep[], difference: Difference): void {
    const { roster, sizes, ground } = this.#deps;
    const growth = new Map<RoomId, number>();
    for (const { roomId, after } of changes) {
      growth.set(roomId, (growth.get(roomId) ?? 0) + (after === 'join' ? 1 : -1));
    }
    for (const [roomId, more] of growth) {
      const counts = sizes.countsWith(roomId, roster.usersIn(roomId).size + more);
      if (counts === ground.counts(roomId)) continue;
      difference.counts.set(roomId, counts);
      rows.add(sizes.factOf(roomId, counts));
    }
  }

  async #addLeave(rows: RowSet, leave: Move, choice: Choice): Promise<void> {
    const { roster, isLocal } = this.#deps;
    const { userId, roomId } = leave;
    if (isLocal(userId)) await this.#narrowings.add(rows, userId, choice, roster.serversIn(roomId));
    else await this.#narrowings.addForLeaver(rows, leave, choice);
    const others = isLocal(userId) ? roster.usersIn(roomId) : roster.localUsersIn(roomId);
    let count = 0;
    for (const other of [...others]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (other === userId) continue;
      // Also of who denied the viewer just before: since then no client may have come to be told.
      this.#losses.add(rows, { viewer: userId, subject: other }, choice);
      this.#losses.add(rows, { viewer: other, subject: userId }, choice);
    }
  }
}
