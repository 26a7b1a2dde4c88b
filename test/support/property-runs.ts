import { supportedRoomVersions } from '../../src/matrix/room-versions.ts';

const isLong = process.env.LANTERN_TEST_LONG === '1';

/** How often a property is tried: `count` times, and twenty times as often by `npm run test:long`. */
export function propertyRuns(count: number): number {
  return isLong ? count * 20 : count;
}

/**
 * Room versions for tests of whole servers: all by `npm run test:long`, else one of each kind of event and of state resolution, and the two
 * that are made most.
 */
export const roomVersionsToTry: readonly string[] = isLong ? supportedRoomVersions : ['1', '3', '6', '10', '11', '12'];
