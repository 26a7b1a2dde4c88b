import { type Acting, createActing } from '../appservices/acting.ts';
import { type AliasRight, aliasRight } from '../appservices/alias-rights.ts';
import { type Asking, createAsking } from '../appservices/asking.ts';
import { createPing, type Ping } from '../appservices/ping.ts';
import { type CallService, createServiceCalls } from '../appservices/service-calls.ts';
import { systemDns } from '../base/network/dns.ts';
import { createOutgoingHttp, type OutgoingHttp } from '../base/network/outgoing-http.ts';
import type { RoomAlias } from '../matrix/ids.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { noticesSender } from './notices-sender.ts';
import type { Surroundings } from './surroundings.ts';

/** What others ask of application services, without knowing of them. */
export interface ServiceParts {
  readonly acting: Acting;
  readonly asking: Asking;
  readonly ping: Ping;
  readonly call: CallService;
  /** Of their own: see `service-calls`. */
  readonly http: OutgoingHttp;
  aliasRight(alias: RoomAlias, serviceId: string | undefined): AliasRight;
}

export function createServiceParts({ config, services, clock, log }: Surroundings, storage: Storage): ServiceParts {
  const http = createOutgoingHttp({ clock, dns: systemDns, allowPrivateAddresses: true });
  const call = createServiceCalls({ http });
  return {
    http,
    call,
    acting: createActing({ services, accounts: storage.accounts, noticesSender: noticesSender(config) }),
    asking: createAsking({ services, call, clock, log }),
    ping: createPing({ call, clock }),
    aliasRight: (alias, serviceId) => aliasRight(services, alias, serviceId),
  };
}
