import { breathe } from '../../base/breathe.ts';
import { authStateOfMap } from '../../engine/auth-state.ts';
import { levelToNotify, type PowerFacts, powerLevelOf } from '../../engine/power.ts';
import type { UserId } from '../../matrix/ids.ts';
import { type RoomEvent, type StateKey, stateKeyOf } from '../../matrix/pdu.ts';
import type { RoomVersion } from '../../matrix/room-versions.ts';
import type { PushVerdict } from '../../storage/contract/unread.ts';
import { AskedEvent } from '../asked-event.ts';
import { type Evaluate, verdictOf } from '../evaluate.ts';

/** An event that joins the timeline of a room, and the room's state at it. */
export interface JudgedEvent {
  readonly event: RoomEvent;
  readonly version: RoomVersion;
  readonly readState: (keys: readonly StateKey[]) => Promise<ReadonlyMap<StateKey, RoomEvent>>;
}

/** Rules of one user, of nobody in particular where the id is null. */
export type Judge = readonly [userId: UserId | null, evaluate: Evaluate];

const silence: PushVerdict = { actions: [], notifies: false, highlights: false };
const powerKeys = [stateKeyOf('m.room.create', ''), stateKeyOf('m.room.power_levels', '')];
/** A condition that came to be asked may let another be asked behind it; there are two that ask for state. */
const roundsMax = 3;

/**
 * What rules make of one event. State is read only if a rule comes to ask for it: the power to notify a room, what somebody is called.
 */
export class Judgement {
  readonly #judged: JudgedEvent;
  readonly #event: AskedEvent;
  readonly #memberCount: number;
  #power: PowerFacts | undefined;
  readonly #names = new Map<UserId, string | null>();
  readonly #asksNames = new Set<UserId>();
  /** Something that the judge asked for has not been read yet. */
  #isShort = false;

  constructor(judged: JudgedEvent, memberCount: number) {
    const { eventId, roomId, pdu } = judged.event;
    const { type, sender, content, state_key: stateKey } = pdu;
    this.#judged = judged;
    this.#memberCount = memberCount;
    this.#event = new AskedEvent({
      event_id: eventId,
      room_id: roomId,
      type,
      sender,
      content,
      ...(stateKey === undefined ? {} : { state_key: stateKey }),
    });
  }

  /** In the order of the judges. */
  async judge(judges: readonly Judge[]): Promise<PushVerdict[]> {
    const verdicts = judges.map(() => silence);
    let open = [...judges.entries()];
    for (let round = 0; round <= roundsMax && open.length > 0; round += 1) {
      if (round > 0) await this.#read();
      const again: typeof open = [];
      for (const entry of open) {
        await breathe();
        const [index, judge] = entry;
        this.#isShort = false;
        verdicts[index] = this.#ask(judge);
        if (this.#isShort) again.push(entry);
      }
      open = again;
    }
    return verdicts;
  }

  #ask([userId, evaluate]: Judge): PushVerdict {
    const nameOf = (): string | null => this.#nameOf(userId);
    const actions = evaluate({
      event: this.#event,
      memberCount: this.#memberCount,
      get displayName() {
        return nameOf();
      },
      senderMayNotify: (key) => this.#senderMayNotify(key),
    });
    const verdict = verdictOf(actions);
    return verdict.notifies ? { actions, ...verdict } : silence;
  }

  #nameOf(userId: UserId | null): string | null {
    if (userId === null) return null;
    const name = this.#names.get(userId);
    if (name === undefined) {
      this.#asksNames.add(userId);
      this.#isShort = true;
    }
    return name ?? null;
  }

  #senderMayNotify(key: string): boolean {
    if (this.#power === undefined) {
      this.#isShort = true;
      return false;
    }
    const { state, version } = this.#power;
    return powerLevelOf(this.#judged.event.pdu.sender, state, version) >= levelToNotify(key, this.#power);
  }

  async #read(): Promise<void> {
    const { version, readState } = this.#judged;
    const users = [...this.#asksNames];
    const memberKeys = users.map((userId) => stateKeyOf('m.room.member', userId));
    const state = await readState([...powerKeys, ...memberKeys]);
    this.#power ??= { state: authStateOfMap(state), version };
    for (const userId of users) {
      const name = state.get(stateKeyOf('m.room.member', userId))?.pdu.content.displayname;
      this.#names.set(userId, typeof name === 'string' ? name : null);
    }
    this.#asksNames.clear();
  }
}
