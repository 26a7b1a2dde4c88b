import { fanOutPart } from './presence/fan-out.ts';
import { runBench } from './support/run.ts';

await runBench('presence', [fanOutPart]);
