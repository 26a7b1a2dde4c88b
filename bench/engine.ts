import { authChainPart } from './engine/auth-chain.ts';
import { mergeInStoragePart } from './engine/merge-in-storage.ts';
import { pduCheckPart } from './engine/pdu-check.ts';
import { resolutionPart } from './engine/resolution.ts';
import { thousandBranchesPart } from './engine/thousand-branches.ts';
import { runBench } from './support/run.ts';

await runBench('engine', [pduCheckPart, resolutionPart, thousandBranchesPart, authChainPart, mergeInStoragePart]);
