import { isUtf8 } from 'node:buffer';
import { breathe } from '../../base/breathe.ts';
import { parseExactJson } from '../../base/json/exact-json.ts';
import { findExcess } from '../../base/json/json.ts';
import { JsonCutError, JsonCutter } from '../../base/json/json-cutter.ts';
import { badJson, notJson, tooLarge } from '../../matrix/errors.ts';
import type { JsonObject } from '../../matrix/pdu.ts';
import { parseBody, serverJsonLimits } from './json-body.ts';

/** Bodies of servers up to here are read at once, in a few milliseconds. */
const atOnceBytesMax = 512 * 1024;
/** A PDU has at most 65,536 bytes as canonical JSON; with escapes and space it may be written in six times as many. EDUs are as large. */
const elementBytesMax = 512 * 1024;
const chunkBytes = 64 * 1024;

/**
 * As `parseBody` for what a server sends, whose `lists`, if they make the body long, are read element by element, with others in between.
 * Throws M_TOO_LARGE for an element, or a rest, of more than 512 KiB.
 */
export async function parseServerBody(
  bytes: Uint8Array,
  lists: readonly string[],
): Promise<{ value: JsonObject; text: string }> {
  if (bytes.byteLength <= atOnceBytesMax || lists.length === 0) return parseBody(bytes, 'server');
  if (!isUtf8(bytes)) throw notJson('The text is not UTF-8');
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  await breathe();
  const excess = findExcess(text, serverJsonLimits);
  if (excess !== undefined) throw badJson(excess);
  if (!/^[\t\n\r ]*\{/.test(text)) throw badJson('The body is not an object');
  await breathe();
  return { value: await readLists(bytes, lists), text };
}

async function readLists(bytes: Uint8Array, lists: readonly string[]): Promise<JsonObject> {
  const cutter = new JsonCutter({ arrays: new Set(lists), elementBytesMax, restBytesMax: atOnceBytesMax });
  const elements = new Map<string, unknown[]>();
  for (let from = 0; from < bytes.byteLength; from += chunkBytes) {
    for (const element of refusing(() => cutter.push(bytes.subarray(from, from + chunkBytes)))) {
      if (element.bytes === undefined) throw tooLarge(`An element of ${element.key} is too long`);
      const ofList = elements.get(element.key) ?? [];
      elements.set(element.key, ofList);
      ofList.push(parse(element.bytes));
    }
    await breathe();
  }
  const rest = parseBody(Buffer.from(refusing(() => cutter.end())), 'server').value;
  for (const [key, ofList] of elements) rest[key] = ofList;
  return rest;
}

function parse(bytes: Uint8Array): unknown {
  const parsed = parseExactJson(bytes, serverJsonLimits);
  if (parsed.outcome === 'not_json') throw notJson(parsed.reason);
  if (parsed.outcome === 'bad_json') throw badJson(parsed.reason);
  return parsed.value;
}

function refusing<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof JsonCutError) throw notJson(`The text cannot be read: ${error.message}`);
    throw error;
  }
}
