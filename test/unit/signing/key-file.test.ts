import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../src/base/log.ts';
import { systemRandom } from '../../../src/base/random.ts';
import { KeyFileError, loadOrCreateKeyFile, readKeyFile } from '../../../src/signing/key-file.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lantern-key-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const load = (path: string, warnings: string[] = []) =>
  loadOrCreateKeyFile({
    path,
    random: systemRandom,
    log: { ...silentLog, warn: (...args: unknown[]) => void warnings.push(String(args.at(-1))) },
  });

describe('the key file', () => {
  it('is made with its folder, for the owner alone, and holds one line', async () => {
    const path = join(folder, 'keys', 'signing.key');
    const key = await load(path);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, 'utf8')).toMatch(/^ed25519 a_[A-Za-z0-9]{6} [A-Za-z0-9+/]{43}\n$/);
    expect(key.keyId).toMatch(/^ed25519:a_/);
    expect(await readdir(join(folder, 'keys'))).toEqual(['signing.key']);
  });

  it('gives the same key at the second start', async () => {
    const path = join(folder, 'signing.key');
    const first = await load(path);
    const second = await load(path);
    expect(second.publicKey).toBe(first.publicKey);
    expect(second.keyId).toBe(first.keyId);
  });

  it('gives one key to two who make it at the same time', async () => {
    const path = join(folder, 'signing.key');
    const [first, second] = await Promise.all([load(path), load(path)]);
    expect(second.publicKey).toBe(first.publicKey);
  });

  it('reads the key of the specification', async () => {
    const path = join(folder, 'signing.key');
    await writeFile(path, 'ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1\n', { mode: 0o600 });
    const key = await load(path);
    expect(key.keyId).toBe('ed25519:1');
    expect(key.publicKey).toBe('XGX0JRS2Af3be3knz2fBiRbApjm2Dh61gXDJA8kcJNI');
  });

  it('is closed to others, with a warning, when it was open to them', async () => {
    const path = join(folder, 'signing.key');
    await load(path);
    await chmod(path, 0o644);
    const warnings: string[] = [];
    await load(path, warnings);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(warnings).toHaveLength(1);
    await load(path, warnings);
    expect(warnings).toHaveLength(1);
  });

  it.each([
    '',
    'ed25519',
    'ed25519 1',
    'ed25519 1 short',
    'rsa 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1',
    'ed25519 a:b YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1',
    'ed25519 1 YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1 more',
  ])('is refused with one line, and left as it is, when it holds %j', async (text) => {
    const path = join(folder, 'signing.key');
    await writeFile(path, text);
    const error = await load(path).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(KeyFileError);
    expect(String(error)).toContain(path);
    expect(String(error)).not.toContain('\n');
    expect(await readFile(path, 'utf8')).toBe(text);
  });

  it('is refused with one line when it cannot be read or written', async () => {
    await expect(load(folder)).rejects.toThrow(/cannot be read \(EISDIR\)/);
    await writeFile(join(folder, 'file'), '');
    await expect(load(join(folder, 'file', 'signing.key'))).rejects.toThrow(KeyFileError);
    expect(await readKeyFile(join(folder, 'none'))).toBeUndefined();
  });
});
