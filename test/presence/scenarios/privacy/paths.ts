import { expect } from 'vitest';
import { serverOfUser, type UserId } from '../../../../src/matrix/ids.ts';
import { here, type Seen, there } from '../../../support/presence-world.ts';
import { alice, members, type Scenario } from './scenarios.ts';
import { type Arrangement, type Stage, status } from './stage.ts';

/** One column of the matrix: a way in which presence is read. Throws where a viewer gets too much or too little. */
export interface ReadPath {
  readonly name: string;
  readonly arrangement: Arrangement;
  check(stage: Stage, viewer: UserId, scenario: Scenario): Promise<void> | void;
}

/** The columns. For viewers of another server, each is what came over federation, read in that way. */
export const paths: readonly ReadPath[] = [
  {
    name: 'live sync',
    arrangement: 'together',
    check: ({ live }, viewer, scenario) => checkSync(live.get(viewer), { viewer, scenario, mayResume: false }),
  },
  {
    name: 'sync that goes on from before',
    arrangement: 'together',
    check: ({ resumed }, viewer, scenario) => checkSync(resumed.get(viewer), { viewer, scenario, mayResume: true }),
  },
  {
    name: 'initial sync',
    arrangement: 'together',
    check: async ({ world }, viewer, scenario) =>
      checkSync(await world.device(viewer, 'FRESH').read(), { viewer, scenario, mayResume: false }),
  },
  {
    name: 'newly joined room',
    arrangement: 'they join',
    check: ({ resumed }, viewer, scenario) => checkSync(resumed.get(viewer), { viewer, scenario, mayResume: true }),
  },
  {
    name: 'newly joined member',
    arrangement: 'she joins',
    check: ({ resumed }, viewer, scenario) => checkSync(resumed.get(viewer), { viewer, scenario, mayResume: true }),
  },
  { name: 'GET', arrangement: 'together', check: checkGet },
  { name: 'GET after they joined', arrangement: 'they join', check: checkGet },
  { name: 'GET after she joined', arrangement: 'she joins', check: checkGet },
  { name: 'federation out', arrangement: 'together', check: checkWire },
];

function checkSync(
  answer: readonly Seen[] | undefined,
  { viewer, scenario, mayResume }: { viewer: UserId; scenario: Scenario; mayResume: boolean },
): void {
  const ofHer = (answer ?? []).filter(({ sender }) => sender === alice);
  expect(ofHer.length, 'named at most once').toBeLessThanOrEqual(1);
  if (scenario.sees.includes(viewer)) {
    expect(ofHer).toMatchObject([{ presence: 'online', status_msg: status }]);
    return;
  }
  // A client that comes with an old token may be told that she is not there, and nothing else.
  expect(mayResume ? ofHer.filter((seen) => !isBareOffline(seen)) : ofHer).toEqual([]);
}

function isBareOffline(seen: Seen): boolean {
  return seen.presence === 'offline' && Object.keys(seen).sort().join() === 'presence,sender';
}

async function checkGet({ world }: Stage, viewer: UserId, { sees, permitted = [] }: Scenario): Promise<void> {
  // Who asks need not have wanted to be told; of another server nothing is held for who did not.
  const isPermitted = permitted.includes(viewer) && serverOfUser(viewer) === here;
  if (sees.includes(viewer) || isPermitted)
    expect(await world.get(viewer, alice)).toMatchObject({ presence: 'online', status_msg: status });
  else if (members.includes(viewer)) expect(await world.get(viewer, alice)).toEqual({ presence: 'offline' });
  else await expect(world.get(viewer, alice)).rejects.toMatchObject({ status: 404, errcode: 'M_NOT_FOUND' });
}

/** Nobody is named who does not see her; whoever does is; and nobody of ours is named to another server. */
function checkWire({ world }: Stage, viewer: UserId, { sees, permitted = [] }: Scenario): void {
  const entries = world.transactions
    .filter(({ from, to }) => from === here && to === there)
    .flatMap(({ push }) => push)
    .filter(({ user_id: subject, presence }) => subject === alice && presence !== 'offline');
  const isTold = entries.some(({ allowed_recipients: list }) => {
    const isWhole = list === undefined || list.includes(`@*:${there}`);
    return isWhole ? members.includes(viewer) && serverOfUser(viewer) === there : list.includes(viewer);
  });
  const mayBe = serverOfUser(viewer) === there && (sees.includes(viewer) || permitted.includes(viewer));
  expect([viewer, isTold]).toEqual([viewer, mayBe]);
}
