import { runBench } from './support/run.ts';
import { inboxPart } from './to-device/inbox.ts';
import { stormPart } from './to-device/storm.ts';

await runBench('to-device', [stormPart, inboxPart]);
