import { breathe } from '../../base/breathe.ts';
import type { Clock } from '../../base/clock.ts';
import { badJson } from '../../matrix/errors.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import { ignoredUsersType } from '../../matrix/ignored-users.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { MembershipStep } from '../../storage/contract/presence.ts';
import { compareOnServer, listServers, losesWhole, type Moment, momentOf } from '../core/audience.ts';
import { createFacts, type Difference, type Ground, newDifference, setJoined, withDifference } from '../core/facts.ts';
import type { Hour } from '../core/hour.ts';
import type { RoomSizes } from '../core/room-sizes.ts';
import { isAudienceType, listNamed, readIgnored } from '../core/rules.ts';
import type { LocalPresence, LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { listensTo, type PolicyFacts, reaches } from '../policy.ts';
import { parseSharingConfig, sharingConfigTypes } from '../sharing-config.ts';
import type { ServerMarks } from './addressees.ts';
import { ConfigRewrites, type ConfigRewritesDeps, type RewrittenConfig } from './config-rewrites.ts';
import { PendingChanges } from './pending.ts';
import { RowSet } from './row-set.ts';

/** Clients resume from tokens this old; who was lost before that is not told any more. */
export const lossesKeptMs = 30 * 86_400_000;

export interface AudienceRowsDeps extends ConfigRewritesDeps {
  serverName: ServerName;
  tracker: Pick<LocalSubjects, 'find' | 'mayBeHeld' | 'lastActiveAtMs'>;
  remote: Pick<RemoteSubjects, 'has'>;
  roster: Roster;
  sizes: RoomSizes;
  ground: Ground;
  servers: Pick<ServerMarks, 'isMarked' | 'isNarrowed'>;
  stanceTowards: Moment['stanceTowards'];
  clock: Clock;
  hour: Pick<Hour, 'now'>;
  /** How long another server may go on showing what it was told. */
  copyExpiresMs: number;
  isLocal(userId: UserId): boolean;
}

/** What is so now, and what will be: with this change alone, and with all that is decided on but not committed yet. */
interface Choice {
  readonly before: Moment;
  readonly afters: readonly Moment[];
}

/**
 * What must be durable together with its cause: that an audience shrank, whom a viewer lost with the last shared room, and
 * the sharing config as a join, leave or forget rewrites it. Decides on what is so now and what is about to be; writes nothing.
 */
export class AudienceRows {
  readonly #deps: AudienceRowsDeps;
  readonly #rewrites: ConfigRewrites;
  readonly #pending: PendingChanges;

  constructor(deps: AudienceRowsDeps) {
    this.#deps = deps;
    this.#rewrites = new ConfigRewrites(deps);
    this.#pending = new PendingChanges(deps);
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
    const choice = this.#choiceOf(difference);
    await this.#narrow(rows, userId, choice);
    this.#addLostStrangers(rows, userId, choice);
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
    const choice = this.#choiceOf(difference);
    for (const [roomId, counts] of difference.counts) if (!counts) await this.#narrowRoom(rows, roomId, choice);
    let count = 0;
    for (const { userId, roomId, after } of changes) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (after !== 'join') await this.#addLeave(rows, { userId, roomId }, choice);
      else if (this.#deps.isLocal(userId)) await this.#narrow(rows, userId, choice);
      else await this.#narrowForNewcomer(rows, { userId, roomId }, choice);
    }
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
      const held = this.#deps.stanceTowards(server) === 'withhold' ? undefined : this.findHeld(server, userId);
      if (held) rows.add(this.narrowingRow(server, userId, held));
    }
    return rows.list();
  }

  /** See `ConfigRewrites.repair`. */
  repair(userId: UserId, change: RewrittenConfig): JsonObject | undefined {
    return this.#rewrites.repair(userId, change);
  }

  narrowingRow(destination: ServerName, subject: UserId, presence: LocalPresence): Row {
    return { kind: 'narrowing', destination, subject, lastActiveAtMs: this.#deps.tracker.lastActiveAtMs(presence) };
  }

  /** The subject's presence, if the destination may still show something of it. */
  findHeld(destination: ServerName, subject: UserId): LocalPresence | undefined {
    const { tracker, servers, copyExpiresMs } = this.#deps;
    const presence = tracker.find(subject);
    if (!presence || destination === this.#deps.serverName) return undefined;
    const isHeld = tracker.mayBeHeld(presence, copyExpiresMs) || servers.isMarked(destination, subject);
    return isHeld || servers.isNarrowed(destination, subject) ? presence : undefined;
  }

  #choiceOf(difference: Difference): Choice {
    const { ground, stanceTowards } = this.#deps;
    this.#pending.note(difference);
    const together = this.#pending.together(difference);
    const differences = together ? [difference, together] : [difference];
    return {
      before: momentOf(ground, stanceTowards),
      afters: differences.map((each) => momentOf(withDifference(ground, each), stanceTowards)),
    };
  }

  /** A narrowing for each of the servers where somebody loses sight of the subject. */
  async #narrow(rows: RowSet, subject: UserId, choice: Choice, servers?: ReadonlySet<ServerName>): Promise<void> {
    const { roster } = this.#deps;
    const { before, afters } = choice;
    for (const server of [...(servers ?? listServers(subject, roster, before.facts))]) {
      const held = this.findHeld(server, subject);
      if (!held) continue;
      for (const after of afters) {
        const { lost } = await compareOnServer(roster, { subject, server }, { before, after });
        if (lost) rows.add(this.narrowingRow(server, subject, held));
      }
      await breathe();
    }
  }

  /**
   * A room that grows too large takes everybody's sight of everybody that came from it; and of servers that are not in it, that
   * they saw with all their users to come: such a one may join this room.
   */
  async #narrowRoom(rows: RowSet, roomId: RoomId, choice: Choice): Promise<void> {
    const { roster } = this.#deps;
    for (const subject of [...roster.localUsersIn(roomId)]) {
      await this.#narrow(rows, subject, choice);
    }
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

  async #addLeave(
    rows: RowSet,
    leave: { readonly userId: UserId; readonly roomId: RoomId },
    choice: Choice,
  ): Promise<void> {
    const { roster, isLocal } = this.#deps;
    const { userId, roomId } = leave;
    if (isLocal(userId)) await this.#narrow(rows, userId, choice, roster.serversIn(roomId));
    else await this.#narrowForViewer(rows, leave, choice);
    const others = isLocal(userId) ? roster.usersIn(roomId) : roster.localUsersIn(roomId);
    let count = 0;
    for (const other of [...others]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (other === userId) continue;
      // Also of who denied the viewer just before: since then no client may have come to be told.
      this.#addLoss(rows, { viewer: userId, subject: other }, choice);
      this.#addLoss(rows, { viewer: other, subject: userId }, choice);
    }
  }

  /** With a stranger who is not let in any more, or not wanted, nothing remains that would remind of them. */
  #addLostStrangers(rows: RowSet, userId: UserId, choice: Choice): void {
    const { before } = choice;
    const pairs = [
      ...[...this.#deps.rules.namedBy(userId)].map((viewer) => ({ viewer, subject: userId })),
      ...[...listNamed(before.facts.rulesOf(userId))].map((subject) => ({ viewer: userId, subject })),
    ];
    for (const pair of pairs)
      if (this.#isGiven(pair.subject, pair.viewer, before.facts)) this.#addLoss(rows, pair, choice);
  }

  /** Notes that the viewer loses the subject, unless a shared room remains or they are given them without. */
  #addLoss(rows: RowSet, pair: { readonly viewer: UserId; readonly subject: UserId }, { afters }: Choice): void {
    const { viewer, subject } = pair;
    if (viewer === subject || !this.#deps.isLocal(viewer)) return;
    const isLost = afters.some(
      ({ facts }) => !facts.shareRoom(viewer, subject) && !this.#isGiven(subject, viewer, facts),
    );
    if (!isLost || !this.#isRemembered(subject)) return;
    rows.add({ kind: 'presence_loss', viewer, subject, atMs: this.#deps.hour.now() });
  }

  /** Whether the viewer, one of ours, may be told of the subject. */
  #isGiven(subject: UserId, viewer: UserId, facts: PolicyFacts): boolean {
    return this.#deps.isLocal(subject) ? reaches(subject, viewer, facts) : listensTo(viewer, subject, facts);
  }

  /** Whether a client that was away may still show something of the subject. */
  #isRemembered(subject: UserId): boolean {
    const { tracker, remote, isLocal } = this.#deps;
    if (!isLocal(subject)) return remote.has(subject);
    const presence = tracker.find(subject);
    return presence !== undefined && tracker.mayBeHeld(presence, lossesKeptMs);
  }

  /** Where only whole servers are told, one who joins there and may not see takes it from all the others. */
  async #narrowForNewcomer(
    rows: RowSet,
    { userId, roomId }: { readonly userId: UserId; readonly roomId: RoomId },
    choice: Choice,
  ): Promise<void> {
    const server = serverOfUser(userId);
    if (this.#deps.stanceTowards(server) !== 'whole_server_only') return;
    for (const subject of [...this.#deps.roster.localUsersIn(roomId)])
      await this.#narrow(rows, subject, choice, new Set([server]));
  }

  /** A user of another server left: whom of ours they do not see any more. */
  async #narrowForViewer(
    rows: RowSet,
    leave: { readonly userId: UserId; readonly roomId: RoomId },
    { before, afters }: Choice,
  ): Promise<void> {
    const server = serverOfUser(leave.userId);
    if (this.#deps.stanceTowards(server) === 'withhold') return;
    let count = 0;
    for (const subject of [...this.#deps.roster.localUsersIn(leave.roomId)]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      const held = this.findHeld(server, subject);
      if (!held || !reaches(subject, leave.userId, before.facts)) continue;
      const pair = { subject, server };
      const isLost = ({ facts }: Moment) =>
        !reaches(subject, leave.userId, facts) || losesWhole(pair, { before: before.facts, after: facts });
      if (afters.some(isLost)) rows.add(this.narrowingRow(server, subject, held));
    }
  }
}
