import { breathe } from '../base/breathe.ts';
import { type LongText, TextWriter } from '../base/json/long-text.ts';
import type { RoomId } from '../matrix/ids.ts';
import type { Answer, JoinedRoomPart, LeftRoomPart, TimelinePart } from './answer.ts';

const stateNames = { no: 'state', stable: 'state_after', unstable: 'org.matrix.msc4222.state_after' } as const;
/** With more of them, the text is made in several turns of the event loop. */
const eventsPerTurn = 500;

export interface EncodeOptions {
  readonly useStateAfter: keyof typeof stateNames;
  /**
   * Members that stand in every answer: the numbers of keys (absent reads as "none left" to clients that encrypt).
   */
  readonly always: string;
}

/**
 * The body of the response. Other sections than `always` only when they hold something; within a joined room every section is there.
 * What the streams found does not change any more, so a long text may be made piece by piece.
 */
export function encodeAnswer(
  answer: Answer,
  nextBatch: string,
  options: EncodeOptions,
): string | Promise<string | LongText> {
  if (isLong(answer)) return encodeLong(listTexts(answer, nextBatch, options));
  let text = '';
  for (const part of listTexts(answer, nextBatch, options)) text += part;
  return text;
}

function isLong(answer: Answer): boolean {
  let events = answer.presence.length + answer.accountData.length;
  if (answer.hasRooms) {
    for (const { state, timeline } of answer.joined.values()) events += state.length + timeline.events.length;
    for (const { state, timeline } of answer.left.values()) events += state.length + timeline.events.length;
    events += answer.invited.size + answer.knocked.size;
  }
  return events > eventsPerTurn;
}

async function encodeLong(texts: Iterable<string>): Promise<string | LongText> {
  const writer = new TextWriter();
  for (const text of texts) {
    writer.write(text);
    await breathe();
  }
  return writer.end();
}

/** The body in pieces: what belongs to no room, then room by room. */
function* listTexts(answer: Answer, nextBatch: string, { useStateAfter, always }: EncodeOptions): Generator<string> {
  let text = `{"next_batch":${JSON.stringify(nextBatch)},${always}`;
  if (answer.accountData.length > 0) text += `,"account_data":${encodeEvents(answer.accountData)}`;
  if (answer.presence.length > 0) text += `,"presence":${encodeEvents(answer.presence)}`;
  if (answer.toDevice.length > 0) text += `,"to_device":${encodeEvents(answer.toDevice)}`;
  const { changed, left } = answer.deviceLists;
  if (changed.length + left.length > 0) text += `,"device_lists":${JSON.stringify({ changed, left })}`;
  yield text;
  if (answer.hasRooms) yield* listRooms(answer, stateNames[useStateAfter]);
  yield '}';
}

function* listRooms(answer: Answer, stateName: string): Generator<string> {
  const sections = [
    section('join', answer.joined, (part) => encodeJoinedRoom(part, stateName)),
    section('invite', answer.invited, (events) => `{"invite_state":${encodeEvents(events)}}`),
    section('knock', answer.knocked, (events) => `{"knock_state":${encodeEvents(events)}}`),
    section('leave', answer.left, (part) => encodeLeftRoom(part, stateName)),
  ];
  let isFirst = true;
  yield ',"rooms":{';
  for (const texts of sections) {
    if (texts === undefined) continue;
    if (!isFirst) yield ',';
    isFirst = false;
    yield* texts;
  }
  yield '}';
}

/** Undefined where there are no such rooms. */
function section<Part>(
  name: string,
  rooms: ReadonlyMap<RoomId, Part>,
  encode: (part: Part) => string,
): Generator<string> | undefined {
  return rooms.size === 0 ? undefined : listSection(name, rooms, encode);
}

function* listSection<Part>(
  name: string,
  rooms: ReadonlyMap<RoomId, Part>,
  encode: (part: Part) => string,
): Generator<string> {
  let before = `"${name}":{`;
  for (const [roomId, part] of rooms) {
    yield `${before}${JSON.stringify(roomId)}:${encode(part)}`;
    before = ',';
  }
  yield '}';
}

function encodeJoinedRoom(part: JoinedRoomPart, stateName: string): string {
  const summary = part.summary === null ? '' : `"summary":${part.summary},`;
  return (
    `{${summary}"${stateName}":${encodeEvents(part.state)},"timeline":${encodeTimeline(part.timeline)},` +
    `"ephemeral":${encodeEvents(part.ephemeral)},"account_data":${encodeEvents(part.accountData)},${part.unread}}`
  );
}

function encodeLeftRoom(part: LeftRoomPart, stateName: string): string {
  return (
    `{"${stateName}":${encodeEvents(part.state)},"timeline":${encodeTimeline(part.timeline)},` +
    `"account_data":${encodeEvents(part.accountData)}}`
  );
}

function encodeTimeline(timeline: TimelinePart): string {
  const prevBatch = timeline.prevBatch === null ? '' : `,"prev_batch":${JSON.stringify(timeline.prevBatch)}`;
  return `{"events":[${timeline.events.join(',')}],"limited":${timeline.limited}${prevBatch}}`;
}

function encodeEvents(events: readonly string[]): string {
  return `{"events":[${events.join(',')}]}`;
}
