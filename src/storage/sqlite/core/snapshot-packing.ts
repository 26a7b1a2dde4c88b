/** The entries of one layer, in the order of their keys. An event of 0: the key was removed. */
export interface PackedEntries {
  keys: Float64Array;
  events: Float64Array;
}

/**
 * One layer as bytes: for each key, in order, the distance from the key before and the event's number, both in groups of
 * seven bits, lowest first, the high bit set on all but the last byte.
 */
export function pack(entries: ReadonlyMap<number, number>): Buffer {
  const sorted = [...entries].sort(([left], [right]) => left - right);
  const bytes: number[] = [];
  let keyBefore = 0;
  for (const [key, event] of sorted) {
    writeNumber(bytes, key - keyBefore);
    writeNumber(bytes, event);
    keyBefore = key;
  }
  return Buffer.from(bytes);
}

function writeNumber(bytes: number[], value: number): void {
  let rest = value;
  while (rest >= 128) {
    bytes.push((rest % 128) + 128);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
}

export function unpack(bytes: Uint8Array): PackedEntries {
  let count = 0;
  for (const byte of bytes) if (byte < 128) count += 1;
  const keys = new Float64Array(count / 2);
  const events = new Float64Array(count / 2);
  let [value, weight, read, key] = [0, 1, 0, 0];
  for (const byte of bytes) {
    value += (byte % 128) * weight;
    weight *= 128;
    if (byte >= 128) continue;
    if (read % 2 === 0) {
      key += value;
      keys[read / 2] = key;
    } else {
      events[(read - 1) / 2] = value;
    }
    [value, weight] = [0, 1];
    read += 1;
  }
  return { keys, events };
}

/** The event at a key; undefined if the layer says nothing of it. */
export function findPacked({ keys, events }: PackedEntries, key: number): number | undefined {
  let low = 0;
  let high = keys.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const at = keys[middle] ?? 0;
    if (at === key) return events[middle];
    if (at < key) low = middle + 1;
    else high = middle - 1;
  }
  return undefined;
}
