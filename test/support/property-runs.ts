/** How often a property is tried: `count` times, and twenty times as often by `npm run test:long`. */
export function propertyRuns(count: number): number {
  return process.env.LANTERN_TEST_LONG === '1' ? count * 20 : count;
}
