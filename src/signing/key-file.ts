import { randomUUID } from 'node:crypto';
import { chmod, link, open, readFile, stat, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { decodeBase64, encodeBase64 } from '../base/base64.ts';
import type { Log } from '../base/log.ts';
import { makeFolder } from '../base/make-folder.ts';
import type { Random } from '../base/random.ts';
import { generateSeed, type SigningKey, seedBytes, signingKeyOfSeed } from './ed25519.ts';

/** The key cannot be had. The message is one line for the person who starts the server. */
export class KeyFileError extends Error {
  override name = 'KeyFileError';
}

const versionPattern = /^[A-Za-z0-9_]{1,64}$/;

export interface KeyFileDeps {
  path: string;
  random: Random;
  log: Log;
}

/**
 * The signing key of the file at `path`; makes one, mode 0600, and its folder where there is none. The file is one line,
 * `ed25519 <version> <unpadded base64 of the seed>`. Throws KeyFileError: an existing file is never replaced, since another key
 * would make this another server.
 */
export async function loadOrCreateKeyFile(deps: KeyFileDeps): Promise<SigningKey> {
  const existing = await readKeyFile(deps.path);
  if (existing === undefined) {
    await createKeyFile(deps);
    const created = await readKeyFile(deps.path);
    if (created === undefined) throw new KeyFileError(`${deps.path}: the signing key was written but cannot be found`);
    return created;
  }
  await closeToOthers(deps);
  return existing;
}

/** Undefined when there is no such file. Throws KeyFileError when it cannot be read or is no key. */
export async function readKeyFile(path: string): Promise<SigningKey | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new KeyFileError(`${path}: the signing key cannot be read (${codeOf(error)})`);
  }
  const line = text.trim();
  const [algorithm, version, seedText, ...rest] = line.split(/[ \t]+/);
  const seed = seedText === undefined ? undefined : decodeBase64(seedText);
  if (
    algorithm !== 'ed25519' ||
    version === undefined ||
    !versionPattern.test(version) ||
    seed?.length !== seedBytes ||
    rest.length > 0 ||
    line.includes('\n')
  ) {
    throw new KeyFileError(`${path}: not a signing key; expected one line: ed25519 <version> <base64 of 32 bytes>`);
  }
  return signingKeyOfSeed(seed, version);
}

async function createKeyFile({ path, random, log }: KeyFileDeps): Promise<void> {
  const version = `a_${random.token(6)}`;
  const line = `ed25519 ${version} ${encodeBase64(generateSeed(random))}\n`;
  const unfinished = `${path}.${randomUUID()}.new`;
  try {
    makeFolder(dirname(path));
    const file = await open(unfinished, 'wx', 0o600);
    try {
      await file.writeFile(line);
      await file.sync();
    } finally {
      await file.close();
    }
    // A link, unlike a rename, never replaces a key that another process made meanwhile.
    await link(unfinished, path).catch((error: unknown) => {
      if (codeOf(error) !== 'EEXIST') throw error;
    });
    await unlink(unfinished);
  } catch (error) {
    throw new KeyFileError(`${path}: the signing key cannot be written (${codeOf(error)})`);
  }
  log.info({ path, keyId: `ed25519:${version}` }, 'made a new signing key');
}

/** Whoever reads the seed can speak as this server, so a file that others may read is closed to them. */
async function closeToOthers({ path, log }: KeyFileDeps): Promise<void> {
  const { mode } = await stat(path);
  if ((mode & 0o077) === 0) return;
  try {
    await chmod(path, 0o600);
    log.warn({ path }, 'the signing key was readable by other users of this machine; its mode is 0600 now');
  } catch {
    log.warn({ path }, 'the signing key is readable by other users of this machine; set its mode to 0600');
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
