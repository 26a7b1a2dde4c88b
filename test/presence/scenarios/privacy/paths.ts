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
    name: 'live sync that is answered at once',
    arrangement: 'together',
    check: ({ atOnce }, viewer, scenario) => {
      expect(atOnce.get(viewer)).toBeDefined();
      checkSync(atOnce.get(viewer), { viewer, scenario, mayResume: false });
    },
  },
  {
    name: 'sync that goes on from before',
    arrangement: 'together',
    check: (stage, viewer, scenario) =>
      checkSync(stage.resumed.get(viewer), { viewer, scenario, mayResume: stage.restarted }),
  },
  {
    name: 'sync of one who was away',
    arrangement: 'together',
    check: (stage, viewer, scenario) =>
      checkSync(stage.returned.get(viewer), { viewer, scenario, mayResume: stage.restarted }),
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
    check: (stage, viewer, scenario) =>
      checkSync(stage.resumed.get(viewer), { viewer, scenario, mayResume: mayHaveSeen(stage, viewer, scenario) }),
  },
  {
    name: 'newly joined member',
    arrangement: 'she joins',
    check: (stage, viewer, scenario) =>
      checkSync(stage.resumed.get(viewer), { viewer, scenario, mayResume: mayHaveSeen(stage, viewer, scenario) }),
  },
  {
    name: 'newly joined room of one who was away',
    arrangement: 'they join',
    check: (stage, viewer, scenario) =>
      checkSync(stage.returned.get(viewer), { viewer, scenario, mayResume: mayHaveSeen(stage, viewer, scenario) }),
  },
  { name: 'application service', arrangement: 'together', check: checkService },
  { name: 'application service, newly joined', arrangement: 'they join', check: checkService },
  { name: 'GET', arrangement: 'together', check: checkGet },
  { name: 'GET after they joined', arrangement: 'they join', check: checkGet },
  { name: 'GET after she joined', arrangement: 'she joins', check: checkGet },
  { name: 'federation out', arrangement: 'together', check: checkWire },
  {
    name: 'federation out, newly joined',
    arrangement: 'they join',
    // Who came before the room was too large was seen there by everybody.
    check: (stage, viewer, scenario) =>
      scenario.settings?.largestRoom === undefined ? checkWire(stage, viewer, scenario) : undefined,
  },
  { name: 'explain', arrangement: 'together', check: checkExplain },
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
  // Who comes with a token from before a restart may be told that she is not there, and nothing else.
  expect(mayResume ? ofHer.filter((seen) => !isBareOffline(seen)) : ofHer).toEqual([]);
}

/**
 * Whether the viewer may be told that she is not there, when somebody joined: what their server held for everybody may have been faster than what takes
 * it back; and a room may have counted until it was too large.
 */
function mayHaveSeen({ restarted }: Stage, viewer: UserId, { settings }: Scenario): boolean {
  return restarted || serverOfUser(viewer) !== here || settings?.largestRoom !== undefined;
}

function isBareOffline(seen: Seen): boolean {
  return seen.presence === 'offline' && Object.keys(seen).sort().join() === 'presence,sender';
}

/** A service that stands for the viewer alone is told exactly what they are. */
async function checkService({ world }: Stage, viewer: UserId, { sees }: Scenario): Promise<void> {
  const parcel = await world.host(viewer).presence.services.take(viewer, 100);
  const events = parcel.events.map((text) => JSON.parse(text)).filter(({ sender }) => sender === alice);
  const online = { sender: alice, content: { presence: 'online', status_msg: status } };
  expect(events).toMatchObject(sees.includes(viewer) ? [online] : []);
}

/** What the owner is told of who sees them; whether a stranger wants it is not shown. */
async function checkExplain({ world }: Stage, viewer: UserId, { sees, permitted = [] }: Scenario): Promise<void> {
  const report = await world.presence.explain(alice, { after: null, limit: 1_000 });
  const { viewers, servers } = report as unknown as {
    viewers: { user_id: string; sees: boolean }[];
    servers: { server_name: string; whole_server: boolean }[];
  };
  const line = viewers.find(({ user_id: userId }) => userId === viewer);
  const server = servers.find(({ server_name: name }) => name === serverOfUser(viewer));
  const isSaid = line?.sees ?? (server?.whole_server === true && members.includes(viewer));
  expect([viewer, isSaid]).toEqual([viewer, sees.includes(viewer) || permitted.includes(viewer)]);
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
