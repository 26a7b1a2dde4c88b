import { claimsPart } from './keys/claims.ts';
import { runBench } from './support/run.ts';

await runBench('keys', [claimsPart]);
