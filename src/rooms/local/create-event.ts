import { checkAuth } from '../../engine/auth/check.ts';
import { authStateOfEvents } from '../../engine/auth-state.ts';
import { buildEvent } from '../../engine/event/build.ts';
import { badJson } from '../../matrix/errors.ts';
import type { RoomId, UserId } from '../../matrix/ids.ts';
import type { JsonObject, RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { RoomsCore } from '../core/deps.ts';

const roomIdLength = 18;

/** Makes the events that rooms begin with. */
export class CreateEvents {
  readonly #deps: Pick<RoomsCore, 'clock' | 'random' | 'serverName' | 'sign'>;
  #lastMs = 0;

  constructor(deps: Pick<RoomsCore, 'clock' | 'random' | 'serverName' | 'sign'>) {
    this.#deps = deps;
  }

  /** An id for a room of a version in which it is chosen. */
  newRoomId(): RoomId {
    return `!${this.#deps.random.token(roomIdLength)}:${this.#deps.serverName}` as RoomId;
  }

  /** Throws M_BAD_JSON for content that no room can begin with. `roomId` counts only where it is chosen. */
  make(create: { creator: UserId; version: RoomVersion; content: JsonObject; roomId?: RoomId }): RoomEvent {
    const { creator, version, content } = create;
    const isChosen = version.roomIdFormat === 'opaque';
    const result = buildEvent(
      {
        type: 'm.room.create',
        sender: creator,
        state_key: '',
        ...(isChosen ? { room_id: create.roomId ?? this.newRoomId() } : {}),
        content,
        depth: 1,
        origin_server_ts: isChosen ? this.#deps.clock.now() : this.#nextMs(),
        prev_events: [],
        auth_events: [],
      },
      version,
      this.#deps.sign,
    );
    if (result.outcome === 'malformed') throw badJson(`creation_content is refused: ${result.reason}`);
    const verdict = checkAuth(result.event, authStateOfEvents([]), version);
    if (!verdict.allowed) throw badJson(`creation_content is refused: ${verdict.reason}`);
    return result.event;
  }

  /** A room id that is a hash is the same for equal create events, so each gets a millisecond of its own. */
  #nextMs(): number {
    this.#lastMs = Math.max(this.#deps.clock.now(), this.#lastMs + 1);
    return this.#lastMs;
  }
}
