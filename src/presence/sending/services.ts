import { type EphemeralParcel, type EphemeralSource, emptyParcel } from '../../appservices/sending/ephemeral-source.ts';
import type { ServiceAudience } from '../../appservices/sending/service-sender.ts';
import type { Background } from '../../base/background.ts';
import { breathe } from '../../base/breathe.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { Roster } from '../../roster/roster.ts';
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
}

/** Told by one parcel. */
interface Told {
  readonly subject: UserId;
  readonly mark: number;
  readonly shown: Shown;
}

/**
 * Presence for application services: which subjects each may have to be told of. State and policy are asked when a transaction is built, for the
 * service's users one by one, so what is handed out never outlives a denial. Who was shown and is not any more is told of once, by a bare
 * `offline`. What a service holds is forgotten with the process; the next one tells it of everybody who has a record, as with a sync token from
 * before a restart.
 */
export class Services implements EphemeralSource {
  readonly name = 'presence';
  readonly #deps: ServicesDeps;
  #audience: ServiceAudience | undefined;
  #services: Service[] = [];
  #marks = 0;

  constructor(deps: ServicesDeps) {
    this.#deps = deps;
  }

  /** Once, before the start. */
  serve(audience: ServiceAudience): void {
    this.#audience = audience;
    this.#services = audience.serviceIds.map((id) => ({ id, marks: new Map(), told: new Map() }));
  }

  /** When everything is loaded and services are known as new or not. */
  start(): void {
    if (this.#services.length === 0) return;
    this.#deps.background.run('presence for services', async () => {
      const { tracker, remote } = this.#deps;
      for (const subject of [...tracker.subjects(), ...remote.subjects()]) {
        this.#takeUp(subject);
        await breathe();
      }
    });
  }

  /** What an earlier process told of the subject is not known. */
  #takeUp(subject: UserId): void {
    for (const service of this.#services) {
      if (!this.#isNear(service, subject)) continue;
      if (this.#audience?.isNew(service.id) === false && !service.told.has(subject)) service.told.set(subject, null);
      this.#mark(service, subject);
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
    return (this.#find(serviceId)?.marks.size ?? 0) > 0;
  }

  async take(serviceId: string, max: number): Promise<EphemeralParcel> {
    const service = this.#find(serviceId);
    if (!service) return emptyParcel;
    const events: string[] = [];
    const told: Told[] = [];
    for (const [subject, mark] of [...service.marks]) {
      if (events.length === max) break;
      await breathe();
      const shown = this.#encode(service, subject, events);
      // There was nothing to say, whatever becomes of the transaction.
      if (shown === undefined) {
        this.#clear(service, { subject, mark });
        continue;
      }
      told.push({ subject, mark, shown });
      // Without an answer nobody knows what arrived.
      service.told.set(subject, null);
    }
    return {
      events,
      accepted: () => {
        for (const one of told) {
          if (isBlank(one.shown)) service.told.delete(one.subject);
          else service.told.set(one.subject, one.shown);
          this.#clear(service, one);
        }
      },
      refused: () => {},
    };
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
