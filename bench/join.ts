import { joinPart } from './join/join.ts';
import { runBench } from './support/run.ts';

await runBench('join', [joinPart]);
