import { breathe } from '../../base/breathe.ts';
import { type RoomId, serverOfUser, type UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import { compareOnServer, listServers, losesWhole, type Moment } from '../core/audience.ts';
import type { LocalPresence, LocalSubjects } from '../core/subjects.ts';
import { reaches } from '../policy.ts';
import type { ServerMarks } from './addressees.ts';
import type { Choice } from './pending.ts';
import type { RowSet } from './row-set.ts';

export interface NarrowingRowsDeps {
  serverName: ServerName;
  tracker: Pick<LocalSubjects, 'find' | 'mayBeHeld' | 'lastActiveAtMs'>;
  roster: Pick<Roster, 'localUsersIn' | 'usersOfServerIn' | 'serversSharingWith'>;
  servers: Pick<ServerMarks, 'isMarked' | 'isNarrowed'>;
  stanceTowards: Moment['stanceTowards'];
  /** How long another server may go on showing what it was told. */
  copyExpiresMs: number;
  isLocal(userId: UserId): boolean;
}

/** That a user comes into a room, or leaves it. */
export interface Move {
  readonly userId: UserId;
  readonly roomId: RoomId;
}

/** What other servers may hold of our users, and which rows take it back when an audience there shrinks. */
export class NarrowingRows {
  readonly #deps: NarrowingRowsDeps;

  constructor(deps: NarrowingRowsDeps) {
    this.#deps = deps;
  }

  rowOf(destination: ServerName, subject: UserId, presence: LocalPresence): Row {
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

  /** One for each of the servers where somebody loses sight of the subject. */
  async add(rows: RowSet, subject: UserId, choice: Choice, servers?: ReadonlySet<ServerName>): Promise<void> {
    const { roster } = this.#deps;
    const { before, afters } = choice;
    for (const server of [...(servers ?? listServers(subject, roster, before.facts))]) {
      const held = this.findHeld(server, subject);
      if (!held) continue;
      // Who comes is not on the roster yet.
      const movers = choice.movers.filter((user) => serverOfUser(user) === server);
      for (const after of afters) {
        const { lost } = await compareOnServer(roster, { subject, server, movers }, { before, after });
        if (lost) rows.add(this.rowOf(server, subject, held));
      }
      await breathe();
    }
  }

  /**
   * A room that grows too large takes everybody's sight of everybody that came from it; and of servers that are not in it, that
   * they saw with all their users to come: such a one may join this room.
   */
  async addRoom(rows: RowSet, roomId: RoomId, choice: Choice): Promise<void> {
    for (const subject of [...this.#deps.roster.localUsersIn(roomId)]) await this.add(rows, subject, choice);
  }

  /** Where only whole servers are told, one who joins there and may not see takes it from all the others. */
  async addForNewcomers(rows: RowSet, newcomers: readonly Move[], choice: Choice): Promise<void> {
    const { stanceTowards, roster, isLocal } = this.#deps;
    const serversByRoom = new Map<RoomId, Set<ServerName>>();
    for (const { userId, roomId } of newcomers) {
      const server = serverOfUser(userId);
      if (stanceTowards(server) !== 'whole_server_only') continue;
      const servers = serversByRoom.get(roomId);
      if (servers) servers.add(server);
      else serversByRoom.set(roomId, new Set([server]));
    }
    const movers = choice.movers.filter(isLocal);
    for (const [roomId, servers] of serversByRoom) {
      const comeToo = movers.filter((user) => choice.afters.some(({ roomsOf }) => roomsOf(user).has(roomId)));
      for (const subject of new Set([...roster.localUsersIn(roomId), ...comeToo]))
        await this.add(rows, subject, choice, servers);
    }
  }

  /** A user of another server left: whom of ours they do not see any more. */
  async addForLeaver(rows: RowSet, { userId, roomId }: Move, { before, afters }: Choice): Promise<void> {
    const server = serverOfUser(userId);
    if (this.#deps.stanceTowards(server) === 'withhold') return;
    let count = 0;
    for (const subject of [...this.#deps.roster.localUsersIn(roomId)]) {
      count += 1;
      if (count % 100 === 0) await breathe();
      const held = this.findHeld(server, subject);
      if (!held || !reaches(subject, userId, before.facts)) continue;
      const pair = { subject, server };
      const isLost = ({ facts }: Moment) =>
        !reaches(subject, userId, facts) || losesWhole(pair, { before: before.facts, after: facts });
      if (afters.some(isLost)) rows.add(this.rowOf(server, subject, held));
    }
  }
}
