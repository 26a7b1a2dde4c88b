import { describe, expect, it } from 'vitest';
import { AuthenticationRequired, createInteractiveAuth } from '../../../src/accounts/interactive-auth.ts';
import { systemRandom } from '../../../src/base/random.ts';
import type { UserId } from '../../../src/matrix/ids.ts';
import type { JsonObject } from '../../../src/matrix/pdu.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const alice = '@alice:a.test' as UserId;

function setUp() {
  const clock = new ManualClock();
  const interactiveAuth = createInteractiveAuth({
    clock,
    random: systemRandom,
    resolveUser: (user) => `@${user}:a.test` as UserId,
    isPassword: async (userId, password) => userId === alice && password === 'secret',
  });
  const attempt = (auth: JsonObject | undefined, purpose = 'leave') =>
    interactiveAuth.authorize({ purpose, stage: 'm.login.password', userId: alice, auth });
  const open = async (purpose = 'leave'): Promise<string> => {
    const error = await attempt(undefined, purpose).catch((reason: AuthenticationRequired) => reason);
    if (!(error instanceof AuthenticationRequired)) throw new Error('authentication was not asked for');
    return String(error.fields.session);
  };
  return { clock, attempt, open };
}

const password = { type: 'm.login.password', identifier: { type: 'm.id.user', user: 'alice' }, password: 'secret' };

describe('interactive authentication', () => {
  it('passes with the password, with and without a session, with and without naming the user', async () => {
    const { attempt, open } = setUp();
    await expect(attempt(password)).resolves.toBeUndefined();
    await expect(attempt({ ...password, session: await open() })).resolves.toBeUndefined();
    await expect(attempt({ type: 'm.login.password', password: 'secret' })).resolves.toBeUndefined();
  });

  it('never passes without a word of authentication', async () => {
    const { attempt, open } = setUp();
    await expect(attempt(undefined)).rejects.toThrow(AuthenticationRequired);
    await expect(attempt({ session: await open() })).rejects.toThrow(AuthenticationRequired);
    await expect(attempt({ type: 'm.login.dummy' })).rejects.toThrow(AuthenticationRequired);
    await expect(attempt({ ...password, password: 1 })).rejects.toThrow(AuthenticationRequired);
  });

  it('says how far a session got without calling that a failure', async () => {
    const { attempt, open } = setUp();
    const session = await open();
    const error = await attempt({ session }).catch((reason) => reason);
    expect(error.toBody()).toEqual({ flows: [{ stages: ['m.login.password'] }], params: {}, session });
  });

  it('ends a session after a quarter of an hour', async () => {
    const { attempt, clock, open } = setUp();
    const [early, late] = [await open(), await open()];
    await clock.advance(15 * 60_000 - 1);
    await attempt({ ...password, session: early });
    await clock.advance(1);
    await expect(attempt({ ...password, session: late })).rejects.toThrow('no longer');
  });

  it('forgets the oldest session when too many are open', async () => {
    const { attempt, open } = setUp();
    const first = await open();
    const second = await open();
    for (let count = 0; count < 9_999; count += 1) await open('other');
    await expect(attempt({ ...password, session: first })).rejects.toThrow('not known');
    // The refusal opened a session too, so the second was the oldest then.
    await expect(attempt({ ...password, session: second })).rejects.toThrow('not known');
  });
});
