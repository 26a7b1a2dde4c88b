import { breathe } from '../../base/breathe.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import { changesMeeting, compareOnServer, listServers, losesWhole, type Moment, momentOf } from '../core/audience.ts';
import type { Past, PastChange } from '../core/past.ts';
import { listNamed } from '../core/rules.ts';
import { isBlank } from '../core/shown.ts';
import type { LocalSubjects, RemoteSubjects } from '../core/subjects.ts';
import { reaches } from '../policy.ts';
import type { ServerMarks } from './addressees.ts';
import type { Compared } from './loss-rows.ts';
import { RemoteAudience, type RemoteAudienceDeps } from './remote-audience.ts';
import { type AudienceJob, type Turn, Turns, type TurnsDeps } from './turn.ts';

export interface AudienceChangesDeps extends TurnsDeps, Omit<RemoteAudienceDeps, 'turns' | 'facts'> {
  serverName: ServerName;
  tracker: Pick<LocalSubjects, 'find'>;
  remote: RemoteAudienceDeps['remote'] & Pick<RemoteSubjects, 'has'>;
  roster: RemoteAudienceDeps['roster'] &
    Pick<Roster, 'usersIn' | 'serversIn' | 'usersOfServerIn' | 'serversSharingWith' | 'shareRoom' | 'isConnected'>;
  past: TurnsDeps['past'] & Pick<Past, 'hasLeftSince'>;
  servers: Pick<ServerMarks, 'mark' | 'covers' | 'isNarrowedSince'>;
  /** How long another server may go by what it was told. */
  copyExpiresMs: number;
  isLocal(userId: UserId): boolean;
  /** Everybody connected who shares a room with the subject or names them, and the subject. */
  listConnected(subject: UserId): Promise<ReadonlySet<UserId>>;
  /** The subject's state changed while the fan-out was busy: who sees them may not know it yet. */
  changedLately(subject: UserId): boolean;
  /** A narrowing that no commit brought with it: facts moved between the decision and its commit. */
  narrow(destination: ServerName, subject: UserId): Promise<void>;
  /** Likewise losses between the user and these others. */
  lose(userId: UserId, others: Iterable<UserId>, compared: Compared): Promise<void>;
}

interface ServerTurn extends Turn {
  /**
   * The one who comes left a room not long ago. What their server was told since may have been there before it knew of that leave, and then it dropped
   * what it held for those who left.
   */
  readonly isBack?: boolean;
}

/** Tells of one change of audience after the other: asks the policy before and after, and addresses inboxes and marks. */
export class AudienceChanges {
  readonly #deps: AudienceChangesDeps;
  readonly #now: Moment;
  readonly #turns: Turns;
  readonly #remote: RemoteAudience;

  constructor(deps: AudienceChangesDeps) {
    this.#deps = deps;
    this.#now = momentOf(deps.ground, deps.stanceTowards);
    this.#turns = new Turns(deps);
    this.#remote = new RemoteAudience({ ...deps, turns: this.#turns, facts: this.#now.facts });
  }

  async tell(job: AudienceJob): Promise<void> {
    const { change } = job;
    const turn = this.#turns.of(job);
    if (change.kind === 'rules') await this.#tellOfRules(change.userId, turn);
    else if (change.kind === 'membership') await this.#tellOfMembership(change, turn);
    else await this.#tellOfRoom(change.roomId, turn);
  }

  async #tellOfRules(subject: UserId, turn: Turn): Promise<void> {
    await this.#compareLocal(subject, await this.#deps.listConnected(subject), turn);
    await this.#compareServers(subject, turn);
    // Whom they name, and so want to see, may have changed too. Who shares a room is seen without being wanted.
    const moments = [...turn.befores, this.#now];
    const named = new Set(moments.flatMap(({ facts }) => [...listNamed(facts.rulesOf(subject))]));
    const strangers = [...named].filter((other) => !this.#deps.roster.shareRoom(subject, other));
    await this.#compareAsViewer(subject, strangers, turn);
    await this.#tellLosses(subject, [...strangers, ...this.#deps.rules.namedBy(subject)], turn);
  }

  #tellLosses(userId: UserId, others: Iterable<UserId>, { befores }: Turn): Promise<void> {
    return this.#deps.lose(userId, others, { befores, now: this.#now });
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
  async #tellOfMembership(change: Extract<PastChange, { kind: 'membership' }>, turn: Turn): Promise<void> {
    const { userId, roomId } = change;
    const { roster, isLocal, remote } = this.#deps;
    const { past, now, copyExpiresMs } = this.#deps;
    const isBack = past.hasLeftSince(userId, now() - copyExpiresMs);
    const gone = turn.gone.get(roomId) ?? [];
    const connected = [...roster.connectedUsersIn(roomId), ...gone.filter((user) => roster.isConnected(user))];
    if (change.joined) await this.#tellLosses(userId, [...roster.usersIn(roomId), ...gone], turn);
    if (isLocal(userId)) {
      await this.#compareLocal(userId, connected, turn);
      await this.#compareAsViewer(userId, [...roster.usersIn(roomId), ...gone], turn);
      for (const server of [...roster.serversIn(roomId)])
        await this.#compareServer(userId, server, { ...turn, isBack });
      return;
    }
    const ours = [...roster.localUsersIn(roomId), ...gone.filter(isLocal)];
    if (remote.has(userId)) await this.#remote.compare(userId, ours, turn);
    await this.#compareRemoteViewer(userId, ours, { ...turn, isBack });
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
        if (remote.has(subject)) await this.#remote.compare(subject, [viewer], turn);
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

  async #compareServer(subject: UserId, server: ServerName, turn: ServerTurn): Promise<void> {
    const { serverName, roster } = this.#deps;
    if (server === serverName || !this.#deps.tracker.find(subject)) return;
    let [gained, lost] = [false, false];
    const movers = [...turn.gone.values()].flat().filter((user) => serverOfUser(user) === server);
    for (const before of turn.befores) {
      const compared = await compareOnServer(roster, { subject, server, movers }, { before, after: this.#now });
      gained ||= compared.gained;
      lost ||= compared.lost;
    }
    await this.#tellServer(subject, server, { gained, lost, turn });
  }

  /** A user of another server joined or left: what they gained or lost of our users in that room. */
  async #compareRemoteViewer(viewer: UserId, subjects: readonly UserId[], turn: ServerTurn): Promise<void> {
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
      await this.#tellServer(subject, server, { gained: sees, lost, turn });
    }
  }

  async #tellServer(
    subject: UserId,
    server: ServerName,
    { gained, lost, turn }: { readonly gained: boolean; readonly lost: boolean; readonly turn: ServerTurn },
  ): Promise<void> {
    const { servers, tracker } = this.#deps;
    // One that stood before may be on its way, and then what arrives of it says what was so before this change.
    if (lost && !servers.isNarrowedSince(turn.number, server, subject)) await this.#deps.narrow(server, subject);
    const presence = tracker.find(subject);
    if (!gained || !presence || isBlank(presence.shown)) return;
    if (!turn.isBack && servers.covers(server, subject)) return;
    servers.mark(server, subject, { urgent: false, resend: true, lasting: presence.shown.statusMsg !== null });
  }
}
