import { breathe } from '../../base/breathe.ts';
import type { Waiters } from '../../feed/feed.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import { type Copy, findGoverning, findVisible } from '../core/copies.ts';
import type { RulesOfUsers } from '../core/rules.ts';
import type { RemoteSubjects } from '../core/subjects.ts';
import { listensTo, type PolicyFacts } from '../policy.ts';
import type { ViewerInboxes } from './addressees.ts';
import type { Turn, Turns } from './turn.ts';

export interface RemoteAudienceDeps {
  remote: Pick<RemoteSubjects, 'isNear' | 'copiesOf' | 'dropViewers' | 'remove' | 'keep' | 'letGo'>;
  rules: Pick<RulesOfUsers, 'namedBy'>;
  roster: Pick<Roster, 'roomsOf' | 'localUsersIn' | 'connectedUsersIn'>;
  inboxes: ViewerInboxes;
  waiters: Pick<Waiters, 'wake'>;
  turns: Pick<Turns, 'startAt'>;
  /** What is so whenever it is asked. */
  facts: PolicyFacts;
  now(): number;
}

interface Pair {
  readonly subject: UserId;
  readonly viewer: UserId;
}

/** What a change does to a pair of a remote subject and a viewer of ours. */
interface Compared {
  readonly isChange: boolean;
  /** What the viewer sees now. */
  readonly visible: Copy | undefined;
  /** The viewer saw something until now. */
  readonly wasShown: boolean;
  /** The viewer may be given nothing of the subject any more. */
  readonly isLost: boolean;
  /** The last shared room is gone: what was held for the viewer is not theirs any more, also if they come back. */
  readonly hasLeft: boolean;
}

/**
 * Who of ours sees a subject of another server, after a change here: "our server itself gives the viewer one last `offline` and drops
 * the copy, without waiting for the other server".
 */
export class RemoteAudience {
  readonly #deps: RemoteAudienceDeps;

  constructor(deps: RemoteAudienceDeps) {
    this.#deps = deps;
  }

  async compare(subject: UserId, viewers: readonly UserId[], turn: Turn): Promise<void> {
    const { remote, inboxes, waiters } = this.#deps;
    const left: UserId[] = [];
    let isAnyLost = false;
    let count = 0;
    for (const viewer of viewers) {
      count += 1;
      if (count % 100 === 0) await breathe();
      const { isChange, visible, wasShown, isLost, hasLeft } = this.#comparePair({ subject, viewer }, turn);
      if (!isChange) continue;
      isAnyLost ||= isLost;
      if (isLost && hasLeft) left.push(viewer);
      const inbox = inboxes.find(viewer);
      if (!inbox) continue;
      const isNews = visible ? inbox.putUpdate(subject, visible.shown) : wasShown && inbox.putLoss(subject);
      if (isNews) waiters.wake(viewer);
    }
    if (remote.isNear(subject)) remote.keep(subject);
    if (!isAnyLost) return;
    if (this.#concernsUs(subject)) remote.dropViewers(subject, left);
    else if (left.length > 0) this.#end(subject, turn);
    else remote.letGo(subject);
  }

  /** Whether they came to share a room, or the viewer to want the subject, or the other way round. */
  #comparePair(pair: Pair, { befores }: Turn): Compared {
    const { subject, viewer } = pair;
    const { facts, remote } = this.#deps;
    const now = this.#deps.now();
    const copies = remote.copiesOf(subject);
    const [shares, listens] = [facts.shareRoom(subject, viewer), listensTo(viewer, subject, facts)];
    const isSame = (before: PolicyFacts) =>
      before.shareRoom(subject, viewer) === shares && listensTo(viewer, subject, before) === listens;
    const visible = findVisible(copies, pair, { facts, now });
    // What was for whoever shares a room is not for those who do not any more; older words must not speak in its place.
    const isStale = visible !== findGoverning(copies, { viewer, shares: true }, now);
    const hasLeft = !shares && befores.some((before) => before.facts.shareRoom(subject, viewer));
    const isLost = !listens || (hasLeft && isStale);
    return {
      isChange: !befores.every((before) => isSame(before.facts)),
      visible: isLost ? undefined : visible,
      // A wish for somebody tells nobody whether others here are shown them.
      wasShown: befores.some((before) => findVisible(copies, pair, { facts: before.facts, now }) !== undefined),
      isLost,
      hasLeft,
    };
  }

  /** Somebody of ours shares a room with the subject, or names them. */
  #concernsUs(subject: UserId): boolean {
    const { roster, rules } = this.#deps;
    if (rules.namedBy(subject).size > 0) return true;
    return [...roster.roomsOf(subject)].some((roomId) => roster.localUsersIn(roomId).size > 0);
  }

  /** Nobody here has anything to do with the subject any more. Whoever left at the same time has to be told before it is forgotten. */
  #end(subject: UserId, turn: Turn): void {
    const { roster, remote, inboxes, waiters, turns } = this.#deps;
    const viewers = new Set<UserId>();
    // Looked at anew: their leave may have come since this turn began, and its own turn will find nothing that was held.
    const { moment, gone } = turns.startAt(turn.from);
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
}
