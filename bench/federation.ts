import { idlePart } from './federation/idle.ts';
import { inboundPart } from './federation/inbound.ts';
import { outboundPart } from './federation/outbound.ts';
import { runBench } from './support/run.ts';

await runBench('federation', [
  inboundPart({ origins: 1, transactionsEach: 200 }),
  inboundPart({ origins: 50, transactionsEach: 4 }),
  outboundPart({ servers: 1, messages: 2_000, perSecondMin: 200 }),
  outboundPart({ servers: 100, messages: 400, perSecondMin: 40 }),
  idlePart({ known: 10_000, dead: 9_000 }),
]);
