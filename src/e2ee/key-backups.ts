import { breathe } from '../base/breathe.ts';
import { type LongText, TextWriter } from '../base/json/long-text.ts';
import { Serial, SerialFullError } from '../base/tasks/serial.ts';
import { invalidParam, notFound, serverUnavailable, tooLarge, wrongRoomKeysVersion } from '../matrix/errors.ts';
import type { RoomId, UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { RoomKey, RoomKeyName, StoredKeyBackup } from '../storage/contract/key-backups.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { encodeKey, parseKey, parseRooms, parseSessions, replacesKey } from './key-backup-rules.ts';

export interface KeyBackupsDeps {
  readonly storage: Pick<Storage, 'keyBackups' | 'commit'>;
}

/** As `GET /room_keys/version` tells it. */
export interface KeyBackupAnswer {
  readonly algorithm: string;
  readonly auth_data: JsonObject;
  readonly count: number;
  readonly etag: string;
  readonly version: string;
}

/** What became of the keys of a backup. */
export interface KeysChanged {
  readonly count: number;
  readonly etag: string;
}

/** Null stands for all: of the backup, or of the room. */
export interface RoomKeysPlace {
  readonly roomId: RoomId | null;
  readonly sessionId: string | null;
}

/** Client-server API, "Server-side key backups". All that name a version throw M_NOT_FOUND for one that the user has not. */
export interface KeyBackups {
  /** The new version, the only one from now on that takes keys. */
  create(userId: UserId, backup: { readonly algorithm: string; readonly authData: JsonObject }): Promise<string>;
  /** Undefined: the newest. */
  get(userId: UserId, version: string | undefined): Promise<KeyBackupAnswer>;
  /** Throws M_INVALID_PARAM where the algorithm or the version named in the body is another one. */
  update(
    userId: UserId,
    version: string,
    change: { readonly algorithm: string; readonly authData: JsonObject; readonly version: string | undefined },
  ): Promise<void>;
  remove(userId: UserId, version: string): Promise<void>;
  /** `body` as it is for the place. Of keys that are there already the better ones stay. Throws M_BAD_JSON, M_TOO_LARGE, and M_WRONG_ROOM_KEYS_VERSION for any version but the newest. */
  putKeys(userId: UserId, version: string, place: RoomKeysPlace, body: JsonObject): Promise<KeysChanged>;
  /** JSON text: all rooms, the sessions of one, or one key, for which there may be M_NOT_FOUND. */
  getKeys(userId: UserId, version: string, place: RoomKeysPlace): Promise<string | LongText>;
  removeKeys(userId: UserId, version: string, place: RoomKeysPlace): Promise<KeysChanged>;
}

/** Keys of one backup: more is refused. */
const keysMax = 200_000;
const keysPerRead = 500;
const keysPerRemoval = 200;
/** Changes of one user's keys. */
const changesWaitingMax = 100;
const attemptsMax = 10;

export function createKeyBackups(deps: KeyBackupsDeps): KeyBackups {
  const { storage } = deps;
  const changes = new Serial({ waitingMax: changesWaitingMax });
  /** One after the other: a removal takes many commits, and whoever puts keys meanwhile would try again with each. */
  const inOrder = async <T>(userId: UserId, change: () => Promise<T>): Promise<T> => {
    try {
      return await changes.run(userId, change);
    } catch (error) {
      throw error instanceof SerialFullError ? busy() : error;
    }
  };
  const getBackup = (userId: UserId, version: string) => findBackup(deps, userId, version);
  return {
    async create(userId, { algorithm, authData }) {
      for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
        const last = await storage.keyBackups.getLastVersion(userId);
        const version = last + 1;
        const result = await storage.commit({
          rows: [{ kind: 'key_backup', userId, version, algorithm, authData }],
          expect: [{ kind: 'key_backup_last', userId, version: last }],
        });
        if (result.outcome === 'committed') return String(version);
      }
      throw busy();
    },

    async get(userId, version) {
      if (version !== undefined) return answerOf(await getBackup(userId, version));
      const newest = await storage.keyBackups.findNewest(userId);
      if (!newest) throw notFound('There is no key backup');
      return answerOf(newest);
    },

    async update(userId, version, change) {
      const backup = await getBackup(userId, version);
      if (change.version !== undefined && change.version !== version) throw invalidParam('The versions differ');
      if (change.algorithm !== backup.algorithm) throw invalidParam('The algorithm of a backup cannot be changed');
      const row = { userId, version: backup.version, algorithm: backup.algorithm, authData: change.authData };
      await storage.commit({ rows: [{ kind: 'key_backup', ...row }] });
    },

    async remove(userId, version) {
      const backup = await getBackup(userId, version);
      await storage.commit({ rows: [{ kind: 'key_backup_removed', userId, version: backup.version }] });
    },

    async putKeys(userId, version, place, body) {
      const keys = parseKeys(place, body);
      return inOrder(userId, () => putKeys(deps, userId, version, keys));
    },

    async getKeys(userId, version, { roomId, sessionId }) {
      const backup = await getBackup(userId, version);
      if (roomId === null || sessionId === null) {
        const text = roomId === null ? await encodeRooms(deps, backup) : await encodeSessions(deps, backup, roomId);
        // Read in pages: of one that was removed meanwhile only some would be told.
        await getBackup(userId, version);
        return text;
      }
      const [key] = await storage.keyBackups.listNamedKeys(userId, backup.version, [{ roomId, sessionId }]);
      if (!key) throw notFound('The backup has no such key');
      return encodeKey(key);
    },

    async removeKeys(userId, version, place) {
      return inOrder(userId, async () => {
        await removeKeys(deps, await getBackup(userId, version), place);
        return changedOf(await getBackup(userId, version));
      });
    },
  };
}

async function findBackup({ storage }: KeyBackupsDeps, userId: UserId, version: string): Promise<StoredKeyBackup> {
  const number = /^[1-9]\d{0,14}$/.test(version) ? Number(version) : 0;
  const backup = await storage.keyBackups.find(userId, number);
  if (!backup) throw notFound('There is no such version of the key backup');
  return backup;
}

function parseKeys({ roomId, sessionId }: RoomKeysPlace, body: JsonObject): RoomKey[] {
  if (roomId === null) return parseRooms(body.rooms);
  return sessionId === null ? parseSessions(roomId, body.sessions) : [parseKey(roomId, sessionId, body)];
}

async function putKeys(
  deps: KeyBackupsDeps,
  userId: UserId,
  version: string,
  keys: readonly RoomKey[],
): Promise<KeysChanged> {
  const { storage } = deps;
  for (let attempt = 0; attempt < attemptsMax; attempt += 1) {
    const last = await storage.keyBackups.getLastVersion(userId);
    const backup = await findBackup(deps, userId, version);
    const newest = await storage.keyBackups.findNewest(userId);
    if (newest && newest.version !== backup.version) throw wrongRoomKeysVersion(String(newest.version));
    const known = new Map(
      (await storage.keyBackups.listNamedKeys(userId, backup.version, keys)).map((key) => [nameOf(key), key]),
    );
    const better = keys.filter((key) => {
      const before = known.get(nameOf(key));
      return before === undefined || replacesKey(key, before);
    });
    if (better.length === 0) return changedOf(backup);
    if (backup.count + better.length > keysMax) throw tooLarge(`A key backup has at most ${keysMax} keys`);
    const result = await storage.commit({
      rows: [{ kind: 'room_keys', userId, version: backup.version, keys: better }],
      expect: [
        { kind: 'key_backup_revision', userId, version: backup.version, etag: backup.etag },
        { kind: 'key_backup_last', userId, version: last },
      ],
    });
    if (result.outcome === 'committed') return changedOf(await findBackup(deps, userId, version));
  }
  throw busy();
}

/**
 * A page at a time, each in a commit of its own, since they are deleted in one turn. After a crash in the middle some are still there, and nobody was
 * told that they are not.
 */
async function removeKeys(
  { storage }: KeyBackupsDeps,
  { userId, version }: StoredKeyBackup,
  { roomId, sessionId }: RoomKeysPlace,
): Promise<void> {
  const remove = (keys: readonly RoomKeyName[]) =>
    storage.commit({ rows: [{ kind: 'room_keys_removed', userId, version, keys }] });
  if (roomId !== null && sessionId !== null) {
    await remove([{ roomId, sessionId }]);
    return;
  }
  let after: RoomKeyName | null = null;
  for (;;) {
    const page = { roomId, after, limit: keysPerRemoval };
    const keys: RoomKeyName[] = await storage.keyBackups.listKeyNames(userId, version, page);
    if (keys.length > 0) await remove(keys);
    after = keys.at(-1) ?? null;
    if (keys.length < keysPerRemoval) return;
  }
}

/** Room by room, a page at a time: a backup may hold many thousands. */
async function encodeRooms(deps: KeyBackupsDeps, backup: StoredKeyBackup): Promise<string | LongText> {
  const writer = new TextWriter();
  let last: RoomId | undefined;
  writer.write('{"rooms":{');
  // Keys come in order of their rooms.
  for await (const key of listAll(deps, backup, null)) {
    const isFirst = key.roomId !== last;
    if (isFirst) writer.write(`${last === undefined ? '' : '}},'}${JSON.stringify(key.roomId)}:{"sessions":{`);
    writer.write(`${isFirst ? '' : ','}${JSON.stringify(key.sessionId)}:${encodeKey(key)}`);
    last = key.roomId;
  }
  writer.write(last === undefined ? '}}' : '}}}}');
  return writer.end();
}

async function encodeSessions(
  deps: KeyBackupsDeps,
  backup: StoredKeyBackup,
  roomId: RoomId,
): Promise<string | LongText> {
  const writer = new TextWriter();
  let before = '{"sessions":{';
  for await (const key of listAll(deps, backup, roomId)) {
    writer.write(`${before}${JSON.stringify(key.sessionId)}:${encodeKey(key)}`);
    before = ',';
  }
  writer.write(before === ',' ? '}}' : `${before}}}`);
  return writer.end();
}

async function* listAll(
  { storage }: KeyBackupsDeps,
  { userId, version }: StoredKeyBackup,
  roomId: RoomId | null,
): AsyncGenerator<RoomKey> {
  let after: RoomKeyName | null = null;
  for (;;) {
    const page: RoomKey[] = await storage.keyBackups.listKeys(userId, version, { roomId, after, limit: keysPerRead });
    yield* page;
    after = page.at(-1) ?? null;
    if (page.length < keysPerRead) return;
    await breathe();
  }
}

function nameOf({ roomId, sessionId }: RoomKeyName): string {
  return `${roomId} ${sessionId}`;
}

function answerOf(backup: StoredKeyBackup): KeyBackupAnswer {
  const { algorithm, authData, version } = backup;
  return { algorithm, auth_data: authData, ...changedOf(backup), version: String(version) };
}

function changedOf({ count, etag }: StoredKeyBackup): KeysChanged {
  return { count, etag: String(etag) };
}

function busy() {
  return serverUnavailable('The key backup is being changed by others, try again');
}
