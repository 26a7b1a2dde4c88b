import type { Clock } from '../../base/clock.ts';
import type { Random } from '../../base/random.ts';
import type { Background } from '../../base/tasks/background.ts';
import type { EduParcel, EduSource } from '../../federation-out/edu-source.ts';
import type { Sender } from '../../federation-out/sender-contract.ts';
import type { UserId } from '../../matrix/ids.ts';
import type { ServerName } from '../../matrix/server-name.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Narrowing } from '../../storage/contract/presence.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import { listServers, type Moment } from '../core/audience.ts';
import type { Marking } from '../core/marking.ts';
import type { PresenceMetrics } from '../core/metrics.ts';
import type { LocalSubjects } from '../core/subjects.ts';
import { type PolicyFacts, sharesWithWholeServer } from '../policy.ts';
import type { PresenceSettings } from '../settings.ts';
import { Announcements } from './announcements.ts';
import type { Destination } from './destination.ts';
import { Destinations } from './destinations.ts';
import { type Built, type Group, ParcelBuilder } from './parcel.ts';
import { Renewals } from './renewals.ts';
import { Untold } from './untold.ts';

export interface ServersDeps {
  serverName: ServerName;
  tracker: Pick<LocalSubjects, 'find' | 'subjects'>;
  roster: Pick<Roster, 'roomsOf' | 'usersOfServerIn' | 'serversSharingWith'>;
  facts: PolicyFacts;
  stanceTowards: Moment['stanceTowards'];
  sender: Pick<Sender, 'poke'>;
  storage: Pick<Storage, 'commit'>;
  clock: Clock;
  random: Random;
  background: Background;
  settings: PresenceSettings;
  metrics: Pick<PresenceMetrics, 'coalesced' | 'sent'>;
}

const nothing: EduParcel = { edus: [], more: false, accepted() {}, refused() {} };

/**
 * Presence for other servers. Holds which subjects each is to be told of, and when; asks policy and state at the moment a
 * transaction is built.
 */
export class Servers implements EduSource {
  readonly name = 'presence';
  readonly #deps: ServersDeps;
  readonly #destinations: Destinations;
  readonly #renewals: Renewals;
  readonly #builder: ParcelBuilder;
  readonly #announcements: Announcements;
  readonly #untold: Untold;

  constructor(deps: ServersDeps) {
    this.#deps = deps;
    this.#untold = new Untold(deps);
    this.#destinations = new Destinations({ ...deps, poke: (destination) => deps.sender.poke(destination) });
    this.#renewals = new Renewals({
      ...deps,
      destinations: this.#destinations,
      isOffline: (subject) => this.#isOffline(subject),
      renew: (destination, subject) => this.mark(destination, subject, { urgent: false, resend: true }),
    });
    const { facts, roster, stanceTowards } = deps;
    const now: Moment = { facts, stanceTowards, roomsOf: (user) => roster.roomsOf(user) };
    this.#announcements = new Announcements({
      ...deps,
      now,
      isRestrictive: this.#isOpen() && deps.settings.unawareServers !== 'send',
      announce: (destination, subject) => this.#announce(destination, subject),
    });
    this.#builder = new ParcelBuilder({
      ...deps,
      now,
      isOpen: () => this.#isOpen(),
      isAnnouncementDue: (destination) => this.#announcements.isDue(destination),
    });
  }

  /** The subject's state or audience at this destination changed. */
  mark(destination: ServerName, subject: UserId, how: Marking): void {
    if (destination === this.#deps.serverName || !this.#isOpen()) return;
    const entry = this.#destinations.of(destination);
    if (entry.marks.has(subject)) this.#deps.metrics.coalesced.add(1, 'federation');
    // What an earlier process sent is not known: it may be what never expires.
    const isUnsure = entry.held.get(subject)?.shown === null;
    const { lasting } = entry.mark(subject, isUnsure ? { ...how, lasting: true } : how);
    // Of whoever is there a later process sends what is so, as it renews them.
    if (lasting && this.#isOffline(subject)) this.#untold.add(destination, subject);
    this.#destinations.schedule(destination);
  }

  /** To be durable with a PUT that leaves the subject offline, and brings or takes a status. */
  rowsOfPut(subject: UserId): readonly Row[] {
    const { serverName, roster, facts } = this.#deps;
    if (!this.#isOpen() || !this.#isOffline(subject)) return [];
    const servers = listServers(subject, roster, facts);
    servers.delete(serverName);
    return servers.size > 0 ? [Untold.row(subject)] : [];
  }

  /** An earlier process may not have told all servers of the subject. */
  tellAgain(subject: UserId): void {
    if (!this.#isOpen()) return;
    const { roster, facts } = this.#deps;
    for (const server of listServers(subject, roster, facts))
      this.mark(server, subject, { urgent: false, resend: true, lasting: true });
    this.#untold.forget(subject);
  }

  /** The durable bit is set: whatever the destination holds of the subject is taken back first. */
  narrow({ destination, subject, generation, lastActiveAtMs }: Narrowing, asOf: number): void {
    const entry = this.#destinations.of(destination);
    entry.narrow(subject, { generation, lastActiveAtMs, asOf });
    this.#destinations.schedule(destination);
  }

  isNarrowed(destination: ServerName, subject: UserId): boolean {
    return this.#destinations.find(destination)?.narrowings.has(subject) ?? false;
  }

  isNarrowedSince(change: number, destination: ServerName, subject: UserId): boolean {
    const narrowing = this.#destinations.find(destination)?.narrowings.get(subject);
    return narrowing !== undefined && narrowing.asOf > change;
  }

  /** Whether somebody who has just gained sight is covered by what the destination holds already. */
  covers(destination: ServerName, subject: UserId): boolean {
    const entry = this.#destinations.find(destination);
    const held = entry?.held.get(subject);
    if (!held?.whole || held.shown === null || entry?.narrowings.has(subject)) return false;
    return sharesWithWholeServer(subject, destination, this.#deps.facts);
  }

  /** Whether the destination has yet to be told of the subject. */
  isMarked(destination: ServerName, subject: UserId): boolean {
    return this.#destinations.find(destination)?.marks.has(subject) ?? false;
  }

  /** After a start: what an earlier process sent grows old there, nobody knows since when. */
  assumeHeld(destination: ServerName, subject: UserId): void {
    if (destination === this.#deps.serverName || !this.#isOpen()) return;
    this.#renewals.assumeHeld(destination, subject);
  }

  /** When everything is loaded. */
  start(): void {
    this.#announcements.start();
  }

  /** Over all destinations; for who watches the server. */
  get marksWaiting(): number {
    let count = 0;
    for (const [, { marks }] of this.#destinations) count += marks.size;
    return count;
  }

  get narrowingsWaiting(): number {
    let count = 0;
    for (const [, { narrowings }] of this.#destinations) count += narrowings.size;
    return count;
  }

  hasPending(destination: ServerName): boolean {
    return this.#destinations.isDue(destination);
  }

  async take(destination: ServerName, max: number): Promise<EduParcel> {
    const entry = this.#destinations.find(destination);
    if (!entry || max < 1 || !this.hasPending(destination)) return nothing;
    entry.inFlight = true;
    try {
      const built = await this.#builder.build(destination, entry, max);
      // What turned out to be for nobody is done with, whatever becomes of the transaction.
      for (const group of built.done) if (group.entries.length === 0) this.#settleGroup(destination, entry, group);
      const edus = built.packer.edus();
      if (edus.length > 0 || entry.isWaiting) entry.lastSentAt = this.#deps.clock.monotonic();
      if (edus.length === 0) {
        entry.inFlight = false;
        this.#destinations.settle(destination);
        return nothing;
      }
      entry.urgent = this.#isUrgentStill(entry, built);
      // Some have it now, and some have what was before.
      if (built.progress) entry.forgetShown(built.progress.subject);
      return {
        edus,
        more: entry.isWaiting,
        accepted: () => this.#accepted(destination, entry, built),
        refused: () => this.#refused(destination, entry, built.done),
      };
    } catch (error) {
      this.#refused(destination, entry, []);
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.#announcements.stop();
    this.#destinations.stop();
    this.#renewals.stop();
    await this.#untold.stop();
  }

  #isOffline(subject: UserId): boolean {
    return this.#deps.tracker.find(subject)?.shown.state === 'offline';
  }

  #announce(destination: ServerName, subject: UserId): void {
    const entry = this.#destinations.of(destination);
    entry.announce = subject;
    this.#destinations.schedule(destination);
  }

  #isOpen(): boolean {
    return this.#deps.settings.enabled && this.#deps.settings.outbound;
  }

  #isUrgentStill(entry: Destination, built: Built): boolean {
    const taken = new Map(built.done.map(({ subject, generation }) => [subject, generation]));
    if (built.progress !== undefined) return true;
    return [...entry.narrowings].some(([subject, { generation }]) => taken.get(subject) !== generation);
  }

  #accepted(name: ServerName, entry: Destination, built: Built): void {
    entry.inFlight = false;
    entry.failures = 0;
    entry.progress = built.progress;
    if (built.hasField) {
      this.#announcements.carried(name);
      entry.announce = undefined;
    }
    for (const group of built.done) {
      this.#deps.metrics.sent.add(group.entries.length);
      this.#settleGroup(name, entry, group);
    }
    this.#destinations.settle(name);
  }

  #settleGroup(destination: ServerName, entry: Destination, group: Group): void {
    const { subject, generation, version, held } = group;
    if (version !== undefined && entry.marks.get(subject)?.version === version) {
      entry.marks.delete(subject);
      this.#untold.remove(destination, subject);
    }
    // Held means held by all whom it is for: whoever lost sight since is taken back by a narrowing of its own.
    const narrowing = entry.narrowings.get(subject);
    if (generation !== undefined && narrowing?.generation === generation) {
      entry.narrowings.delete(subject);
      this.#deps.background.run('clear a narrowing', async () => {
        await this.#deps.storage.commit({ rows: [{ kind: 'narrowing_cleared', destination, subject, generation }] });
      });
    }
    if (held && group.entries.length > 0 && !entry.narrowings.has(subject)) {
      this.#renewals.noteHeld(destination, subject, held);
    } else if (!held) {
      entry.held.delete(subject);
    }
  }

  /** What arrived of it is not known, so neither is what the destination holds. */
  #refused(name: ServerName, entry: Destination, attempted: readonly Group[]): void {
    entry.inFlight = false;
    entry.failures += 1;
    entry.progress = undefined;
    for (const { subject } of attempted) entry.forgetShown(subject);
    this.#destinations.settle(name);
  }
}
