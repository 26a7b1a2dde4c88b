import { joinsPart } from './messages/joins.ts';
import { messagesPart } from './messages/messages.ts';
import { runBench } from './support/run.ts';

await runBench('messages', [
  messagesPart({ readers: 100, perSecond: 300, cpuMsMax: 3 }),
  messagesPart({ readers: 500, perSecond: 60, cpuMsMax: 12 }),
  joinsPart,
]);
