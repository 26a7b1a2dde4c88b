import { largeFilesPart } from './media/large-files.ts';
import { runBench } from './support/run.ts';

await runBench('media', [largeFilesPart]);
