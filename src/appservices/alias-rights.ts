import type { RoomAlias } from '../matrix/ids.ts';
import type { AppServices } from './app-services.ts';
import { isAliasOf } from './namespaces.ts';

/** own: the service that acts may do with it what it likes. open: anybody may make it. reserved: another may. */
export type AliasRight = 'own' | 'open' | 'reserved';

/** What an alias of this server is to whoever wants to make or remove it; `serviceId` is undefined for everybody who is no service. */
export function aliasRight(services: AppServices, alias: RoomAlias, serviceId: string | undefined): AliasRight {
  const service = serviceId === undefined ? undefined : services.findById(serviceId);
  if (services.isAliasExclusive(alias, service)) return 'reserved';
  if (service === undefined) return 'open';
  // "Application services which attempt to create users or aliases outside of their defined namespaces … M_EXCLUSIVE".
  return isAliasOf(service, alias) ? 'own' : 'reserved';
}
