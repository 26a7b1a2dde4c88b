import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findNamespaceProblem, launchInNamespace } from '../../../../tools/complement-host/launch.ts';

const problem = findNamespaceProblem();

describe('a launch in a namespace', () => {
  it.skipIf(problem !== undefined)('gives the driver a file of hosts that the machine does not see', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'complement-launch-test-'));
    const file = (name: string, text: string, mode = 0o644) => {
      writeFileSync(join(folder, name), text, { mode });
      return join(folder, name);
    };
    const hostsFile = file('hosts', '127.9.9.9 hs1\n');
    const driver = file('driver', '#!/bin/sh\necho "$SERVER_NAME"; cat /etc/hosts; pwd\nexit 7\n', 0o755);
    const log = openSync(join(folder, 'log'), 'a');
    const environment = { SERVER_NAME: 'hs1' };
    const child = launchInNamespace({ driver, environment, workingDirectory: folder, hostsFile, log });
    expect(await once(child, 'exit')).toEqual([7, null]);
    expect(readFileSync(join(folder, 'log'), 'utf8')).toBe(`hs1\n127.9.9.9 hs1\n${folder}\n`);
    expect(readFileSync('/etc/hosts', 'utf8')).not.toContain('127.9.9.9');
    rmSync(folder, { recursive: true });
  });
});
