import { breathe } from '../../../base/breathe.ts';
import { parsePdu } from '../../../engine/event/parse.ts';
import { keysValidAt, listRequiredSigners } from '../../../engine/event/verify.ts';
import type { AnsweredEvent } from '../../../federation-out/requests-contract.ts';
import type { EventId, RoomId } from '../../../matrix/ids.ts';
import { authEventIdsOf, type RoomEvent } from '../../../matrix/pdu.ts';
import type { RoomVersion } from '../../../matrix/room-versions.ts';
import type { ServerName } from '../../../matrix/server-name.ts';
import type { RoomsCore } from '../../core/deps.ts';
import { AuthGraph } from './auth-graph.ts';
import type { Import } from './imports.ts';
import { TextSpool } from './text-spool.ts';

export interface IntakeRoom {
  readonly roomId: RoomId;
  readonly version: RoomVersion;
}

/** Signature keys that are needed, each for the latest time. */
export type WantedKeys = Map<ServerName, Map<string, { readonly keyId: string; readonly validAtMs: number }>>;

/**
 * Events of large answers, first part: they are taken while they arrive, checked for their format and put aside, while their graph is kept
 * in mind. What is stored already is not put aside: it has its verdict. `judgeIntake` is the second part.
 */
export class Intake {
  readonly room: IntakeRoom;
  readonly graph = new AuthGraph();
  readonly spool: TextSpool;
  /** Number in the graph → number in the spool. */
  readonly spooled = new Map<number, number>();
  /** Those that the answer lists as the state. */
  readonly state = new Set<number>();
  readonly keys: WantedKeys = new Map();
  readonly #deps: Pick<RoomsCore, 'storage'>;

  constructor(deps: Pick<RoomsCore, 'storage'>, running: Import, room: IntakeRoom) {
    this.#deps = deps;
    this.room = room;
    this.spool = new TextSpool(deps.storage, running);
  }

  /** Events that are malformed or of another room are left out; so is a second copy of one. */
  async take(list: 'state' | 'auth_chain', answered: readonly AnsweredEvent[]): Promise<void> {
    const news = new Map<EventId, { readonly event: RoomEvent; readonly text: string }>();
    for (const { json, text } of answered) {
      await breathe();
      const parsed = parsePdu(json, this.room.version);
      if (parsed.outcome !== 'parsed' || parsed.event.roomId !== this.room.roomId) continue;
      const { event } = parsed;
      const number = this.graph.numberOf(event.eventId);
      if (list === 'state') this.state.add(number);
      if (!this.graph.has(number)) news.set(event.eventId, { event, text });
    }
    const known = await this.#deps.storage.events.listKnown([...news.keys()]);
    const fresh = [...news.values()].filter(({ event }) => !known.has(event.eventId));
    const places = await this.spool.add(fresh.map(({ text }) => text));
    for (const [index, { event }] of fresh.entries()) {
      const number = this.graph.numberOf(event.eventId);
      this.graph.put(number, authEventIdsOf(event.pdu));
      this.spooled.set(number, places[index] ?? 0);
      this.#noteKeys(event);
    }
  }

  #noteKeys(event: RoomEvent): void {
    const validAtMs = keysValidAt(event.pdu, this.room.version);
    for (const server of listRequiredSigners(event, this.room.version)) {
      const ofServer = this.keys.get(server) ?? new Map();
      this.keys.set(server, ofServer);
      for (const keyId of Object.keys(event.pdu.signatures[server] ?? {}).slice(0, keysPerServerMax)) {
        const before = ofServer.get(keyId);
        if (!before || before.validAtMs < validAtMs) ofServer.set(keyId, { keyId, validAtMs });
      }
    }
  }
}

/** Signatures of one server on one event whose keys are asked for. */
const keysPerServerMax = 5;
