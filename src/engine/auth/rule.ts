import type { RoomEvent } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { AuthState } from '../auth-state.ts';

/** What a rule judges: the event, the state it is judged by, and the room's create event out of that state. */
export interface AuthCase {
  readonly event: RoomEvent;
  readonly create: RoomEvent;
  readonly state: AuthState;
  readonly version: RoomVersion;
}

/** The same for a member event whose `state_key` is a user id. */
export interface MemberCase extends AuthCase {
  /** The *target user*. */
  readonly target: string;
}
