import { largeFilesPart } from './media/large-files.ts';
import { thumbnailsPart } from './media/thumbnails.ts';
import { runBench } from './support/run.ts';

await runBench('media', [largeFilesPart, thumbnailsPart]);
