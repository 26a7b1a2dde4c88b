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

  it.runIf(process.platform === 'linux')('is known beforehand to be impossible, and why', () => {
    const folder = mkdtempSync(join(tmpdir(), 'complement-launch-test-'));
    const noNamespaces = join(folder, 'unshare');
    writeFileSync(noNamespaces, '#!/bin/sh\necho "unshare failed: Operation not permitted" >&2; exit 1\n', {
      mode: 0o755,
    });
    expect(findNamespaceProblem(noNamespaces)).toBe('unshare failed: Operation not permitted');
    // A namespace can be had here, but it does not let us have hosts of our own.
    const noMounts = join(folder, 'unshare-only');
    writeFileSync(noMounts, '#!/bin/sh\nmount() { echo "mount: denied" >&2; false; }\n', { mode: 0o755 });
    writeFileSync(noMounts, `${readFileSync(noMounts)}while [ "$1" != -c ]; do shift; done; eval "$2"\n`);
    expect(findNamespaceProblem(noMounts)).toBe('mount: denied');
    expect(findNamespaceProblem(join(folder, 'nowhere'))).toContain('ENOENT');
    rmSync(folder, { recursive: true });
  });
});
