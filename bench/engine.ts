import { resolutionPart } from './engine/resolution.ts';
import { runBench } from './support/run.ts';

await runBench('engine', [resolutionPart]);
