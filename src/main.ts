#!/usr/bin/env -S node --min-semi-space-size=16 --max-semi-space-size=16 --heap-growing-percent=50 --no-memory-reducer --v8-pool-size=0
import { runCommandLine } from './app/cli/run.ts';

process.exit(await runCommandLine(process.argv.slice(2)));
