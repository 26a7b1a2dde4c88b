import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Container } from '../../../../tools/complement-host/container.ts';
import { spawnOptions } from '../../../../tools/complement-host/launch.ts';

let directory: string;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'complement-container-test-'));
  mkdirSync(join(directory, 'root'));
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

/** A container that never hears of its driver: the program is run in its place. */
function containerOf(program: string, args: readonly string[] = []): Container {
  return new Container({
    id: 'a',
    name: 'complement_hs1',
    imageName: 'lantern',
    labels: {},
    environment: {},
    network: 'network',
    aliases: ['hs1'],
    address: '127.0.0.1',
    extraHosts: new Map(),
    driver: 'driver',
    directory,
    logFile: join(directory, 'log'),
    launch: (request) => spawn(program, args, spawnOptions(request)),
    warn: (message) => warnings.push(message),
  });
}

const running = [process.execPath, ['-e', 'setInterval(() => {}, 1000)']] as const;

describe('a container whose driver cannot be started', () => {
  it('says so to the one who starts it, is as it was before, and has nothing to wait for', async () => {
    const container = containerOf(join(directory, 'nowhere'));
    await expect(container.start()).rejects.toThrow('ENOENT');
    await container.ended();
    expect([container.status, container.processId, container.exitCode]).toEqual(['created', 0, undefined]);
    await container.stop(0);
    expect(warnings).toEqual([]);
  });
});

describe('a container that is just being started', () => {
  it('runs already for who stops it', async () => {
    const container = containerOf(...running);
    const started = container.start();
    expect(container.status).toBe('running');
    await container.stop(60_000);
    await started;
    expect([container.status, container.exitCode]).toEqual(['exited', 128 + 15]);
  });

  it('is not started a second time', async () => {
    const container = containerOf(...running);
    const started = container.start();
    const { processId } = container;
    await container.start();
    await started;
    expect(container.processId).toBe(processId);
    await container.kill();
    expect(container.status).toBe('exited');
  });

  it('and ends at once is seen to have ended', async () => {
    const container = containerOf(process.execPath, ['-e', 'process.exit(3)']);
    await container.start();
    await container.ended();
    expect([container.status, container.exitCode]).toEqual(['exited', 3]);
    expect(warnings).toEqual([expect.stringMatching(/complement_hs1 ended by itself \(exit status 3\)/)]);
  });
});
