import type { JsonObject } from '../../matrix/pdu.ts';
import type { Decision } from './decision.ts';
import type { AudienceReport } from './report.ts';

/** The report as the endpoint and the command line give it. */
export function encodeReport({ subject, viewers, next, servers, warnings }: AudienceReport): JsonObject {
  return {
    user_id: subject,
    viewers: viewers.map(({ viewer, sharesRoom, ...decision }) => ({
      user_id: viewer,
      ...encodeDecision(decision),
      shares_room: sharesRoom,
    })),
    servers: servers.map(({ server, isWhole, viewers: count, honoursList, isWithheld, ...decision }) => ({
      server_name: server,
      ...encodeDecision(decision),
      whole_server: isWhole,
      viewers: count,
      honours_list: honoursList,
      withheld: isWithheld,
    })),
    warnings: warnings.map(({ code, entry, message }) => ({ code, message, ...(entry === null ? {} : { entry }) })),
    ...(next === null ? {} : { next_batch: next }),
  };
}

function encodeDecision({ sees, step, config, list, entry }: Decision): JsonObject {
  return {
    sees,
    config,
    ...(step === null ? {} : { step }),
    ...(list === null ? {} : { list }),
    ...(entry === null ? {} : { entry }),
  };
}
