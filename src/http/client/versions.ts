import { openRoute, type Route } from '../route.ts';

/** The versions whose endpoints clients may rely on here. A later one is listed once what clients conclude from it holds. */
const versions = ['r0.6.1', ...Array.from({ length: 16 }, (_, index) => `v1.${index + 1}`)];

/** For clients that ask for a flag and not for the version that made it stable, and what no version has. */
const unstableFeatures = {
  // Private read receipts (v1.4).
  'org.matrix.msc2285.stable': true,
  // Kinds of rooms in the public list (v1.4).
  'org.matrix.msc3827.stable': true,
  // Threads (v1.4).
  'org.matrix.msc3440.stable': true,
  // Messages filtered by type of relation.
  'org.matrix.msc3874': true,
  // Messages that say whom they mention, and push rules that heed it (v1.7).
  'org.matrix.msc3952_intentional_mentions': true,
  // Profile fields beyond name and picture (v1.16).
  'uk.tcpip.msc4133.stable': true,
  // `use_state_after` (v1.16).
  'org.matrix.msc4222': true,
  // Users choose who sees their presence (MSC4325), and every path obeys.
  'events.matrix-community.presence_sharing_config': true,
} as const;

/** Client-server API, "Specification Versions". */
export function versionsRoutes(): Route[] {
  return [
    openRoute({
      method: 'GET',
      path: '/_matrix/client/versions',
      handle: async () => ({ versions, unstable_features: unstableFeatures }),
    }),
  ];
}
