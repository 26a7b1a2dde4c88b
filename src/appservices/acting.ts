import { exclusive, forbidden, invalidParam, MatrixError, unknownToken, userDeactivated } from '../matrix/errors.ts';
import { type DeviceId, isUserId, serverOfUser, type UserId, userIdOf } from '../matrix/ids.ts';
import type { AccountReads } from '../storage/contract/accounts.ts';
import type { AppServices } from './app-services.ts';
import { isUserOf } from './namespaces.ts';
import type { Registration } from './registration.ts';

/** As whom a service wants to act: what its request says in `user_id` and `device_id`. */
export interface AskedIdentity {
  readonly userId: string | undefined;
  readonly deviceId: string | undefined;
}

/** Whom a service acts as. */
export interface ActingService {
  readonly service: Registration;
  readonly userId: UserId;
  /** "If no `device_id` is supplied, the homeserver is to assume the request is being made without a device ID." */
  readonly deviceId: DeviceId | null;
}

/**
 * Application service API, "Identity assertion". Whatever its namespaces cover, no service ever acts as an administrator, nor as the user who speaks
 * for the server: a token in a bridge's file must not be worth what the server's own word is.
 */
export interface Acting {
  /** The service of this token. */
  findByToken(asToken: string): Registration | undefined;
  /**
   * Its sender where it names nobody. Throws M_FORBIDDEN for a user outside its namespaces and for one that it has not registered,
   * M_USER_DEACTIVATED, and 400 M_UNKNOWN_DEVICE for a device that is not the user's. M_FORBIDDEN for the users who are nobody's: see `Acting`.
   */
  actAs(service: Registration, asked: AskedIdentity): Promise<ActingService>;
  /** Throws M_EXCLUSIVE for a user outside its namespaces, and for one that is exclusively another's; M_FORBIDDEN for who speaks for the server. */
  checkMayMake(service: Registration, userId: UserId): void;
  /**
   * The user of the service whom a full id or a localpart names, capitals kept. Throws M_EXCLUSIVE for a user outside its namespaces, M_FORBIDDEN
   * for one whom it may not act as.
   */
  getOwnUser(service: Registration, user: string): Promise<UserId>;
}

export function createActing(deps: {
  readonly services: AppServices;
  readonly accounts: Pick<AccountReads, 'findAccount' | 'findDevice' | 'isAdmin'>;
  /** Who speaks for the server. */
  readonly noticesSender: UserId;
}): Acting {
  const { services, accounts } = deps;

  function checkIsNotServer(userId: UserId): void {
    if (userId === deps.noticesSender) throw forbidden('No application service speaks for the server');
  }

  async function checkMayBe(userId: UserId): Promise<void> {
    checkIsNotServer(userId);
    if (await accounts.isAdmin(userId)) throw forbidden('An application service may not act as an administrator');
  }

  return {
    findByToken: services.findByToken,

    async actAs(service, asked) {
      const userId = asked.userId ?? service.sender;
      if (!isUserId(userId)) throw invalidParam("'user_id': is not a user id");
      if (!isUserOf(service, userId)) throw forbidden('The user is not one of the application service');
      await checkMayBe(userId);
      const account = await accounts.findAccount(userId);
      if (!account) throw forbidden('The application service has not registered this user');
      if (account.deactivatedAtMs !== null) throw userDeactivated('The account was deactivated');
      if (asked.deviceId === undefined) return { service, userId, deviceId: null };
      // Whatever was asked for is looked up; only what storage knows is a device's id.
      const device = await accounts.findDevice(userId, asked.deviceId as DeviceId);
      if (!device) throw new MatrixError(400, 'M_UNKNOWN_DEVICE', 'The user has no such device');
      return { service, userId, deviceId: device.deviceId };
    },

    checkMayMake(service, userId) {
      if (!isUserOf(service, userId) || services.isUserExclusive(userId, service)) throw outside();
      checkIsNotServer(userId);
    },

    async getOwnUser(service, user) {
      const userId = user.startsWith('@') ? user : userIdOf(user, serverOfUser(service.sender));
      if (!isUserId(userId) || !isUserOf(service, userId)) throw outside();
      await checkMayBe(userId);
      return userId;
    },
  };
}

/** "outside of their defined namespaces will receive an error code `M_EXCLUSIVE`". */
function outside(): MatrixError {
  return exclusive('The user is not in a namespace of the application service');
}

/** Where there are no application services. */
export const noActing: Acting = {
  findByToken: () => undefined,
  actAs: async () => {
    throw unknownToken('There are no application services');
  },
  checkMayMake() {
    throw outside();
  },
  getOwnUser: async () => {
    throw outside();
  },
};

/** "Whether requests from masqueraded users are rate-limited. The sender is excluded." */
export function isRateLimited({ service, userId }: Pick<ActingService, 'service' | 'userId'>): boolean {
  return service.rateLimited && userId !== service.sender;
}
