import { thousandMembersPart } from './push/thousand-members.ts';
import { runBench } from './support/run.ts';

await runBench('push', [thousandMembersPart]);
