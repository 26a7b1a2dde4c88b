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
import { compareOnServer, listServers, momentOf } from '../core/audience.ts';
import { createFacts, type Difference, type Ground, newDifference, setJoined, withDifference } from '../core/facts.ts';
import type { RoomSizes } from '../core/room-sizes.ts';
import { isAudienceType, listNamed, readIgnored } from '../core/rules.ts';
import type { LocalPresence, LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { listensTo, type PolicyFacts, reaches } from '../policy.ts';
import { parseSharingConfig, sharingConfigTypes } from '../sharing-config.ts';
import type { ServerMarks } from './addressees.ts';
import { ConfigRewrites, type ConfigRewritesDeps, type RewrittenConfig } from './config-rewrites.ts';
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
  clock: Clock;
  /** How long another server may go on showing what it was told. */
  copyExpiresMs: number;
  isLocal(userId: UserId): boolean;
}

/**
 * What must be durable together with its cause: that an audience shrank, whom a viewer lost with the last shared room, and
 * the sharing config as a join, leave or forget rewrites it. Decides on what is so now and what is about to be; writes nothing.
 */
export class AudienceRows {
  readonly #deps: AudienceRowsDeps;
  readonly #rewrites: ConfigRewrites;

  constructor(deps: AudienceRowsDeps) {
    this.#deps = deps;
    this.#rewrites = new ConfigRewrites(deps);
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
    await this.#narrow(rows, userId, difference);
    this.#addLostStrangers(rows, userId, difference);
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
    for (const [roomId, counts] of difference.counts) if (!counts) await this.#narrowRoom(rows, roomId, difference);
    let count = 0;
    for (const { userId, roomId, after } of changes) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (after !== 'join') await this.#addLeave(rows, { userId, roomId }, difference);
      else if (this.#deps.isLocal(userId)) {
        await this.#narrow(rows, userId, difference);
      }
    }
    return rows.list();
  }

  /** Everything that other servers hold of this user beyond what the difference leaves them. */
  async forDifference(userId: UserId, difference: Difference): Promise<readonly Row[]> {
    const rows = new RowSet();
    await this.#narrow(rows, userId, difference);
    return rows.list();
  }

  /** For a user whose presence ends: whoever shared a room and could see them is told, however late they come. */
  async forDeactivation(userId: UserId): Promise<readonly Row[]> {
    const rows = new RowSet();
    rows.add({ kind: 'presence_removed', userId });
    const facts = createFacts(this.#deps.ground);
    const atMs = this.#deps.clock.now();
    let count = 0;
    const { roster, rules } = this.#deps;
    for (const viewer of [...roster.usersSharingWith(userId), ...rules.namedBy(userId)]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (viewer !== userId && this.#deps.isLocal(viewer) && reaches(userId, viewer, facts)) {
        rows.add({ kind: 'presence_loss', viewer, subject: userId, atMs });
      }
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

  /** A narrowing for each of the servers where somebody loses sight of the subject. */
  async #narrow(
    rows: RowSet,
    subject: UserId,
    difference: Difference,
    servers?: ReadonlySet<ServerName>,
  ): Promise<void> {
    const before = momentOf(this.#deps.ground);
    const after = momentOf(withDifference(this.#deps.ground, difference));
    for (const server of [...(servers ?? listServers(subject, this.#deps.roster, before.facts))]) {
      const held = this.findHeld(server, subject);
      if (!held) continue;
      const { lost } = await compareOnServer(this.#deps.roster, { subject, server }, { before, after });
      if (lost) rows.add(this.narrowingRow(server, subject, held));
      await breathe();
    }
  }

  /**
   * A room that grows too large takes everybody's sight of everybody that came from it; and of servers that are not in it, that
   * they saw with all their users to come: such a one may join this room.
   */
  async #narrowRoom(rows: RowSet, roomId: RoomId, difference: Difference): Promise<void> {
    const { roster } = this.#deps;
    for (const subject of [...roster.localUsersIn(roomId)]) {
      await this.#narrow(rows, subject, difference);
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
    difference: Difference,
  ): Promise<void> {
    const { roster, isLocal, ground } = this.#deps;
    const { userId, roomId } = leave;
    if (isLocal(userId)) {
      await this.#narrow(rows, userId, difference, roster.serversIn(roomId));
    } else {
      await this.#narrowForViewer(rows, leave, difference);
    }
    const after = createFacts(withDifference(ground, difference));
    const others = isLocal(userId) ? roster.usersIn(roomId) : roster.localUsersIn(roomId);
    let count = 0;
    for (const other of [...others]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (other === userId || after.shareRoom(userId, other)) continue;
      for (const [viewer, subject] of [
        [userId, other],
        [other, userId],
      ] as const) {
        // Also of who denied the viewer just before: since then no client may have come to be told.
        if (!isLocal(viewer) || !this.#isRemembered(subject) || this.#isGiven(subject, viewer, after)) continue;
        rows.add({ kind: 'presence_loss', viewer, subject, atMs: this.#deps.clock.now() });
      }
    }
  }

  /** With a stranger who is not let in any more, or not wanted, nothing remains that would remind of them. */
  #addLostStrangers(rows: RowSet, userId: UserId, difference: Difference): void {
    const { ground, rules, roster, clock } = this.#deps;
    const before = createFacts(ground);
    const after = createFacts(withDifference(ground, difference));
    const pairs = [
      ...[...rules.namedBy(userId)].map((viewer) => ({ viewer, subject: userId })),
      ...[...listNamed(before.rulesOf(userId))].map((subject) => ({ viewer: userId, subject })),
    ];
    for (const { viewer, subject } of pairs) {
      if (viewer === subject || roster.shareRoom(viewer, subject)) continue;
      if (!this.#isGiven(subject, viewer, before) || this.#isGiven(subject, viewer, after)) continue;
      if (this.#isRemembered(subject)) rows.add({ kind: 'presence_loss', viewer, subject, atMs: clock.now() });
    }
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

  /** A user of another server left: whom of ours they do not see any more. */
  async #narrowForViewer(
    rows: RowSet,
    leave: { readonly userId: UserId; readonly roomId: RoomId },
    difference: Difference,
  ): Promise<void> {
    const server = serverOfUser(leave.userId);
    const before = createFacts(this.#deps.ground);
    const after = createFacts(withDifference(this.#deps.ground, difference));
    let count = 0;
    for (const subject of [...this.#deps.roster.localUsersIn(leave.roomId)]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      const held = this.findHeld(server, subject);
      if (!held || !reaches(subject, leave.userId, before) || reaches(subject, leave.userId, after)) continue;
      rows.add(this.narrowingRow(server, subject, held));
    }
  }
}
