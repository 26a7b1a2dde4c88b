import { describe, expect, it } from 'vitest';
import { parseBody } from '../../../src/http/middleware/json-body.ts';
import { parseServerBody } from '../../../src/http/middleware/large-body.ts';

const lists = ['pdus', 'edus'];
const long = 'ä'.repeat(20_000);
const pdus = Array.from(
  { length: 20 },
  (_, n) => `{"n":${n},"content":{"body":"${long} \\" [ ] \\u00e4","number":1.0}}`,
);
const read = (text: string) => parseServerBody(Buffer.from(text), lists);

describe('a long body of another server', () => {
  it('is read like a short one', async () => {
    const text = `{"edus": [1, {"a": [2]}], "origin":"there", "pdus" : [${pdus.join(' , ')}], "__proto__": {"x": 1}}`;
    expect(Buffer.byteLength(text)).toBeGreaterThan(512 * 1024);
    const body = await read(text);
    expect(body.text).toBe(text);
    const expected = parseBody(Buffer.from(text), 'server').value;
    expect(body.value).toEqual(expected);
    expect(Object.hasOwn(body.value, '__proto__')).toBe(true);
    expect((body.value.pdus as unknown[]).length).toBe(20);
    expect(body.value.edus).toEqual([1, { a: [2] }]);
  });

  it('is refused where it is no JSON, no object, or no UTF-8', async () => {
    const around = (piece: string) => `{"pdus":[${pdus.join(',')},${piece}]}`;
    await expect(read(around('{"a":}'))).rejects.toMatchObject({ errcode: 'M_NOT_JSON' });
    await expect(read(around('{}').slice(0, -1))).rejects.toMatchObject({ errcode: 'M_NOT_JSON' });
    await expect(read(`[200,${around('{}')}]`)).rejects.toMatchObject({ errcode: 'M_BAD_JSON' });
    const bytes = Buffer.from(around('"x"'));
    bytes[bytes.length - 4] = 0xff;
    await expect(parseServerBody(bytes, lists)).rejects.toMatchObject({ errcode: 'M_NOT_JSON' });
    expect((await read(around('{}'))).value.pdus).toHaveLength(21);
  });

  it('is refused where it nests too deep, or has too many objects in all', async () => {
    const deep = `${'['.repeat(300)}${']'.repeat(300)}`;
    await expect(read(`{"pdus":[${pdus.join(',')},${deep}]}`)).rejects.toMatchObject({ errcode: 'M_BAD_JSON' });
    const many = `[${'[],'.repeat(30_000)}[]]`;
    const of = (count: number) => `{"edus":[${pdus.join(',')},${Array(count).fill(many).join(',')}]}`;
    await expect(read(of(8))).rejects.toMatchObject({ errcode: 'M_BAD_JSON' });
    expect((await read(of(2))).value.edus).toHaveLength(22);
  });

  it('is refused where one element, or what stands beside the lists, is too long', async () => {
    const huge = `"${'x'.repeat(600 * 1024)}"`;
    await expect(read(`{"pdus":[${huge}]}`)).rejects.toMatchObject({ errcode: 'M_TOO_LARGE' });
    await expect(read(`{"pdus":[],"other":${huge}}`)).rejects.toMatchObject({ errcode: 'M_NOT_JSON' });
  });
});
