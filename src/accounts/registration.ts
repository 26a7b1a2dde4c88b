import type { Clock } from '../base/clock.ts';
import type { Random } from '../base/random.ts';
import { exclusive, forbidden, invalidUsername, userInUse } from '../matrix/errors.ts';
import { isLocalpartForNewUser, isUserId, type UserId, userIdOf } from '../matrix/ids.ts';
import type { JsonObject } from '../matrix/pdu.ts';
import type { ServerName } from '../matrix/server-name.ts';
import type { AccountReads } from '../storage/contract/accounts.ts';
import type { Row } from '../storage/contract/commit.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { downcase } from './identifier.ts';
import type { InOrder } from './in-order.ts';
import type { InteractiveAuth } from './interactive-auth.ts';
import type { Passwords } from './passwords.ts';
import { type DeviceWish, decideSignIn, type SignedIn } from './sign-in.ts';
import type { Tokens } from './tokens.ts';

export interface RegistrationDeps {
  readonly storage: { readonly accounts: AccountReads; readonly commit: Storage['commit'] };
  readonly serverName: ServerName;
  /** Whether strangers may make accounts now. */
  readonly registrationOpen: () => boolean;
  /** True for ids that only an application service may make. */
  readonly isExclusive: (userId: UserId) => boolean;
  readonly passwords: Passwords;
  readonly interactiveAuth: InteractiveAuth;
  readonly tokens: Tokens;
  readonly inOrder: InOrder;
  readonly clock: Clock;
  readonly random: Random;
}

export interface RegistrationRequest {
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly device: DeviceWish;
  /** No device and no token. */
  readonly inhibitLogin: boolean;
  readonly auth: JsonObject | undefined;
}

/** By whom the administrators trust. */
export interface TrustedRegistration {
  readonly username: string;
  readonly password: string;
  readonly displayName: string | undefined;
  readonly admin: boolean;
}

/** By an application service, of a user of its own. */
export interface ReservedRegistration {
  readonly username: string;
  readonly device: DeviceWish;
  readonly inhibitLogin: boolean;
  /** Throws M_EXCLUSIVE for a user that the service may not make. */
  readonly checkMayMake: (userId: UserId) => void;
}

export interface Registration {
  /**
   * Makes an account. Throws, in this order: 403 M_FORBIDDEN where registration is closed; M_INVALID_USERNAME, M_EXCLUSIVE,
   * M_USER_IN_USE ("MUST … return these codes before performing User-Interactive Authentication");
   * AuthenticationRequired; M_WEAK_PASSWORD.
   */
  register(request: RegistrationRequest): Promise<{ userId: UserId; signedIn: SignedIn | null }>;
  /** Resolves when the name is free; throws as `register` does. */
  checkAvailable(username: string): Promise<void>;
  /** Makes an account and signs it in, without asking whether registration is open. Throws as `register` does but for that. */
  registerTrusted(request: TrustedRegistration): Promise<{ userId: UserId; signedIn: SignedIn }>;
  /** Makes an account that nobody can sign in to by a password, under a name that users may not take. Throws M_USER_IN_USE. */
  createReserved(userId: UserId): Promise<void>;
  /**
   * Makes an account without a password, whether or not registration is open. Any id that the older grammar allows may be made, for services have
   * users with names of elsewhere. Throws M_INVALID_USERNAME, what `checkMayMake` throws, M_USER_IN_USE.
   */
  registerReserved(request: ReservedRegistration): Promise<{ userId: UserId; signedIn: SignedIn | null }>;
  /** Makes the account where it is not there yet; for the users that services act as. */
  ensureReserved(userId: UserId): Promise<void>;
  /** Makes an account without asking whether registration is open; for the command line. */
  createAccount(username: string, password: string | null): Promise<UserId>;
}

export function createRegistration(deps: RegistrationDeps): Registration {
  async function checkUserId(username: string): Promise<UserId> {
    const userId = parseUsername(username, deps.serverName);
    if (deps.isExclusive(userId)) throw exclusive('The user id is reserved for an application service');
    if (username.startsWith('_')) throw invalidUsername('A username may not start with an underscore');
    if (await deps.storage.accounts.findAccount(userId)) throw userInUse('The user id is taken');
    return userId;
  }

  async function create(userId: UserId, passwordHash: string | null, further: readonly Row[]): Promise<void> {
    const result = await deps.storage.commit({
      rows: [
        { kind: 'account', userId, passwordHash, createdAtMs: deps.clock.now(), deactivatedAtMs: null },
        ...further,
      ],
      expect: [{ kind: 'account_unused', userId }],
      durable: true,
    });
    if (result.outcome === 'conflict') throw userInUse('The user id is taken');
  }

  return {
    async register(request) {
      if (!deps.registrationOpen()) throw forbidden('Registration is closed on this server');
      const wished = request.username === undefined ? undefined : await checkUserId(request.username);
      await deps.interactiveAuth.authorize({
        purpose: 'register',
        stage: 'm.login.dummy',
        userId: null,
        auth: request.auth,
      });
      const passwordHash = request.password === undefined ? null : await deps.passwords.hash(request.password);
      const userId = wished ?? (await checkUserId(deps.random.token(16).toLowerCase()));
      return deps.inOrder(userId, async () => {
        const signIn = request.inhibitLogin ? null : await decideSignIn(deps, userId, request.device);
        await create(userId, passwordHash, signIn?.rows ?? []);
        return { userId, signedIn: signIn?.signedIn ?? null };
      });
    },

    async checkAvailable(username) {
      if (!deps.registrationOpen()) throw forbidden('Registration is closed on this server');
      await checkUserId(username);
    },

    async registerTrusted({ username, password, displayName, admin }) {
      const userId = await checkUserId(username);
      const passwordHash = await deps.passwords.hash(password);
      return deps.inOrder(userId, async () => {
        const { signedIn, rows } = await decideSignIn(deps, userId, {});
        const further: Row[] = [];
        if (admin) further.push({ kind: 'account_admin', userId });
        if (displayName !== undefined) {
          further.push({ kind: 'profile', userId, displayname: displayName, avatarUrl: null });
        }
        await create(userId, passwordHash, [...further, ...rows]);
        return { userId, signedIn };
      });
    },

    createReserved: (userId) => create(userId, null, []),

    async registerReserved({ username, device, inhibitLogin, checkMayMake }) {
      const userId = parseReserved(username, deps.serverName);
      checkMayMake(userId);
      if (await deps.storage.accounts.findAccount(userId)) throw userInUse('The user id is taken');
      return deps.inOrder(userId, async () => {
        const signIn = inhibitLogin ? null : await decideSignIn(deps, userId, device);
        await create(userId, null, signIn?.rows ?? []);
        return { userId, signedIn: signIn?.signedIn ?? null };
      });
    },

    async ensureReserved(userId) {
      if (!(await deps.storage.accounts.findAccount(userId))) await create(userId, null, []);
    },

    async createAccount(username, password) {
      const userId = await checkUserId(username);
      await create(userId, password === null ? null : await deps.passwords.hash(password), []);
      return userId;
    },
  };
}

/**
 * "the server MUST either map the provided `username` onto a `user_id` in a logical manner, or reject any `username` which
 * does not comply to the grammar": capitals are mapped, everything else is rejected.
 */
function parseUsername(username: string, serverName: ServerName): UserId {
  const localpart = downcase(username);
  if (!isLocalpartForNewUser(localpart)) {
    throw invalidUsername('A username may only hold a-z, 0-9 and the characters . _ = - / +');
  }
  const userId = userIdOf(localpart, serverName);
  if (!isUserId(userId)) throw invalidUsername('The username is too long');
  return userId;
}

/** What is "outside the range U+0021 to U+007E" is not compliant (appendices, "Historical User IDs"); inside it, bridges keep names of elsewhere. */
function parseReserved(username: string, serverName: ServerName): UserId {
  const userId = userIdOf(username, serverName);
  if (!/^[\x21-\x39\x3b-\x7e]+$/.test(username) || !isUserId(userId)) {
    throw invalidUsername('A username may only hold visible ASCII characters but for the colon');
  }
  return userId;
}
