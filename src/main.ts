#!/usr/bin/env node
import { runCommandLine } from './app/cli/run.ts';

process.exit(await runCommandLine(process.argv.slice(2)));
