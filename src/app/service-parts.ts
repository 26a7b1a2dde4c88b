import { type Acting, createActing } from '../appservices/acting.ts';
import { type CallService, createServiceCalls } from '../appservices/service-calls.ts';
import { systemDns } from '../base/dns.ts';
import { createOutgoingHttp, type OutgoingHttp } from '../base/outgoing-http.ts';
import type { Storage } from '../storage/contract/storage.ts';
import type { Surroundings } from './surroundings.ts';

/** What others ask of application services, without knowing of them. */
export interface ServiceParts {
  readonly acting: Acting;
  readonly call: CallService;
  /** Of their own: see `service-calls`. */
  readonly http: OutgoingHttp;
}

export function createServiceParts({ services, clock }: Surroundings, storage: Storage): ServiceParts {
  const http = createOutgoingHttp({ clock, dns: systemDns, allowPrivateAddresses: true });
  return { http, call: createServiceCalls({ http }), acting: createActing({ services, accounts: storage.accounts }) };
}
