import { doubledPart } from './presence/doubled.ts';
import { fanOutPart } from './presence/fan-out.ts';
import { idlePart } from './presence/idle.ts';
import { manyServersPart } from './presence/many-servers.ts';
import { runBench } from './support/run.ts';

await runBench('presence', [
  fanOutPart,
  idlePart({ connected: 2_000, share: 0.01, rssMiB: 250 }),
  idlePart({ connected: 10_000, share: 0.03, rssMiB: 600 }),
  manyServersPart({ count: 500, alive: 500 }),
  manyServersPart({ count: 500, alive: 100 }),
  doubledPart,
]);
