import { FederationError, type FederationRequests } from '../federation-out/requests-contract.ts';
import { badGateway, forbidden, invalidParam, notFound } from '../matrix/errors.ts';
import { serverOfUser, type UserId } from '../matrix/ids.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { AccountReads, ProfileRow } from '../storage/contract/accounts.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { InOrder } from './in-order.ts';

export type ProfileField = 'displayname' | 'avatar_url';

/** A field that is not set is absent. */
export type Profile = { readonly [field in ProfileField]?: string };

export interface Profiles {
  /** Of a local or a remote user. Throws 404 M_NOT_FOUND for nobody, 502 when the other server does not answer. */
  get(userId: UserId): Promise<Profile>;
  /** Throws 404 also where the field is not set. */
  getField(userId: UserId, field: ProfileField): Promise<string>;
  /** Null clears. Only a user's own profile may be set: else 403. Throws M_INVALID_PARAM for a value that is too long. */
  setField(requester: UserId, change: { userId: UserId; field: ProfileField; value: string | null }): Promise<void>;
}

/** They are copied into a member event in every room of the user, and an event has 64 KiB. */
const lengthMax: Readonly<Record<ProfileField, number>> = { displayname: 256, avatar_url: 1_000 };

export function createProfiles(deps: {
  storage: { accounts: AccountReads; commit: Storage['commit'] };
  serverName: ServerName;
  queryRemoteProfile: FederationRequests['queryProfile'];
  inOrder: InOrder;
}): Profiles {
  const { storage, serverName } = deps;

  async function getLocal(userId: UserId): Promise<Profile> {
    const [account, profile] = await Promise.all([
      storage.accounts.findAccount(userId),
      storage.accounts.findProfile(userId),
    ]);
    // Other servers are told the same of a deactivated user.
    if (!account || account.deactivatedAtMs !== null) throw notFound('There is no such user');
    return toProfile(profile?.displayname, profile?.avatarUrl);
  }

  async function getRemote(userId: UserId, field?: ProfileField): Promise<Profile> {
    try {
      const answer = await deps.queryRemoteProfile(serverOfUser(userId), userId, field);
      return toProfile(textIn(answer.displayname), textIn(answer.avatar_url));
    } catch (error) {
      if (!(error instanceof FederationError)) throw error;
      if (error.outcome === 'refused' && error.status !== undefined && error.status < 500) {
        throw notFound('The other server knows no such user or profile');
      }
      throw badGateway('The server of the user did not give the profile');
    }
  }

  const isLocal = (userId: UserId): boolean => serverOfUser(userId) === serverName;

  return {
    get: (userId) => (isLocal(userId) ? getLocal(userId) : getRemote(userId)),

    async getField(userId, field) {
      const profile = await (isLocal(userId) ? getLocal(userId) : getRemote(userId, field));
      const value = profile[field];
      if (value === undefined) throw notFound('The user has not set this field');
      return value;
    },

    async setField(requester, { userId, field, value }) {
      if (requester !== userId) throw forbidden('Only the own profile may be changed');
      if (value !== null && value.length > lengthMax[field]) {
        throw invalidParam(`'${field}' is longer than ${lengthMax[field]} characters`);
      }
      await deps.inOrder(userId, async () => {
        const before = await storage.accounts.findProfile(userId);
        const after: ProfileRow = { displayname: null, avatarUrl: null, ...before, userId };
        if (field === 'displayname') after.displayname = value || null;
        else after.avatarUrl = value || null;
        // Every change becomes a member event in every room, so none is made of nothing.
        if (after.displayname === (before?.displayname ?? null) && after.avatarUrl === (before?.avatarUrl ?? null))
          return;
        await storage.commit({ rows: [{ kind: 'profile', ...after }] });
      });
    },
  };
}

function toProfile(displayname: string | null | undefined, avatarUrl: string | null | undefined): Profile {
  return { ...(displayname ? { displayname } : {}), ...(avatarUrl ? { avatar_url: avatarUrl } : {}) };
}

function textIn(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
