import { breathe } from '../../base/breathe.ts';
import type { Clock } from '../../base/clock.ts';
import { compareByCodePoint } from '../../base/json/canonical-json.ts';
import { transactionEdusMax } from '../../matrix/edu.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { PresencePush } from '../../matrix/presence.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import { isWithheld, listCandidates, type Moment } from '../core/audience.ts';
import { isBlank, isSameShown, type Shown, shownOffline } from '../core/shown.ts';
import type { LocalPresence, LocalSubjects } from '../core/subjects.ts';
import { reaches, sharesWithWholeServer } from '../policy.ts';
import type { Destination, Progress } from './destination.ts';
import { announcementEntry, EduPacker, narrowingEntry, updateEntries, type WireAudience } from './wire.ts';

/** All that a transaction says of one subject: what takes back, directly followed by the chunks of what is so now. */
export interface Group {
  readonly subject: UserId;
  readonly version: number | undefined;
  readonly generation: number | undefined;
  readonly entries: readonly PresencePush[];
  /** What the destination holds when it has taken all of it; undefined: nothing. */
  readonly held: { readonly whole: boolean; readonly shown: Shown } | undefined;
  readonly shown: Shown;
}

/** What one transaction carries; `progress`: a subject who is larger than that, and has had a part of it. */
export interface Built {
  readonly packer: EduPacker;
  readonly done: Group[];
  progress: Progress | undefined;
  /** Some entry has `allowed_recipients`, by which the destination learns that we know it. */
  hasField: boolean;
}

export interface ParcelBuilderDeps {
  tracker: Pick<LocalSubjects, 'find'>;
  roster: Pick<Roster, 'roomsOf' | 'usersOfServerIn'>;
  /** What is so whenever it is asked. */
  now: Moment;
  clock: Clock;
  /** Whether updates are sent at all; what is held elsewhere is taken back in any case. */
  isOpen(): boolean;
  /** Whether the destination is owed the field where it could be left out. */
  isAnnouncementDue(destination: ServerName): boolean;
}

/** Says to one destination what is true of its marked subjects now. */
export class ParcelBuilder {
  readonly #deps: ParcelBuilderDeps;

  constructor(deps: ParcelBuilderDeps) {
    this.#deps = deps;
  }

  /** Subjects in turn, as many as fit into `max` EDUs. */
  async build(destination: ServerName, entry: Destination, max: number): Promise<Built> {
    const built: Built = { packer: new EduPacker(max), done: [], progress: undefined, hasField: false };
    const subjects = new Set([
      ...(entry.progress ? [entry.progress.subject] : []),
      ...entry.narrowings.keys(),
      ...entry.marks.keys(),
    ]);
    let count = 0;
    for (const subject of subjects) {
      // Before the first one, too: hundreds of servers may be sent to at once, each of them little.
      if (count % 20 === 0) await breathe();
      count += 1;
      const announce = !built.hasField && this.#deps.isAnnouncementDue(destination);
      const group = await this.#groupOf(destination, entry, { subject, announce });
      if (built.packer.add(group.entries)) {
        built.done.push(group);
        built.hasField ||= group.entries.some((push) => push.allowed_recipients !== undefined);
        continue;
      }
      // Larger than any transaction: only such a group is ever torn apart. Others wait for the next one.
      if (EduPacker.countEdus(group.entries) > transactionEdusMax && built.done.length === 0)
        this.#addPart(built, group);
      break;
    }
    await this.#addAnnouncement(destination, entry, built);
    return built;
  }

  /** The first that carries the field is enough. */
  async #addAnnouncement(destination: ServerName, entry: Destination, built: Built): Promise<void> {
    const subject = entry.announce;
    if (subject === undefined || built.hasField) return;
    const pair = { subject, server: destination };
    const candidates = await listCandidates(this.#deps.roster, pair, [this.#deps.now]);
    const isTold = this.#deps.isOpen() && candidates.size > 0;
    if (!isTold || !(await isWithheld(pair, this.#deps.now, candidates))) {
      entry.announce = undefined;
      return;
    }
    if (built.packer.add([announcementEntry(subject, destination)])) built.hasField = true;
  }

  #addPart(built: Built, group: Group): void {
    let last: string | undefined;
    for (const entry of group.entries) {
      if (!built.packer.add([entry])) break;
      last = entry.allowed_recipients?.at(-1) ?? last;
    }
    built.hasField ||= last !== undefined;
    if (last === undefined || last.startsWith('@*:')) return;
    const { subject, shown, generation, version } = group;
    built.progress = { subject, shown, generation, version: version ?? 0, sentUpTo: last };
  }

  async #groupOf(
    destination: ServerName,
    entry: Destination,
    { subject, announce }: { readonly subject: UserId; readonly announce: boolean },
  ): Promise<Group> {
    const mark = entry.marks.get(subject);
    const narrowing = entry.narrowings.get(subject);
    const presence = this.#deps.tracker.find(subject);
    const shown = presence?.shown ?? shownOffline;
    const base = { subject, version: mark?.version, generation: narrowing?.generation, shown };
    const audience = await this.#audienceOf(destination, subject, announce && !narrowing);
    const held = entry.held.get(subject);
    const isKnown = held?.shown && isSameShown(held.shown, shown) && !mark?.resend && !narrowing;
    const update =
      audience && presence && !isKnown
        ? updateEntries(
            subject,
            { shown, lastActiveAgoMs: this.#ago(presence) },
            this.#remaining(entry, base, audience),
          )
        : [];
    const isContinued = this.#continues(entry, base);
    const taken = narrowing && !isContinued ? [this.#takingBack(destination, subject, narrowing.lastActiveAtMs)] : [];
    const isHeld = audience !== undefined && !isBlank(shown);
    return {
      ...base,
      entries: [...taken, ...update],
      held: isHeld ? { whole: audience.kind === 'everybody', shown } : undefined,
    };
  }

  /** Undefined: nobody there, so there is nothing to say. */
  async #audienceOf(destination: ServerName, subject: UserId, announce: boolean): Promise<WireAudience | undefined> {
    if (!this.#deps.isOpen()) return undefined;
    const { roster, now } = this.#deps;
    const { facts } = now;
    const pair = { subject, server: destination };
    const candidates = await listCandidates(roster, pair, [now]);
    if (candidates.size === 0 || (await isWithheld(pair, now, candidates))) return undefined;
    if (sharesWithWholeServer(subject, destination, facts))
      return announce ? { kind: 'everybody', announcedTo: destination } : { kind: 'everybody' };
    const users: UserId[] = [];
    let count = 0;
    for (const viewer of candidates) {
      count += 1;
      if (count % 100 === 0) await breathe();
      if (reaches(subject, viewer, facts)) users.push(viewer);
    }
    const [first, ...rest] = users.sort(compareByCodePoint);
    return first === undefined ? undefined : { kind: 'named', users: [first, ...rest] };
  }

  #continues(entry: Destination, group: Pick<Group, 'subject' | 'shown' | 'generation' | 'version'>): boolean {
    const { progress } = entry;
    return (
      progress !== undefined &&
      progress.subject === group.subject &&
      progress.version === (group.version ?? 0) &&
      progress.generation === group.generation &&
      progress.shown === group.shown
    );
  }

  #remaining(
    entry: Destination,
    group: Pick<Group, 'subject' | 'shown' | 'generation' | 'version'>,
    audience: WireAudience,
  ): WireAudience {
    const { progress } = entry;
    if (audience.kind === 'everybody' || !progress || !this.#continues(entry, group)) return audience;
    const [first, ...rest] = audience.users.filter((user) => compareByCodePoint(user, progress.sentUpTo) > 0);
    // Everybody who is left has gone meanwhile: the last one is told once more, which ends the series.
    if (first === undefined) return { kind: 'named', users: [audience.users.at(-1) ?? audience.users[0]] };
    return { kind: 'named', users: [first, ...rest] };
  }

  #takingBack(destination: ServerName, subject: UserId, lastActiveAtMs: number): PresencePush {
    const agoMs = lastActiveAtMs === 0 ? null : Math.max(0, Math.round(this.#deps.clock.now() - lastActiveAtMs));
    return narrowingEntry(subject, destination, agoMs);
  }

  #ago(presence: LocalPresence | undefined): number | null {
    if (!presence || presence.activeAt === null) return null;
    return Math.max(0, Math.round(this.#deps.clock.monotonic() - presence.activeAt));
  }
}
