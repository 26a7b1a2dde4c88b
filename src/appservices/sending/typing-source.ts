import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { ReachableService } from '../service-calls.ts';
import { type EphemeralParcel, type EphemeralSource, emptyParcel } from './ephemeral-source.ts';
import type { Interest } from './interest.ts';

/** Rooms of which one service is to hear; the oldest go: who typed long ago is worth least. */
const roomsMax = 1_000;

export interface TypingSourceDeps {
  readonly services: readonly ReachableService[];
  readonly interest: Interest;
  readonly listTyping: (roomId: RoomId) => readonly UserId[];
}

/** In which rooms the list of typing users changed, for each service that wants to know. Does not outlive the process, as typing does not. */
export class TypingSource implements EphemeralSource {
  readonly name = 'typing';
  readonly #deps: TypingSourceDeps;
  readonly #marks: ReadonlyMap<string, { readonly service: ReachableService; readonly rooms: Map<RoomId, number> }>;
  #changes = 0;

  constructor(deps: TypingSourceDeps) {
    this.#deps = deps;
    const ephemeral = deps.services.filter(({ receiveEphemeral }) => receiveEphemeral);
    this.#marks = new Map(ephemeral.map((service) => [service.id, { service, rooms: new Map() }]));
  }

  /** The list of the room changed. Says which services may have to hear of it. */
  mark(roomId: RoomId): string[] {
    this.#changes += 1;
    const told: string[] = [];
    for (const [serviceId, { service, rooms }] of this.#marks) {
      if (!this.#deps.interest.mayConcernRoom(service, roomId)) continue;
      rooms.delete(roomId);
      rooms.set(roomId, this.#changes);
      if (rooms.size > roomsMax) {
        const [oldest] = rooms.keys();
        if (oldest !== undefined) rooms.delete(oldest);
      }
      told.push(serviceId);
    }
    return told;
  }

  hasPending(serviceId: string): boolean {
    return (this.#marks.get(serviceId)?.rooms.size ?? 0) > 0;
  }

  async take(serviceId: string, max: number): Promise<EphemeralParcel> {
    const marks = this.#marks.get(serviceId);
    if (!marks) return emptyParcel;
    const { service, rooms } = marks;
    const { interest, listTyping } = this.#deps;
    const taken = [...rooms].slice(0, max);
    await interest.loadAliases(taken.map(([roomId]) => roomId));
    const events: string[] = [];
    for (const [roomId] of taken) {
      if (!interest.mayConcernRoom(service, roomId)) continue;
      const content = { user_ids: listTyping(roomId) };
      events.push(JSON.stringify({ type: 'm.typing', room_id: roomId, content }));
    }
    // A room marked anew meanwhile has changed since.
    const clear = (): void => {
      for (const [roomId, change] of taken) if (rooms.get(roomId) === change) rooms.delete(roomId);
    };
    if (events.length === 0) clear();
    return { events, accepted: clear, refused() {} };
  }
}
