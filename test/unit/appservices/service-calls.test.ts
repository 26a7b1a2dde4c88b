import { expect, it } from 'vitest';
import { parseRegistration } from '../../../src/appservices/registration.ts';
import { createServiceCalls, isReachable } from '../../../src/appservices/service-calls.ts';
import type { OutgoingRequest } from '../../../src/base/network/outgoing-http.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';

const service = parseRegistration(
  { id: 'a', url: 'http://localhost:9/base', as_token: 'as', hs_token: 'h&s', sender_localpart: 'bot' },
  'here.example' as ServerName,
);

/** Answers what is asked in turn with these. */
async function ask(answers: readonly { status: number; body?: unknown }[]) {
  const requests: OutgoingRequest[] = [];
  const request = async (asked: OutgoingRequest) => {
    const { status, body } = answers[requests.push(asked) - 1] ?? { status: 500 };
    return { status, headers: {}, body: Buffer.from(body === undefined ? '' : JSON.stringify(body)) };
  };
  if (!isReachable(service)) throw new Error('it has a url');
  const call = { method: 'GET', path: '/users/%40a', legacyPath: '/users/%40a', timeoutMs: 5 } as const;
  const { status } = await createServiceCalls({ http: { request } })(service, call);
  return { status, requests };
}

it('shows the token of the registration in the header, below the path of the url', async () => {
  const { requests } = await ask([{ status: 200, body: {} }]);
  expect(requests).toHaveLength(1);
  expect(requests[0]).toMatchObject({
    target: { scheme: 'http', host: 'localhost', port: 9 },
    path: '/base/_matrix/app/v1/users/%40a',
    headers: { authorization: 'Bearer h&s', host: 'localhost:9' },
    timeoutMs: 5,
  });
});

it.each([
  { status: 404 },
  { status: 404, body: { errcode: 'M_UNRECOGNIZED' } },
  { status: 405, body: { errcode: 'M_UNRECOGNIZED' } },
  { status: 501, body: [] },
])('asks the older path where the newer one is not known: %j', async (first) => {
  const { status, requests } = await ask([first, { status: 200 }]);
  expect([status, requests[1]?.path]).toEqual([200, '/base/users/%40a?access_token=h%26s']);
});

it.each([
  { status: 200 },
  { status: 404, body: { errcode: 'M_NOT_FOUND' } },
  { status: 403, body: { errcode: 'M_FORBIDDEN' } },
  { status: 500 },
])('takes every other answer for what it is: %j', async (first) => {
  const { status, requests } = await ask([first]);
  expect([status, requests.length]).toEqual([first.status, 1]);
});
