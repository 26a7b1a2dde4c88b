import { z } from 'zod';
import { integer, optional, queryBoolean, queryInteger, shortText } from './shapes.ts';

/** What both APIs ask of a list of rooms ("Published room directory"). */

const typesMax = 100;
const limitMax = 1_000_000;

export const publicRoomsQuery = z.object({
  limit: optional(queryInteger(0, limitMax)),
  since: optional(z.string()),
  include_all_networks: optional(queryBoolean),
  third_party_instance_id: optional(shortText),
});

export const publicRoomsBody = z.object({
  limit: optional(integer.min(0)),
  since: optional(z.string()),
  filter: optional(
    z.object({
      generic_search_term: optional(z.string()),
      room_types: optional(z.array(shortText.nullable()).max(typesMax)),
    }),
  ),
  include_all_networks: optional(z.boolean()),
  third_party_instance_id: optional(shortText),
});
