import { breathe } from '../../base/breathe.ts';
import type { Clock, Timer } from '../../base/clock.ts';
import type { Background } from '../../base/tasks/background.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import { isWithheld, listCandidates, listServers, type Moment } from '../core/audience.ts';
import type { LocalSubjects } from '../core/subjects.ts';

const announceEveryMs = 86_400_000;
/** How often it is looked for servers that are owed an announcement which no update brings. */
const lookEveryMs = 1_800_000;

export interface AnnouncementsDeps {
  serverName: ServerName;
  tracker: Pick<LocalSubjects, 'subjects'>;
  roster: Pick<Roster, 'serversSharingWith' | 'usersOfServerIn'>;
  now: Moment;
  clock: Clock;
  background: Background;
  /** Whether anything is withheld from servers that are not known to be aware. */
  isRestrictive: boolean;
  /** The destination is to get an `offline` of this subject, of whom it gets nothing else. */
  announce(destination: ServerName, subject: UserId): void;
}

/**
 * That we know `allowed_recipients`, which others learn from its use: once after a start, and then daily. Where updates are withheld
 * from servers that never used it themselves, two such servers would wait for one another for ever; so there it does not
 * depend on an update.
 */
export class Announcements {
  readonly #deps: AnnouncementsDeps;
  /** When the destination last took an entry with the field, monotonic. */
  readonly #carriedAt = new Map<ServerName, number>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: AnnouncementsDeps) {
    this.#deps = deps;
  }

  start(): void {
    if (this.#deps.isRestrictive) this.#deps.background.run('announce to other servers', () => this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.clear();
  }

  /** Whether the next update that could do without the field is to carry it. */
  isDue(destination: ServerName): boolean {
    return this.#isOlderThan(destination, announceEveryMs);
  }

  carried(destination: ServerName): void {
    this.#carriedAt.set(destination, this.#deps.clock.monotonic());
  }

  #isOlderThan(destination: ServerName, ageMs: number): boolean {
    const carriedAt = this.#carriedAt.get(destination) ?? Number.NEGATIVE_INFINITY;
    return this.#deps.clock.monotonic() - carriedAt >= ageMs;
  }

  async #look(): Promise<void> {
    const { tracker, roster, now, clock, background } = this.#deps;
    // Those who are as good as unknown again need not be remembered.
    for (const server of this.#carriedAt.keys()) if (this.isDue(server)) this.#carriedAt.delete(server);
    const found = new Set<ServerName>();
    for (const subject of [...tracker.subjects()]) {
      await breathe();
      for (const server of listServers(subject, roster, now.facts)) {
        if (found.has(server) || !(await this.#isOwed(server, subject))) continue;
        found.add(server);
        this.#deps.announce(server, subject);
      }
    }
    if (this.#stopped) return;
    this.#timer = clock.setTimer(lookEveryMs, () => background.run('announce to other servers', () => this.#look()));
  }

  async #isOwed(server: ServerName, subject: UserId): Promise<boolean> {
    const { serverName, roster, now } = this.#deps;
    if (server === serverName || now.stanceTowards(server) === 'send') return false;
    if (!this.#isOlderThan(server, announceEveryMs - lookEveryMs)) return false;
    const pair = { subject, server };
    const candidates = await listCandidates(roster, pair, [now]);
    return candidates.size > 0 && isWithheld(pair, now, candidates);
  }
}
