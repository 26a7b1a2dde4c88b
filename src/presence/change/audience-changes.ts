import { breathe } from '../../base/breathe.ts';
import type { Waiters } from '../../feed/feed.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import { changesMeeting, compareOnServer, listServers, losesWhole, type Moment, momentOf } from '../core/audience.ts';
import { type Copy, findGoverning, findVisible } from '../core/copies.ts';
import { type Ground, newDifference, withDifference } from '../core/facts.ts';
import { type Past, type PastChange, undoIn } from '../core/past.ts';
import { listNamed, type RulesOfUsers } from '../core/rules.ts';
import { isBlank } from '../core/shown.ts';
import type { LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { listensTo, type PolicyFacts, reaches } from '../policy.ts';
import type { ServerMarks, ViewerInboxes } from './addressees.ts';

export interface AudienceChangesDeps {
  serverName: ServerName;
  tracker: Pick<LocalSubjects, 'find'>;
  remote: Pick<RemoteSubjects, 'has' | 'isNear' | 'copiesOf' | 'dropViewers' | 'remove' | 'keep'>;
  rules: Pick<RulesOfUsers, 'namedBy'>;
  roster: Pick<
    Roster,
    | 'roomsOf'
    | 'usersIn'
    | 'localUsersIn'
    | 'serversIn'
    | 'usersOfServerIn'
    | 'serversSharingWith'
    | 'shareRoom'
    | 'isConnected'
    | 'connectedUsersIn'
  >;
  ground: Ground;
  past: Pick<Past, 'differenceBefore' | 'next'>;
  inboxes: ViewerInboxes;
  servers: Pick<ServerMarks, 'mark' | 'covers' | 'isNarrowed'>;
  waiters: Pick<Waiters, 'wake'>;
  stanceTowards: Moment['stanceTowards'];
  now(): number;
  isLocal(userId: UserId): boolean;
  /** Everybody connected who shares a room with the subject or names them, and the subject. */
  listConnected(subject: UserId): Promise<ReadonlySet<UserId>>;
  /** The subject's state changed while the fan-out was busy: who sees them may not know it yet. */
  changedLately(subject: UserId): boolean;
  /** A narrowing that no commit brought with it: facts moved between the decision and its commit. */
  narrow(destination: ServerName, subject: UserId): Promise<void>;
}

/** A change of audience whose turn has come. */
export interface AudienceJob {
  readonly change: PastChange;
  readonly number: number;
  /** The oldest change that was not handed out when this one came: what viewers were told may be as old as that. */
  readonly from: number;
}

/** How it was before the oldest change that waits. */
interface Start {
  readonly from: number;
  /** The number of changes when this was looked at. */
  readonly seen: number;
  readonly moment: Moment;
  /** By room, who was in it then and is not now. */
  readonly gone: ReadonlyMap<RoomId, readonly UserId[]>;
}

/** Whose turn it is is compared with two moments: two changes may do what neither does alone, or undo each other. */
interface Turn {
  readonly from: number;
  /** Without this change alone, and before the oldest that waited with it. */
  readonly befores: readonly Moment[];
  readonly gone: Start['gone'];
}

/** Tells of one change of audience after the other: asks the policy before and after, and addresses inboxes and marks. */
export class AudienceChanges {
  readonly #deps: AudienceChangesDeps;
  readonly #now: Moment;
  #start: Start | undefined;

  constructor(deps: AudienceChangesDeps) {
    this.#deps = deps;
    this.#now = momentOf(deps.ground, deps.stanceTowards);
  }

  async tell({ change, number, from }: AudienceJob): Promise<void> {
    const start = this.#startAt(from);
    const befores = [start.moment];
    if (from !== number) {
      const without = newDifference();
      undoIn(without, change);
      befores.push(momentOf(withDifference(this.#deps.ground, without), this.#deps.stanceTowards));
    }
    const turn: Turn = { from, befores, gone: start.gone };
    if (change.kind === 'rules') await this.#tellOfRules(change.userId, turn);
    else if (change.kind === 'membership') await this.#tellOfMembership(change, turn);
    else await this.#tellOfRoom(change.roomId, turn);
  }

  /** Made once for all changes that came at once: a large room may be joined by thousands in one commit. */
  #startAt(from: number): Start {
    const { past, ground, stanceTowards } = this.#deps;
    if (this.#start?.from === from && this.#start.seen === past.next) return this.#start;
    const difference = past.differenceBefore(from);
    const gone = new Map<RoomId, UserId[]>();
    for (const [userId, rooms] of difference.joined) {
      for (const [roomId, joined] of rooms) {
        if (!joined) continue;
        const users = gone.get(roomId);
        if (users) users.push(userId);
        else gone.set(roomId, [userId]);
      }
    }
    this.#start = { from, seen: past.next, moment: momentOf(withDifference(ground, difference), stanceTowards), gone };
    return this.#start;
  }

  async #tellOfRules(subject: UserId, turn: Turn): Promise<void> {
    await this.#compareLocal(subject, await this.#deps.listConnected(subject), turn);
    await this.#compareServers(subject, turn);
    // Whom they name, and so want to see, may have changed too. Who shares a room is seen without being wanted.
    const moments = [...turn.befores, this.#now];
    const named = new Set(moments.flatMap(({ facts }) => [...listNamed(facts.rulesOf(subject))]));
    const strangers = [...named].filter((other) => !this.#deps.roster.shareRoom(subject, other));
    await this.#compareAsViewer(subject, strangers, turn);
  }

  async #compareServers(subject: UserId, turn: Turn): Promise<void> {
    const servers = new Set<ServerName>();
    for (const { facts } of [...turn.befores, this.#now])
      for (const server of listServers(subject, this.#deps.roster, facts)) servers.add(server);
    for (const server of servers) await this.#compareServer(subject, server, turn);
  }

  /** It counts, or not any more. Also elsewhere: who was seen by a whole server because all their rooms counted is not now. */
  async #tellOfRoom(roomId: RoomId, turn: Turn): Promise<void> {
    const { roster } = this.#deps;
    for (const subject of [...roster.localUsersIn(roomId)]) {
      if (!this.#deps.tracker.find(subject)) continue;
      await this.#compareLocal(subject, [...roster.connectedUsersIn(roomId)], turn);
      await this.#compareServers(subject, turn);
    }
  }

  /** Only the pairs of the one who joined or left, with those who are in the room or left it meanwhile. */
  async #tellOfMembership({ userId, roomId }: Extract<PastChange, { kind: 'membership' }>, turn: Turn): Promise<void> {
    const { roster, isLocal, remote } = this.#deps;
    const gone = turn.gone.get(roomId) ?? [];
    const connected = [...roster.connectedUsersIn(roomId), ...gone.filter((user) => roster.isConnected(user))];
    if (isLocal(userId)) {
      await this.#compareLocal(userId, connected, turn);
      await this.#compareAsViewer(userId, [...roster.usersIn(roomId), ...gone], turn);
      for (const server of [...roster.serversIn(roomId)]) await this.#compareServer(userId, server, turn);
      return;
    }
    const ours = [...roster.localUsersIn(roomId), ...gone.filter(isLocal)];
    if (remote.has(userId)) await this.#compareRemote(userId, ours, turn);
    await this.#compareRemoteViewer(userId, ours, turn);
  }

  async #compareAsViewer(viewer: UserId, subjects: readonly UserId[], turn: Turn): Promise<void> {
    const { roster, tracker, remote, isLocal } = this.#deps;
    const isConnected = roster.isConnected(viewer);
    let count = 0;
    for (const subject of subjects) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (subject === viewer) continue;
      if (!isLocal(subject)) {
        if (remote.has(subject)) await this.#compareRemote(subject, [viewer], turn);
      } else if (isConnected && tracker.find(subject)) await this.#compareLocal(subject, [viewer], turn);
    }
  }

  async #compareLocal(subject: UserId, viewers: Iterable<UserId>, turn: Turn): Promise<void> {
    const { inboxes, tracker, waiters } = this.#deps;
    let count = 0;
    for (const viewer of viewers) {
      count += 1;
      if (count % 100 === 0) await breathe();
      const presence = tracker.find(subject);
      const inbox = inboxes.find(viewer);
      if (!presence || !inbox || viewer === subject) continue;
      const sees = reaches(subject, viewer, this.#now.facts);
      if (turn.befores.every(({ facts }) => reaches(subject, viewer, facts) === sees)) continue;
      // Nothing to say of somebody who is not there, and is known not to be.
      const isKnown = !inbox.has(subject) && !this.#deps.changedLately(subject);
      if (isBlank(presence.shown) && (sees || isKnown)) continue;
      const isNews = sees ? inbox.putUpdate(subject, presence.shown) : inbox.putLoss(subject);
      if (isNews) waiters.wake(viewer);
    }
  }

  async #compareRemote(subject: UserId, viewers: readonly UserId[], turn: Turn): Promise<void> {
    const { remote, inboxes, waiters } = this.#deps;
    const lost: UserId[] = [];
    let count = 0;
    for (const viewer of viewers) {
      count += 1;
      if (count % 100 === 0) await breathe();
      const copies = remote.copiesOf(subject);
      const { isChange, visible, isLost } = this.#compareRemotePair(copies, { subject, viewer }, turn);
      if (!isChange) continue;
      if (isLost) lost.push(viewer);
      const isTold = findGoverning(copies, { viewer, shares: true }, this.#deps.now()) !== undefined;
      const inbox = inboxes.find(viewer);
      if (!isTold || !inbox) continue;
      if (visible ? inbox.putUpdate(subject, visible.shown) : inbox.putLoss(subject)) waiters.wake(viewer);
    }
    if (remote.isNear(subject)) remote.keep(subject);
    if (lost.length === 0) return;
    // The server itself says so, and drops the copy, without waiting for the other one.
    if (this.#isOursToKeep(subject)) remote.dropViewers(subject, lost);
    else this.#endRemote(subject, turn);
  }

  /** Nobody here has anything to do with the subject any more. Whoever left at the same time has to be told before it is forgotten. */
  #endRemote(subject: UserId, turn: Turn): void {
    const { roster, remote, inboxes, waiters } = this.#deps;
    const viewers = new Set<UserId>();
    // Looked at anew: their leave may have come since this turn began, and its own turn will find nothing that was held.
    const { moment, gone } = this.#startAt(turn.from);
    for (const roomId of moment.roomsOf(subject))
      for (const viewer of [...roster.connectedUsersIn(roomId), ...(gone.get(roomId) ?? [])]) viewers.add(viewer);
    const copies = remote.copiesOf(subject);
    for (const viewer of viewers) {
      const inbox = inboxes.find(viewer);
      if (!inbox || !findGoverning(copies, { viewer, shares: true }, this.#deps.now())) continue;
      if (inbox.putLoss(subject)) waiters.wake(viewer);
    }
    remote.remove(subject);
  }

  /** Whether a viewer came to share a room with a remote subject, or to want them, or the other way round. */
  #compareRemotePair(
    copies: readonly Copy[],
    pair: { readonly subject: UserId; readonly viewer: UserId },
    { befores }: Turn,
  ): { isChange: boolean; visible: Copy | undefined; isLost: boolean } {
    const { subject, viewer } = pair;
    const { facts } = this.#now;
    const [shares, listens] = [facts.shareRoom(subject, viewer), listensTo(viewer, subject, facts)];
    const isSame = (before: PolicyFacts) =>
      before.shareRoom(subject, viewer) === shares && listensTo(viewer, subject, before) === listens;
    const visible = findVisible(copies, pair, { facts, now: this.#deps.now() });
    // What was for whoever shares a room is not for those who do not any more; older words must not speak in its place.
    const isStale = visible !== findGoverning(copies, { viewer, shares: true }, this.#deps.now());
    const hasLeft = !shares && befores.some((before) => before.facts.shareRoom(subject, viewer));
    const isLost = !listens || (hasLeft && isStale);
    return {
      isChange: !befores.every((before) => isSame(before.facts)),
      visible: isLost ? undefined : visible,
      isLost,
    };
  }

  #isOursToKeep(subject: UserId): boolean {
    const { roster, rules } = this.#deps;
    if (rules.namedBy(subject).size > 0) return true;
    return [...roster.roomsOf(subject)].some((roomId) => roster.localUsersIn(roomId).size > 0);
  }

  async #compareServer(subject: UserId, server: ServerName, turn: Turn): Promise<void> {
    const { serverName, roster } = this.#deps;
    if (server === serverName || !this.#deps.tracker.find(subject)) return;
    let [gained, lost] = [false, false];
    const gone = [...turn.gone.values()].flat().filter((user) => serverOfUser(user) === server);
    for (const before of turn.befores) {
      const compared = await compareOnServer(roster, { subject, server, gone }, { before, after: this.#now });
      gained ||= compared.gained;
      lost ||= compared.lost;
    }
    await this.#tellServer(subject, server, { gained, lost });
  }

  /** A user of another server joined or left: what they gained or lost of our users in that room. */
  async #compareRemoteViewer(viewer: UserId, subjects: readonly UserId[], turn: Turn): Promise<void> {
    const server = serverOfUser(viewer);
    const stance = this.#deps.stanceTowards(server);
    if (stance === 'withhold') return;
    let count = 0;
    for (const subject of subjects) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (!this.#deps.tracker.find(subject)) continue;
      // One who may not see takes it from all the others there.
      if (stance === 'whole_server_only') {
        await this.#compareServer(subject, server, turn);
        continue;
      }
      const after = this.#now.facts;
      const sees = reaches(subject, viewer, after);
      const isSame = turn.befores.every(
        ({ facts }) =>
          reaches(subject, viewer, facts) === sees &&
          !(sees && changesMeeting(subject, viewer, { before: facts, after })),
      );
      if (isSame) continue;
      const lost = !sees || turn.befores.some(({ facts }) => losesWhole({ subject, server }, { before: facts, after }));
      await this.#tellServer(subject, server, { gained: sees, lost });
    }
  }

  async #tellServer(
    subject: UserId,
    server: ServerName,
    { gained, lost }: { readonly gained: boolean; readonly lost: boolean },
  ): Promise<void> {
    const { servers, tracker } = this.#deps;
    if (lost && !servers.isNarrowed(server, subject)) await this.#deps.narrow(server, subject);
    const presence = tracker.find(subject);
    if (!gained || !presence || isBlank(presence.shown) || servers.covers(server, subject)) return;
    servers.mark(server, subject, { urgent: false, resend: true, lasting: presence.shown.statusMsg !== null });
  }
}
