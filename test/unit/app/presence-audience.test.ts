import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../../src/app/cli/run.ts';
import { settle, startPair, type TestServer } from '../../support/server.ts';
import type { TestUser } from '../../support/user.ts';

/** `lantern presence-audience`, beside a server that runs, and the endpoint that says the same. */

let a: TestServer;
let b: TestServer;
let alice: TestUser;
let bob: TestUser;

beforeAll(async () => {
  [a, b] = await startPair();
  alice = await a.register('alice');
  bob = await b.register('bob');
  const carol = await a.register('carol');
  const room = await alice.createRoom({ preset: 'public_chat' });
  await bob.join(room, a.name);
  await carol.join(room);
  await settle(a, b);
  await alice.setAccountData('m.presence_sharing_config', { denied_users: [carol.userId, '@z*'] });
});

afterAll(async () => {
  await a.stop();
  await b.stop();
});

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const stdout = vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text);
    return true;
  });
  const stderr = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text);
    return true;
  });
  try {
    const settings = [`server_name=${JSON.stringify(a.name)}`, `data_dir=${a.folder}`].flatMap((set) => ['--set', set]);
    return { status: await runCommandLine(['presence-audience', ...settings, ...args]), out, err };
  } finally {
    stdout.mockRestore();
    stderr.mockRestore();
  }
}

describe('the command', () => {
  it('reads the database beside the running server and says what the endpoint says', async () => {
    const { status, out } = await run('--json', alice.userId);
    expect(status).toBe(0);
    const report = await alice.ok('GET', '/_matrix/client/unstable/dev.lantern/presence/audience');
    expect(JSON.parse(out)).toEqual(report);
    expect(report.viewers).toMatchObject([
      { user_id: bob.userId, sees: true, step: 8 },
      { user_id: expect.stringContaining('carol'), sees: false, step: 3 },
    ]);
  });

  it('says it in words', async () => {
    const { out } = await run(alice.userId);
    expect(out).toContain(`Who sees the presence of ${alice.userId}:`);
    expect(out).toMatch(/no {3}@carol:\S+ {2}step 3: @carol:\S+ in denied_users/);
    expect(out).toMatch(/yes {2}@bob:\S+ {2}step 8: !\S+ is shared and not denied/);
    expect(out).toContain('Note: @z* in denied_users matches nobody with whom you share a room.');
  });

  it('says which servers are told nothing, by the configuration that it is given', async () => {
    const { out } = await run('--set', 'presence.unaware_servers=withhold', alice.userId);
    expect(out).toContain(`no   ${b.name}  told nothing`);
    expect(out).not.toContain('@bob');
  });

  it('sees what was committed a moment ago', async () => {
    await alice.setAccountData('m.presence_sharing_config', { denied_users: ['@*'] });
    const { out } = await run('--json', alice.userId);
    expect(JSON.parse(out).viewers.every(({ sees }: { sees: boolean }) => !sees)).toBe(true);
  });

  it('does not tell a user who does not exist from one without rooms', async () => {
    const zoe = await a.register('zoe');
    const unknown = await run('--json', `@nobody:${a.name}`);
    const known = await run('--json', zoe.userId);
    expect({ ...JSON.parse(unknown.out), user_id: zoe.userId }).toEqual(JSON.parse(known.out));
  });

  it.each([
    ['nobody', [], 'say of whom'],
    ['something that is no user', ['alice'], 'say of whom'],
    ['a user of another server', ['@x:elsewhere.test'], 'another server'],
  ])('refuses %s in one line', async (_, args, problem) => {
    const { status, err } = await run(...args);
    expect(status).toBe(1);
    expect(err).toContain(problem);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('makes no database where there is none', async () => {
    const { status, err } = await run('--set', 'database.file=other.db', `@alice:${a.name}`);
    expect(status).toBe(1);
    expect(err).toContain('cannot read the database');
  });
});

describe('the endpoint', () => {
  it('is for oneself, and needs a token', async () => {
    const path = '/_matrix/client/unstable/dev.lantern/presence/audience';
    expect((await fetch(`${a.url}${path}`)).status).toBe(401);
  });

  it.each(['limit=0', 'limit=2000', 'limit=x', 'from=alice'])('refuses %s', async (query) => {
    expect(await alice.call('GET', `/_matrix/client/unstable/dev.lantern/presence/audience?${query}`)).toMatchObject({
      status: 400,
    });
  });
});
