import { describe, expect, it } from 'vitest';
import type { Dns, ServiceRecord } from '../../../src/base/network/dns.ts';
import {
  OutgoingHttpError,
  type OutgoingRequest,
  type OutgoingResponse,
} from '../../../src/base/network/outgoing-http.ts';
import { createRandom } from '../../../src/base/random.ts';
import { createDiscovery } from '../../../src/federation-out/discovery.ts';
import type { ServerName } from '../../../src/matrix/server-name.ts';
import { ManualClock } from '../../support/manual-clock.ts';

type WebAnswer = Partial<Omit<OutgoingResponse, 'body'>> & { body?: string };
type Web = Record<string, WebAnswer | 'refuses' | ((request: OutgoingRequest) => Promise<WebAnswer>)>;
type Services = Record<string, ServiceRecord[] | 'fails'>;

const hourMs = 3_600_000;

/** The world as discovery sees it: web servers by URL, SRV records by name. Both may be changed on the way. */
function world(web: Web = {}, services: Services = {}) {
  const clock = new ManualClock();
  const asked: string[] = [];
  const looked: string[] = [];
  const requests: OutgoingRequest[] = [];
  const http = {
    async request(request: OutgoingRequest): Promise<OutgoingResponse> {
      requests.push(request);
      const url = `${request.target.scheme}://${request.target.host}:${request.target.port}${request.path}`;
      asked.push(url);
      const found = web[url] ?? 'refuses';
      if (found === 'refuses') throw new OutgoingHttpError('connection', 'refused');
      const { status = 200, headers = {}, body = '' } = typeof found === 'function' ? await found(request) : found;
      return { status, headers, body: Buffer.from(body) };
    },
    stop: async () => {},
  };
  const dns: Dns = {
    listAddresses: async () => [],
    async listServices(name) {
      looked.push(name);
      const found = services[name] ?? [];
      if (found === 'fails') throw new Error('SERVFAIL');
      return found;
    },
  };
  let state = 1;
  const random = createRandom((length) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Uint8Array.from({ length }, (_, index) => state >>> (24 - 8 * index));
  });
  const discovery = createDiscovery({ http, dns, clock, random });
  return {
    clock,
    asked,
    looked,
    requests,
    web,
    services,
    resolve: (name: string) => discovery.resolve(name as ServerName),
  };
}

const wellKnownOf = (host: string) => `https://${host}:443/.well-known/matrix/server`;
const delegation = (to: unknown, headers: Record<string, string> = {}): WebAnswer => ({
  headers,
  body: JSON.stringify({ 'm.server': to }),
});
const record = (host: string, port: number, priority = 0, weight = 0): ServiceRecord => ({
  host,
  port,
  priority,
  weight,
});

describe('discovery of a name that says it all', () => {
  it.each([
    // 1.
    ['1.2.3.4', '1.2.3.4', '1.2.3.4', 8448],
    ['1.2.3.4:80', '1.2.3.4:80', '1.2.3.4', 80],
    ['[2001:db8::1]', '[2001:db8::1]', '2001:db8::1', 8448],
    ['[2001:db8::1]:443', '[2001:db8::1]:443', '2001:db8::1', 443],
    // 2.
    ['hs.example:9448', 'hs.example:9448', 'hs.example', 9448],
    ['localhost:8448', 'localhost:8448', 'localhost', 8448],
  ])('takes %s as it stands and asks nobody', async (name, hostHeader, host, port) => {
    const { asked, looked, resolve } = world();
    expect(await resolve(name)).toEqual({ hostHeader, certificateName: host, targets: [{ host, port }] });
    expect([asked, looked]).toEqual([[], []]);
  });
});

describe('discovery by well-known', () => {
  it.each([
    // 3.1
    ['1.2.3.4', '1.2.3.4', '1.2.3.4', '1.2.3.4', 8448],
    ['1.2.3.4:5', '1.2.3.4:5', '1.2.3.4', '1.2.3.4', 5],
    ['[::2]:5', '[::2]:5', '::2', '::2', 5],
    // 3.2
    ['del.example:5', 'del.example:5', 'del.example', 'del.example', 5],
    // 3.5
    ['del.example', 'del.example', 'del.example', 'del.example', 8448],
  ])('follows a delegation to %s', async (to, hostHeader, certificateName, host, port) => {
    const { asked, requests, resolve } = world({ [wellKnownOf('hs.example')]: delegation(to) });
    expect(await resolve('hs.example')).toEqual({ hostHeader, certificateName, targets: [{ host, port }] });
    expect(asked).toEqual([wellKnownOf('hs.example')]);
    expect(requests[0]?.headers.host).toBe('hs.example');
  });

  it('looks for services of the delegated name (3.3), whose certificate is checked, not that of the target', async () => {
    const services = { '_matrix-fed._tcp.del.example': [record('target.example', 7)] };
    const { resolve } = world({ [wellKnownOf('hs.example')]: delegation('del.example') }, services);
    expect(await resolve('hs.example')).toEqual({
      hostHeader: 'del.example',
      certificateName: 'del.example',
      targets: [{ host: 'target.example', port: 7 }],
    });
  });

  it('looks for the deprecated services of the delegated name (3.4) when there are no others', async () => {
    const services: Services = { '_matrix._tcp.del.example': [record('old.example', 8)] };
    const { services: table, resolve } = world({ [wellKnownOf('hs.example')]: delegation('del.example') }, services);
    expect((await resolve('hs.example')).targets).toEqual([{ host: 'old.example', port: 8 }]);
    table['_matrix-fed._tcp.other.example'] = [record('new.example', 9)];
    table['_matrix._tcp.other.example'] = [record('old.example', 8)];
    expect((await resolve('other.example')).targets).toEqual([{ host: 'new.example', port: 9 }]);
  });

  it('asks only once: a delegation does not lead to the well-known of the delegated name', async () => {
    const web: Web = {
      [wellKnownOf('hs.example')]: delegation('del.example'),
      [wellKnownOf('del.example')]: delegation('further.example'),
    };
    expect((await world(web).resolve('hs.example')).hostHeader).toBe('del.example');
  });

  it('follows redirects, relative ones and to other hosts', async () => {
    const web: Web = {
      [wellKnownOf('hs.example')]: { status: 302, headers: { location: '/elsewhere?x=1' } },
      'https://hs.example:443/elsewhere?x=1': { status: 308, headers: { location: 'https://web.example:444/y' } },
      'https://web.example:444/y': delegation('del.example:1'),
    };
    const { requests, resolve } = world(web);
    expect((await resolve('hs.example')).hostHeader).toBe('del.example:1');
    expect(requests.at(-1)?.headers.host).toBe('web.example:444');
  });

  it.each<[string, Web]>([
    ['refuses the connection', {}],
    ['answers 404', { [wellKnownOf('hs.example')]: { status: 404, body: '{"m.server":"del.example"}' } }],
    ['answers 500', { [wellKnownOf('hs.example')]: { status: 500 } }],
    ['answers with no JSON', { [wellKnownOf('hs.example')]: { body: '<html>' } }],
    ['answers with a list', { [wellKnownOf('hs.example')]: { body: '["m.server"]' } }],
    ['answers with null', { [wellKnownOf('hs.example')]: { body: 'null' } }],
    ['answers without m.server', { [wellKnownOf('hs.example')]: { body: '{}' } }],
    ['answers with a number', { [wellKnownOf('hs.example')]: delegation(5) }],
    ['answers with no server name', { [wellKnownOf('hs.example')]: delegation('https://del.example/') }],
    ['answers with a port that is none', { [wellKnownOf('hs.example')]: delegation('del.example:99999') }],
    ['nests endlessly', { [wellKnownOf('hs.example')]: { body: '['.repeat(25_000) } }],
    ['redirects to itself', { [wellKnownOf('hs.example')]: { status: 301, headers: { location: '' } } }],
    ['redirects nowhere', { [wellKnownOf('hs.example')]: { status: 301 } }],
    [
      'redirects to plain HTTP',
      {
        [wellKnownOf('hs.example')]: { status: 301, headers: { location: 'http://web.example/y' } },
        'http://web.example:80/y': delegation('del.example'),
      },
    ],
    [
      'redirects to a file',
      { [wellKnownOf('hs.example')]: { status: 301, headers: { location: 'file:///etc/passwd' } } },
    ],
    ['redirects to nonsense', { [wellKnownOf('hs.example')]: { status: 301, headers: { location: 'https://[' } } }],
  ])('goes on without when the web server %s', async (_what, web) => {
    const { asked, resolve } = world(web);
    expect(await resolve('hs.example')).toEqual({
      hostHeader: 'hs.example',
      certificateName: 'hs.example',
      targets: [{ host: 'hs.example', port: 8448 }],
    });
    expect(asked.length).toBeLessThanOrEqual(6);
  });

  it('gives the whole chain of redirects ten seconds, and each answer 50 KiB', async () => {
    const slow = world();
    for (let hop = 0; hop < 5; hop += 1) {
      const path = hop === 0 ? '/.well-known/matrix/server' : `/${hop}`;
      slow.web[`https://hs.example:443${path}`] = async () => {
        await slow.clock.advance(4_000);
        return { status: 302, headers: { location: `/${hop + 1}` } };
      };
    }
    expect((await slow.resolve('hs.example')).targets).toEqual([{ host: 'hs.example', port: 8448 }]);
    expect(slow.requests.map(({ timeoutMs }) => timeoutMs)).toEqual([10_000, 6_000, 2_000]);
    expect(slow.requests[0]?.responseBytesMax).toBe(51_200);
  });

  it.each(['1.2.3.4.5', '0x7f.1', '..', '-', 'a..b'])('never throws, not for %j either', async (name) => {
    expect((await world().resolve(name)).targets).toEqual([{ host: name, port: 8448 }]);
  });
});

describe('the cache of well-known answers', () => {
  async function asksAgainAfter(answer: WebAnswer | 'refuses', ms: number): Promise<boolean> {
    const { clock, asked, resolve } = world({ [wellKnownOf('hs.example')]: answer });
    await resolve('hs.example');
    await clock.advance(ms);
    await resolve('hs.example');
    return asked.length > 1;
  }

  it.each<[string, Record<string, string>, number]>([
    ['a day without headers', {}, 24 * hourMs],
    ['as long as the server says', { 'cache-control': 'public, max-age=7200' }, 2 * hourMs],
    ['two days at most', { 'cache-control': 'max-age=99999999' }, 48 * hourMs],
    ['five minutes at least', { 'cache-control': 'max-age=1' }, hourMs / 12],
    ['five minutes when it is not to be kept', { 'cache-control': 'no-store' }, hourMs / 12],
    ['until it expires', { expires: new Date(1_700_000_000_000 + 3 * hourMs).toUTCString() }, 3 * hourMs],
    ['a day when Expires is nonsense', { expires: 'soon' }, 24 * hourMs],
  ])('keeps a delegation for %s', async (_what, headers, keepMs) => {
    expect(await asksAgainAfter(delegation('del.example:1', headers), keepMs - 1)).toBe(false);
    expect(await asksAgainAfter(delegation('del.example:1', headers), keepMs)).toBe(true);
  });

  it('keeps errors for five minutes, doubling to an hour', async () => {
    const { clock, asked, resolve } = world({ [wellKnownOf('hs.example')]: { status: 404 } });
    await resolve('hs.example');
    for (const minutes of [5, 10, 20, 40, 60, 60]) {
      const before = asked.length;
      await clock.advance(minutes * 60_000 - 1);
      await resolve('hs.example');
      expect(asked.length).toBe(before);
      await clock.advance(1);
      await resolve('hs.example');
      expect(asked.length).toBe(before + 1);
    }
  });

  it('keeps to a delegation while the web server is down, for two days, but not when it takes it back', async () => {
    const { clock, web, resolve } = world({ [wellKnownOf('hs.example')]: delegation('del.example:1') });
    const hostAfter = async (ms: number) => {
      await clock.advance(ms);
      return (await resolve('hs.example')).hostHeader;
    };
    expect(await hostAfter(0)).toBe('del.example:1');
    web[wellKnownOf('hs.example')] = 'refuses';
    expect(await hostAfter(25 * hourMs)).toBe('del.example:1');
    expect(await hostAfter(24 * hourMs)).toBe('hs.example');
    web[wellKnownOf('hs.example')] = delegation('del.example:1');
    expect(await hostAfter(hourMs)).toBe('del.example:1');
    web[wellKnownOf('hs.example')] = { status: 404 };
    expect(await hostAfter(25 * hourMs)).toBe('hs.example');
  });

  it('asks once for those who want the same at the same time', async () => {
    const { asked, resolve } = world({ [wellKnownOf('hs.example')]: delegation('del.example') });
    await Promise.all([resolve('hs.example'), resolve('hs.example'), resolve('hs.example')]);
    expect(asked).toHaveLength(1);
  });
});

describe('discovery by services', () => {
  it('finds the server without a well-known (4. and 5.), under its own name', async () => {
    const services: Services = {
      '_matrix-fed._tcp.new.example': [record('target.example', 7)],
      '_matrix._tcp.old.example': [record('target.example', 8)],
    };
    const { resolve } = world({}, services);
    expect(await resolve('new.example')).toEqual({
      hostHeader: 'new.example',
      certificateName: 'new.example',
      targets: [{ host: 'target.example', port: 7 }],
    });
    expect((await resolve('old.example')).targets).toEqual([{ host: 'target.example', port: 8 }]);
  });

  it('tries targets by priority, at most four', async () => {
    const list = [3, 1, 6, 2, 5, 4].map((priority) => record(`t${priority}.example`, priority, priority));
    const { resolve } = world({}, { '_matrix-fed._tcp.hs.example': list });
    expect((await resolve('hs.example')).targets.map(({ port }) => port)).toEqual([1, 2, 3, 4]);
  });

  it('shares among equals by weight', async () => {
    const list = [record('light.example', 1, 0, 1), record('heavy.example', 2, 0, 5)];
    const { clock, resolve } = world({}, { '_matrix-fed._tcp.hs.example': list });
    let heavyFirst = 0;
    for (let round = 0; round < 120; round += 1) {
      if ((await resolve('hs.example')).targets[0]?.port === 2) heavyFirst += 1;
      await clock.advance(hourMs);
    }
    expect(heavyFirst).toBeGreaterThan(85);
    expect(heavyFirst).toBeLessThan(115);
  });

  it('falls back to port 8448 when the name servers fail, and asks them again after a minute', async () => {
    const { clock, looked, services, resolve } = world({}, { '_matrix-fed._tcp.hs.example': 'fails' });
    expect((await resolve('hs.example')).targets).toEqual([{ host: 'hs.example', port: 8448 }]);
    await clock.advance(59_999);
    await resolve('hs.example');
    expect(looked).toHaveLength(2);
    services['_matrix-fed._tcp.hs.example'] = [record('target.example', 7)];
    await clock.advance(1);
    expect((await resolve('hs.example')).targets).toEqual([{ host: 'target.example', port: 7 }]);
  });

  it('leaves name servers that fail alone for longer each time, a quarter of an hour at most', async () => {
    const { clock, looked, resolve } = world({}, { '_matrix._tcp.hs.example': 'fails' });
    await resolve('hs.example');
    for (const minutes of [1, 2, 4, 8, 15, 15]) {
      const before = looked.length;
      await clock.advance(minutes * 60_000 - 1);
      await resolve('hs.example');
      expect(looked).toHaveLength(before);
      await clock.advance(1);
      await resolve('hs.example');
      expect(looked).toHaveLength(before + 2);
    }
  });

  it('keeps what it found for fifteen minutes', async () => {
    const { clock, looked, resolve } = world({}, { '_matrix-fed._tcp.hs.example': [record('target.example', 7)] });
    await resolve('hs.example');
    await clock.advance(15 * 60_000 - 1);
    await resolve('hs.example');
    expect(looked).toHaveLength(2);
    await clock.advance(1);
    await resolve('hs.example');
    expect(looked).toHaveLength(4);
  });
});
