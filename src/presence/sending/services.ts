import { type EphemeralParcel, type EphemeralSource, emptyParcel } from '../../appservices/sending/ephemeral-source.ts';
import type { ServiceAudience } from '../../appservices/sending/service-sender.ts';
import { breathe } from '../../base/breathe.ts';
import type { Background } from '../../base/tasks/background.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
import type { Row } from '../../storage/contract/commit.ts';
import type { Storage } from '../../storage/contract/storage.ts';
import type { PastChange } from '../core/past.ts';
import { listNamed, type RulesOfUsers } from '../core/rules.ts';
import { isBlank, isSameShown, type Shown, shownOffline } from '../core/shown.ts';
import type { LocalSubjects, RemoteSubjects } from '../core/subjects.ts';

/** What one of a service's users is given of a subject, with its text; made where every viewer's is made. */
export interface SightOfViewer {
  readonly shown: Shown;
  readonly text: string;
}

export interface ServicesDeps {
  readonly roster: Pick<Roster, 'roomsOf' | 'usersIn'>;
  readonly rules: Pick<RulesOfUsers, 'namedBy' | 'rulesOf'>;
  readonly tracker: Pick<LocalSubjects, 'find' | 'subjects'>;
  readonly remote: Pick<RemoteSubjects, 'has' | 'subjects'>;
  readonly storage: {
    readonly presence: Pick<Storage['presence'], 'listHeldByService'>;
    readonly commit: Storage['commit'];
  };
  readonly background: Background;
  /** As `/sync` would give it to the viewer; undefined for whoever is not in the audience. */
  findSight(subject: UserId, viewer: UserId): SightOfViewer | undefined;
  bareOffline(subject: UserId): string;
}

/** One service, which sees a subject exactly when one of its users does. */
interface Service {
  readonly id: string;
  /** Whom it may have to be told of, with the number of the latest reason. */
  readonly marks: Map<UserId, number>;
  /** What it holds; null where that is not known. Nothing of whoever is not in here. */
  readonly told: Map<UserId, Shown | null>;
  /** Of whom storage says that it may hold something: at least those in `told`. */
  readonly stored: Set<UserId>;
}

const heldPerPage = 1_000;

/** Told by one parcel. */
interface Told {
  readonly subject: UserId;
  readonly mark: number;
  readonly shown: Shown;
}

/**
 * Presence for application services: which subjects each may have to be told of. State and policy are asked when a transaction is built, for the
 * service's users one by one, so what is handed out never outlives a denial. Who was shown and is not any more is told of once, by a bare
 * `offline`. Of whom a service may hold something is stored before it is told, so that the next process takes back what does not hold any more,
 * whatever became of the subject; what it holds of them is not, so it is told of these anew.
 */
export class Services implements EphemeralSource {
  readonly name = 'presence';
  readonly #deps: ServicesDeps;
  #audience: ServiceAudience | undefined;
  #services: Service[] = [];
  #marks = 0;
  #isStarted = false;

  constructor(deps: ServicesDeps) {
    this.#deps = deps;
  }

  /** Once, before the start. */
  serve(audience: ServiceAudience): void {
    this.#audience = audience;
    this.#services = audience.serviceIds.map((id) => ({
      id,
      marks: new Map(),
      told: new Map(),
      stored: new Set(),
    }));
  }

  /** When everything is loaded. */
  async start(): Promise<void> {
    for (const service of this.#services) await this.#load(service);
    this.#isStarted = true;
    if (this.#services.length === 0) return;
    this.#deps.background.run('presence for services', async () => {
      const { tracker, remote } = this.#deps;
      for (const subject of [...tracker.subjects(), ...remote.subjects()]) {
        this.mark(subject);
        await breathe();
      }
    });
  }

  /** Of whom an earlier process told it; what, is not known. */
  async #load(service: Service): Promise<void> {
    for (let after: UserId | null = null; ; ) {
      const page: UserId[] = await this.#deps.storage.presence.listHeldByService(service.id, after, heldPerPage);
      for (const subject of page) {
        service.stored.add(subject);
        service.told.set(subject, null);
        this.#mark(service, subject);
      }
      after = page.at(-1) ?? null;
      if (after === null) return;
    }
  }

  /** The subject's state or audience changed. */
  mark(subject: UserId): void {
    for (const service of this.#services)
      if (service.told.has(subject) || this.#isNear(service, subject)) this.#mark(service, subject);
  }

  /** The policy's facts changed: those whom it concerns are looked at when their service is told. */
  markChange(change: PastChange): void {
    if (this.#services.length === 0) return;
    if (change.kind === 'room_size') {
      for (const service of this.#services) this.#markRoom(service, change.roomId);
      return;
    }
    this.mark(change.userId);
    for (const service of this.#services) {
      if (!this.#audience?.isUserOf(service.id, change.userId)) continue;
      if (change.kind === 'membership') this.#markRoom(service, change.roomId);
      // Whom one of its users names, or named, they may be told of without a shared room; whom they ignore, not.
      else {
        const now = this.#deps.rules.rulesOf(change.userId);
        for (const subject of [...listNamed(change.rules), ...listNamed(now)]) this.#markKnown(service, subject);
      }
    }
  }

  hasPending(serviceId: string): boolean {
    return this.#isStarted && (this.#find(serviceId)?.marks.size ?? 0) > 0;
  }

  async take(serviceId: string, max: number): Promise<EphemeralParcel> {
    const service = this.#find(serviceId);
    if (!service) return emptyParcel;
    let { events, told } = await this.#build(service, max);
    for (let added = listNotStored(service, told); added.length > 0; added = listNotStored(service, told)) {
      await this.#store(service, added);
      // They may have denied meanwhile.
      ({ events, told } = await this.#build(service, max));
    }
    // Without an answer nobody knows what arrived.
    for (const { subject } of told) service.told.set(subject, null);
    return { events, accepted: () => this.#accepted(service, told), refused: () => {} };
  }

  async #build(service: Service, max: number): Promise<{ events: string[]; told: Told[] }> {
    const events: string[] = [];
    const told: Told[] = [];
    for (const [subject, mark] of [...service.marks]) {
      if (events.length === max) break;
      await breathe();
      const shown = this.#encode(service, subject, events);
      if (shown !== undefined) {
        told.push({ subject, mark, shown });
        continue;
      }
      // There was nothing to say, whatever becomes of the transaction.
      this.#clear(service, { subject, mark });
      if (!service.told.has(subject)) this.#forget(service, [subject]);
    }
    return { events, told };
  }

  #accepted(service: Service, told: readonly Told[]): void {
    for (const one of told) {
      if (!isBlank(one.shown)) service.told.set(one.subject, one.shown);
      else service.told.delete(one.subject);
      this.#clear(service, one);
    }
    this.#forget(
      service,
      told.filter(({ shown }) => isBlank(shown)).map(({ subject }) => subject),
    );
  }

  async #store(service: Service, subjects: readonly UserId[]): Promise<void> {
    const rows = subjects.map((subject) => heldRow(service, subject, true));
    // A power cut must not leave at the service what nobody knows of.
    await this.#deps.storage.commit({ rows, durable: true });
    for (const subject of subjects) service.stored.add(subject);
  }

  /** It holds nothing of them. */
  #forget(service: Service, subjects: readonly UserId[]): void {
    const gone = subjects.filter((subject) => service.stored.delete(subject));
    if (gone.length === 0) return;
    const rows = gone.map((subject) => heldRow(service, subject, false));
    this.#deps.background.run('forget what a service held', async () => {
      await this.#deps.storage.commit({ rows });
    });
  }

  /** What the service holds once it has taken the text that is added; undefined when nothing is. */
  #encode(service: Service, subject: UserId, events: string[]): Shown | undefined {
    const held = service.told.get(subject);
    const sight = this.#findSight(service, subject);
    if (sight) {
      if (held !== null && isSameShown(held ?? shownOffline, sight.shown)) return undefined;
      events.push(sight.text);
      return sight.shown;
    }
    if (held === undefined) return undefined;
    events.push(this.#deps.bareOffline(subject));
    return shownOffline;
  }

  /** What the first viewer is given for whom there is more to see than that nobody is there. */
  #findSight(service: Service, subject: UserId): SightOfViewer | undefined {
    let blank: SightOfViewer | undefined;
    for (const viewer of this.#viewersOf(service, subject)) {
      const sight = this.#deps.findSight(subject, viewer);
      if (sight && !isBlank(sight.shown)) return sight;
      blank ??= sight;
    }
    return blank;
  }

  /** Everybody of the service who could see the subject: who shares a room, who names them, and the subject. */
  *#viewersOf({ id }: Service, subject: UserId): Iterable<UserId> {
    if (!this.#audience) return;
    if (this.#audience.isUserOf(id, subject)) yield subject;
    for (const roomId of this.#deps.roster.roomsOf(subject)) yield* this.#audience.usersIn(id, roomId);
    for (const viewer of this.#deps.rules.namedBy(subject)) if (this.#audience.isUserOf(id, viewer)) yield viewer;
  }

  #isNear(service: Service, subject: UserId): boolean {
    for (const _ of this.#viewersOf(service, subject)) return true;
    return false;
  }

  #markRoom(service: Service, roomId: RoomId): void {
    const { background, roster } = this.#deps;
    background.run('mark a room for a service', async () => {
      for (const subject of [...roster.usersIn(roomId)]) {
        await breathe();
        this.#markKnown(service, subject);
      }
    });
  }

  #markKnown(service: Service, subject: UserId): void {
    const { tracker, remote } = this.#deps;
    if (service.told.has(subject) || tracker.find(subject) || remote.has(subject)) this.#mark(service, subject);
  }

  #mark(service: Service, subject: UserId): void {
    this.#marks += 1;
    service.marks.set(subject, this.#marks);
    this.#audience?.poke(service.id);
  }

  /** A subject who was marked anew meanwhile has changed since. */
  #clear(service: Service, { subject, mark }: { readonly subject: UserId; readonly mark: number }): void {
    if (service.marks.get(subject) === mark) service.marks.delete(subject);
  }

  #find(serviceId: string): Service | undefined {
    return this.#services.find(({ id }) => id === serviceId);
  }
}

function listNotStored({ stored }: Service, told: readonly Told[]): UserId[] {
  return told.map(({ subject }) => subject).filter((subject) => !stored.has(subject));
}

function heldRow({ id: serviceId }: Service, subject: UserId, held: boolean): Row {
  return { kind: 'presence_at_service', serviceId, subject, held };
}
