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
import { compareOnServer, type Moment } from '../core/audience.ts';
import { createFacts, type Difference, type Ground, newDifference, setJoined, withDifference } from '../core/facts.ts';
import type { RoomSizes } from '../core/room-sizes.ts';
import { isAudienceType, type RulesOfUsers, readIgnored } from '../core/rules.ts';
import type { LocalPresence, LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { maySee } from '../policy.ts';
import { deniesRoom, parseSharingConfig, sharingConfigTypes, withDeniedRoom, withoutRoom } from '../sharing-config.ts';
import type { ServerMarks } from './addressees.ts';

const rewritesMax = 1_000;
/** Clients resume from tokens this old; who was lost before that is not told any more. */
export const lossesKeptMs = 30 * 86_400_000;

export interface AudienceRowsDeps {
  serverName: ServerName;
  tracker: Pick<LocalSubjects, 'find' | 'mayBeHeld' | 'lastActiveAtMs'>;
  remote: Pick<RemoteSubjects, 'has'>;
  roster: Roster;
  rules: RulesOfUsers;
  sizes: RoomSizes;
  ground: Ground;
  servers: Pick<ServerMarks, 'isMarked' | 'isNarrowed'>;
  clock: Clock;
  /** How long another server may go on showing what it was told. */
  copyExpiresMs: number;
  /** The room that this one replaces, as its create event says. */
  findPredecessor(roomId: RoomId): Promise<RoomId | undefined>;
  isLocal(userId: UserId): boolean;
}

/**
 * What must be durable together with its cause: that an audience shrank, whom a viewer lost with the last shared room, and
 * the sharing config as a join, leave or forget rewrites it. Decides on what is so now and what is about to be; writes nothing.
 */
export class AudienceRows {
  readonly #deps: AudienceRowsDeps;
  /** Configs rewritten of late, by user and type: what each was made of, and how. */
  readonly #rewrites = new Map<string, Rewrite>();

  constructor(deps: AudienceRowsDeps) {
    this.#deps = deps;
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
    await this.#narrow(rows, userId, { servers: this.#deps.roster.serversSharingWith(userId), difference });
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
      if (this.#deps.isLocal(step.userId)) await this.#rewriteConfigs(rows, step, difference);
    }
    for (const [roomId, counts] of difference.counts) if (!counts) await this.#narrowRoom(rows, roomId, difference);
    let count = 0;
    for (const { userId, roomId, after } of changes) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (after !== 'join') await this.#addLeave(rows, { userId, roomId }, difference);
      else if (this.#deps.isLocal(userId)) {
        await this.#narrow(rows, userId, { servers: this.#deps.roster.serversSharingWith(userId), difference });
      }
    }
    return rows.list();
  }

  /** Everything that other servers hold of this user beyond what the difference leaves them. */
  async forDifference(userId: UserId, difference: Difference): Promise<readonly Row[]> {
    const rows = new RowSet();
    await this.#narrow(rows, userId, { servers: this.#deps.roster.serversSharingWith(userId), difference });
    return rows.list();
  }

  /** For a user whose presence ends: whoever shared a room and could see them is told, however late they come. */
  async forDeactivation(userId: UserId): Promise<readonly Row[]> {
    const rows = new RowSet();
    rows.add({ kind: 'presence_removed', userId });
    const facts = createFacts(this.#deps.ground);
    const atMs = this.#deps.clock.now();
    let count = 0;
    for (const viewer of this.#deps.roster.usersSharingWith(userId)) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (this.#deps.isLocal(viewer) && maySee(userId, viewer, facts)) {
        rows.add({ kind: 'presence_loss', viewer, subject: userId, atMs });
      }
    }
    return rows.list();
  }

  /**
   * A rewritten config was committed. Undefined if it replaced what it was made of; else the owner's PUT came in between,
   * and this is what has to be stored: that PUT, rewritten.
   */
  repair(
    userId: UserId,
    change: { type: string; before: JsonObject | null; content: JsonObject },
  ): JsonObject | undefined {
    const key = JSON.stringify([userId, change.type]);
    const rewrite = this.#rewrites.get(key);
    if (!rewrite || !isSameJson(rewrite.content, change.content)) return undefined;
    this.#rewrites.delete(key);
    if (change.before === null || isSameJson(rewrite.base, change.before)) return undefined;
    return rewrite.apply(change.before) ?? change.before;
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
    change: { readonly servers: Iterable<ServerName>; readonly difference: Difference },
  ): Promise<void> {
    const before = momentOf(this.#deps.ground);
    const after = momentOf(withDifference(this.#deps.ground, change.difference));
    for (const server of [...change.servers]) {
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
      await this.#narrow(rows, subject, { servers: roster.serversSharingWith(subject), difference });
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
      await this.#narrow(rows, userId, { servers: roster.serversIn(roomId), difference });
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
        if (!isLocal(viewer) || !this.#isRemembered(subject)) continue;
        rows.add({ kind: 'presence_loss', viewer, subject, atMs: this.#deps.clock.now() });
      }
    }
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
      if (!held || !maySee(subject, leave.userId, before) || maySee(subject, leave.userId, after)) continue;
      rows.add(this.narrowingRow(server, subject, held));
    }
  }

  async #rewriteConfigs(rows: RowSet, step: MembershipStep, difference: Difference): Promise<void> {
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

interface Rewrite {
  readonly base: JsonObject;
  readonly content: JsonObject;
  apply(config: JsonObject): JsonObject | undefined;
}

function isSameJson(a: JsonObject, b: JsonObject): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function isRoomEntry(entry: unknown): boolean {
  return typeof entry === 'string' && entry.startsWith('!');
}

function momentOf(ground: Ground): Moment {
  return { facts: createFacts(ground), roomsOf: (user) => ground.roomsOf(user) };
}

/** Rows by what they are about: each thing once, the last word on it. */
class RowSet {
  readonly #rows = new Map<string, Row>();

  add(row: Row): void {
    this.#rows.set(keyOf(row), row);
  }

  findAccountData(userId: UserId, type: string): JsonObject | undefined {
    const row = this.#rows.get(JSON.stringify(['account_data', userId, null, type]));
    return row?.kind === 'account_data' ? row.content : undefined;
  }

  list(): readonly Row[] {
    return [...this.#rows.values()];
  }
}

function keyOf(row: Row): string {
  if (row.kind === 'account_data') return JSON.stringify([row.kind, row.userId, row.roomId, row.type]);
  if (row.kind === 'narrowing') return JSON.stringify([row.kind, row.destination, row.subject]);
  if (row.kind === 'presence_loss') return JSON.stringify([row.kind, row.viewer, row.subject]);
  if (row.kind === 'presence_fact') return JSON.stringify([row.kind, row.name]);
  return JSON.stringify([row.kind]);
}
