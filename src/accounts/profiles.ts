import { FederationError, type FederationRequests } from '../federation-out/requests-contract.ts';
import {
  badGateway,
  badJson,
  forbidden,
  invalidParam,
  keyTooLarge,
  notFound,
  profileTooLarge,
} from '../matrix/errors.ts';
import { serverOfUser, type UserId } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { AccountReads, ProfileRow } from '../storage/contract/accounts.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { InOrder } from './in-order.ts';

/** One field of one profile. */
export interface ProfileKey {
  readonly userId: UserId;
  /** `displayname`, `avatar_url`, or any that the Common Namespaced Identifier Grammar allows. */
  readonly field: string;
}

export interface Profiles {
  /** Of a local or a remote user; a field that is not set is absent. Throws 404 M_NOT_FOUND for nobody, 502 when the other server does not answer. */
  get(userId: UserId): Promise<JsonObject>;
  /** Throws 404 also where the field is not set. */
  getField(key: ProfileKey): Promise<unknown>;
  /**
   * Only a user's own profile may be set: else 403. An empty or null `displayname` or `avatar_url` counts as none. Throws
   * M_BAD_JSON for a value of the wrong type, M_INVALID_PARAM for one that is too long and for what is no field, M_KEY_TOO_LARGE,
   * M_PROFILE_TOO_LARGE.
   */
  setField(requester: UserId, key: ProfileKey, value: unknown): Promise<void>;
  /** A field that is not set is no error. */
  removeField(requester: UserId, key: ProfileKey): Promise<void>;
}

/** These two are copied into a member event in every room of the user, and an event has 64 KiB. */
const lengthMax = { displayname: 256, avatar_url: 1_000 } as const;
type CopiedField = keyof typeof lengthMax;
const isCopied = (field: string): field is CopiedField => Object.hasOwn(lengthMax, field);

const textFields: ReadonlySet<string> = new Set([...Object.keys(lengthMax), 'm.tz']);
const keyLengthMax = 255;
/** "the total profile MUST be under 64 KiB" (client-server API, "Profiles"). */
const profileBytesMax = 64 * 1024;

export function createProfiles(deps: {
  storage: { accounts: AccountReads; commit: Storage['commit'] };
  serverName: ServerName;
  queryRemoteProfile: FederationRequests['queryProfile'];
  askForUser: (userId: UserId) => Promise<boolean>;
  inOrder: InOrder;
}): Profiles {
  const { storage, serverName } = deps;

  async function getLocal(userId: UserId): Promise<JsonObject> {
    let account = await storage.accounts.findAccount(userId);
    if (!account && (await deps.askForUser(userId))) account = await storage.accounts.findAccount(userId);
    // Other servers are told the same of a deactivated user.
    if (!account || account.deactivatedAtMs !== null) throw notFound('There is no such user');
    return readProfile(storage.accounts, userId);
  }

  async function getRemote(userId: UserId, field?: string): Promise<JsonObject> {
    try {
      const answer = await deps.queryRemoteProfile(serverOfUser(userId), userId, field);
      return Object.fromEntries(Object.entries(answer).filter(([name, value]) => isBelievable(name, value)));
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      if (error.outcome === 'refused' && error.status !== undefined && error.status < 500) {
        throw notFound('The other server knows no such user or profile');
      }
      throw badGateway('The server of the user did not give the profile');
    }
  }

  /** Every change becomes a member event in every room, so none is made of nothing. */
  async function changeCopied(userId: UserId, field: CopiedField, value: string | null): Promise<void> {
    const before = await storage.accounts.findProfile(userId);
    const after: ProfileRow = { displayname: null, avatarUrl: null, ...before, userId };
    if (field === 'displayname') after.displayname = value;
    else after.avatarUrl = value;
    if (after.displayname === (before?.displayname ?? null) && after.avatarUrl === (before?.avatarUrl ?? null)) return;
    await storage.commit({ rows: [{ kind: 'profile', ...after }] });
  }

  async function checkRoom(userId: UserId, field: string, value: unknown): Promise<void> {
    const after = { ...(await readProfile(storage.accounts, userId)), [field]: value };
    if (Buffer.byteLength(JSON.stringify(after)) > profileBytesMax) throw profileTooLarge('The profile is over 64 KiB');
  }

  const isLocal = (userId: UserId): boolean => serverOfUser(userId) === serverName;

  return {
    get: (userId) => (isLocal(userId) ? getLocal(userId) : getRemote(userId)),

    async getField({ userId, field }) {
      const profile = await (isLocal(userId) ? getLocal(userId) : getRemote(userId, field));
      if (!Object.hasOwn(profile, field)) throw notFound('The user has not set this field');
      return profile[field];
    },

    async setField(requester, { userId, field }, value) {
      checkChange(requester, { userId, field });
      if (!isCopied(field)) {
        if (textFields.has(field) && typeof value !== 'string') throw badJson(`'${field}' is not a string`);
        await deps.inOrder(userId, async () => {
          await checkRoom(userId, field, value);
          await storage.commit({ rows: [{ kind: 'profile_field', userId, field, value }] });
        });
        return;
      }
      if (value !== null && typeof value !== 'string') throw badJson(`'${field}' is not a string`);
      if (value !== null && value.length > lengthMax[field]) {
        throw invalidParam(`'${field}' is longer than ${lengthMax[field]} characters`);
      }
      await deps.inOrder(userId, async () => {
        await checkRoom(userId, field, value);
        await changeCopied(userId, field, value || null);
      });
    },

    async removeField(requester, { userId, field }) {
      checkChange(requester, { userId, field });
      await deps.inOrder(userId, async () => {
        if (isCopied(field)) await changeCopied(userId, field, null);
        else await storage.commit({ rows: [{ kind: 'profile_field_removed', userId, field }] });
      });
    },
  };
}

/** The profile of a local user, account or none; a field that is not set is absent. */
async function readProfile(accounts: AccountReads, userId: UserId): Promise<JsonObject> {
  const [profile, fields] = await Promise.all([accounts.findProfile(userId), accounts.listProfileFields(userId)]);
  return {
    ...(profile?.displayname ? { displayname: profile.displayname } : {}),
    ...(profile?.avatarUrl ? { avatar_url: profile.avatarUrl } : {}),
    ...fields,
  };
}

function checkChange(requester: UserId, { userId, field }: ProfileKey): void {
  if (requester !== userId) throw forbidden('Only the own profile may be changed');
  if (field.length > keyLengthMax) throw keyTooLarge(`A field has at most ${keyLengthMax} characters`);
  if (!isField(field)) throw invalidParam('This is not the name of a profile field');
}

/** "either `avatar_url`, `displayname`, `m.tz`, or a custom field following the Common Namespaced Identifier Grammar". */
function isField(name: string): boolean {
  return isCopied(name) || (name.length <= keyLengthMax && /^[a-z][a-z0-9_-]*(\.[a-z0-9_-]+)+$/.test(name));
}

/** Whether a field of another server's answer may be shown: clients rely on the types of those that the specification defines. */
function isBelievable(name: string, value: unknown): boolean {
  return isField(name) && (!textFields.has(name) || (typeof value === 'string' && value !== ''));
}
