import { millionMessagesPart } from './search/million-messages.ts';
import { runBench } from './support/run.ts';

await runBench('search', [millionMessagesPart]);
