import { breathe } from '../base/breathe.ts';
import { parseExactJson } from '../base/json/exact-json.ts';
import { JsonCutError, JsonCutter } from '../base/json/json-cutter.ts';
import { isObject } from '../engine/members.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import { type AnsweredEvent, FederationError } from './requests-contract.ts';
import type { Answer, Call, SendCall } from './signed-call.ts';

/** A PDU has at most 65,536 bytes as canonical JSON; with escapes and space it may be written in six times as many. */
const elementBytesMax = 512 * 1_024;
/** What stands beside the lists: an event, and the names of the servers in a room. */
const restBytesMax = 4 * 1_024 * 1_024;

export interface StreamedAnswer {
  /** Lists of the answer, all of which must be in it. */
  readonly lists: readonly string[];
  /** Of all lists together; a longer answer is refused. */
  readonly elementsMax: number;
  /** Takes what was cut out of a list, in order and a few at a time. Elements that are no JSON, or too long, are left out. */
  readonly take: (list: string, elements: readonly Element[]) => Promise<void>;
}

export interface Element {
  readonly value: unknown;
  readonly text: string;
}

/**
 * Makes a request whose answer may be very large: elements of its lists are handed on while it arrives, and what else it says is the answer.
 * Slower takers slow the answer down. Throws FederationError, and what `take` throws.
 */
export function streamAnswer(send: SendCall, call: Call, answer: StreamedAnswer): Promise<Answer> {
  return send({ ...call, readBody: (chunks) => readLists(chunks, answer) });
}

async function readLists(chunks: AsyncIterable<Uint8Array>, { lists, elementsMax, take }: StreamedAnswer) {
  const cutter = new JsonCutter({ arrays: new Set(lists), elementBytesMax, restBytesMax });
  let count = 0;
  for await (const chunk of chunks) {
    const found = new Map<string, Element[]>();
    for (const { key, bytes } of refusing(() => cutter.push(chunk))) {
      count += 1;
      const parsed = bytes && parseExactJson(bytes);
      if (parsed?.outcome !== 'parsed') continue;
      const ofList = found.get(key) ?? [];
      found.set(key, ofList);
      ofList.push({ value: parsed.value, text: parsed.text });
      if (count % 20 === 0) await breathe();
    }
    if (count > elementsMax) throw badAnswer(`has more than ${elementsMax} entries`);
    for (const [key, elements] of found) await take(key, elements);
  }
  return checkRest(
    refusing(() => cutter.end()),
    lists,
  );
}

function checkRest(text: string, lists: readonly string[]): JsonObject {
  const parsed = parseExactJson(text);
  if (parsed.outcome !== 'parsed' || !isObject(parsed.value)) throw badAnswer('is no JSON object');
  for (const list of lists) if (!Array.isArray(parsed.value[list])) throw badAnswer(`has no list "${list}"`);
  return parsed.value;
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof JsonCutError) throw badAnswer(`cannot be read: ${error.message}`);
    throw error;
  }
}

function badAnswer(what: string): FederationError {
  return new FederationError('bad_answer', `the answer ${what}`, 200);
}

/** Those of the elements that are objects: "Event is valid, otherwise it is dropped". */
export function eventsOf(elements: readonly Element[]): AnsweredEvent[] {
  return elements.flatMap(({ value, text }) => (isObject(value) ? { json: value, text } : []));
}
