import { beforeEach, describe, expect, it } from 'vitest';
import { createAppServices } from '../../../src/appservices/app-services.ts';
import { type Asking, createAsking } from '../../../src/appservices/asking.ts';
import { parseRegistration } from '../../../src/appservices/registration.ts';
import { silentLog } from '../../../src/base/log.ts';
import { OutgoingHttpError } from '../../../src/base/network/outgoing-http.ts';
import type { RoomAlias, UserId } from '../../../src/matrix/ids.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const server = 'here.example' as ServerName;
const ghost = '@_a_1:here.example' as UserId;

const register = (id: string, exclusive: boolean, url: string | null = 'http://localhost') =>
  parseRegistration(
    {
      id,
      url,
      as_token: `as-${id}`,
      hs_token: 'hs',
      sender_localpart: `${id}bot`,
      namespaces: {
        users: [{ exclusive, regex: '@_a_.*' }],
        aliases: [{ exclusive, regex: '#_a_.*' }],
      },
    },
    server,
  );

let clock: ManualClock;
let asked: string[];
/** What each service answers: a status, or no answer at all. */
let answers: Record<string, number | 'silence'>;
let asking: Asking;

beforeEach(() => {
  clock = new ManualClock();
  asked = [];
  answers = {};
  asking = createAsking({
    services: createAppServices([register('off', true, null), register('guest', false), register('owner', true)]),
    clock,
    log: silentLog,
    call: async ({ id }, { path }) => {
      asked.push(`${id} ${path}`);
      const answer = answers[id] ?? 404;
      if (answer === 'silence') throw new OutgoingHttpError('connection', 'nobody is there');
      return { status: answer, headers: {}, body: Buffer.from('{}') };
    },
  });
});

const path = `/users/${encodeURIComponent(ghost)}`;

describe('services', () => {
  it('are asked one after the other until one has made the user, and not where nothing can be asked', async () => {
    answers = { guest: 404, owner: 200 };
    expect(await asking.askForUser(ghost)).toBe(true);
    expect(asked).toEqual([`guest ${path}`, `owner ${path}`]);
    asked = [];
    answers = { guest: 200 };
    expect(await asking.askForUser(ghost)).toBe(true);
    expect(asked).toEqual([`guest ${path}`]);
  });

  it('that all know nobody leave nobody', async () => {
    expect(await asking.askForUser(ghost)).toBe(false);
    expect(await asking.askForAlias('#_a_1:here.example' as RoomAlias)).toBe(false);
    expect(asked.slice(2)).toEqual([
      `guest /rooms/${encodeURIComponent('#_a_1:here.example')}`,
      `owner /rooms/${encodeURIComponent('#_a_1:here.example')}`,
    ]);
  });

  it('are asked once by all who ask the same at once', async () => {
    answers = { guest: 200 };
    expect(await Promise.all([asking.askForUser(ghost), asking.askForUser(ghost)])).toEqual([true, true]);
    expect(asked).toHaveLength(1);
    await asking.askForUser(ghost);
    expect(asked).toHaveLength(2);
  });

  it('that are silent are asked thrice; it is an error only where the user is theirs alone', async () => {
    answers = { guest: 'silence' };
    expect(await withTime(asking.askForUser(ghost))).toBe(false);
    expect(asked.filter((one) => one.startsWith('guest'))).toHaveLength(3);
    answers = { owner: 503 };
    await expect(withTime(asking.askForUser(ghost))).rejects.toMatchObject({ status: 408, errcode: 'M_UNKNOWN' });
  });

  it('hear of no more than they can bear: who comes beyond finds nobody', async () => {
    answers = { guest: 'silence' };
    const all = Array.from({ length: 209 }, (_, index) => asking.askForUser(`@_a_${index}:here.example` as UserId));
    // The last comes when eight are asked and two hundred wait; only the other service is left to ask.
    expect(await all[208]).toBe(false);
    expect(asked.at(-1)).toBe(`owner /users/${encodeURIComponent('@_a_208:here.example')}`);
    await withTime(Promise.all(all));
  });
});

/** Lets time pass until the work is done. */
async function withTime<T>(work: Promise<T>): Promise<T> {
  let done = false;
  const end = () => {
    done = true;
  };
  work.then(end, end);
  while (!done) await clock.advance(1_000);
  return work;
}
