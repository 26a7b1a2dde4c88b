import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createAuthority, createCertificate } from '../../../../src/app/certificates.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import type { Dns } from '../../../../src/base/network/dns.ts';
import {
  createOutgoingHttp,
  type OutgoingHttp,
  type OutgoingHttpDeps,
  type OutgoingRequest,
} from '../../../../src/base/network/outgoing-http.ts';
import { ManualClock } from '../../../support/manual-clock.ts';

const stops: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop();
});

/** Every name leads to this machine, unless it says otherwise. */
function dnsOf(addresses: Record<string, string[]> = {}): Dns {
  return {
    listAddresses: async (host) =>
      (addresses[host] ?? ['127.0.0.1']).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    listServices: async () => [],
  };
}

function outgoing(options: Partial<OutgoingHttpDeps> = {}): OutgoingHttp {
  const http = createOutgoingHttp({ clock: systemClock, dns: dnsOf(), allowPrivateAddresses: true, ...options });
  stops.push(() => http.stop());
  return http;
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  stops.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return (server.address() as AddressInfo).port;
}

function get(port: number, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return {
    target: { scheme: 'http', host: 'a.example', port },
    method: 'GET',
    path: '/x?y=%20z',
    headers: { host: 'b.example:1' },
    timeoutMs: 5_000,
    responseBytesMax: 1_000,
    ...more,
  };
}

const serve = (listener: RequestListener) => listen(createServer(listener));

describe('an outgoing request', () => {
  it('carries method, path, headers and body as given, and brings back the answer', async () => {
    const port = await serve((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        response.writeHead(418, { 'X-One': 'first' });
        response.end(`${request.method} ${request.url} ${request.headers.host} ${Buffer.concat(chunks)}`);
      });
    });
    const response = await outgoing().request(get(port, { method: 'PUT', body: '{"ü":1}' }));
    expect(response.status).toBe(418);
    expect(response.headers['x-one']).toBe('first');
    expect(response.body.toString()).toBe('PUT /x?y=%20z b.example:1 {"ü":1}');
  });

  it('gives a redirect as it is', async () => {
    const port = await serve((_request, response) => response.writeHead(302, { location: '/else' }).end());
    const response = await outgoing().request(get(port));
    expect([response.status, response.headers.location]).toEqual([302, '/else']);
  });

  it('stops reading an answer that is larger than allowed, announced or not', async () => {
    const port = await serve((request, response) => {
      if (request.url === '/announced') response.setHeader('content-length', 5_000);
      response.write('x'.repeat(1_500));
    });
    const http = outgoing();
    for (const path of ['/announced', '/chunked']) {
      await expect(http.request(get(port, { path }))).rejects.toMatchObject({ reason: 'too_large' });
    }
    const exact = await serve((_request, response) => response.end('x'.repeat(1_000)));
    expect((await http.request(get(exact))).body.length).toBe(1_000);
  });

  it('is given up where the headers of the answer never end', async () => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => {});
      socket.write('HTTP/1.1 200 OK\r\n');
      const line = `X-More: ${'x'.repeat(1_000)}\r\n`;
      const pour = (): void => {
        while (!socket.destroyed && socket.write(line));
      };
      socket.on('drain', pour);
      pour();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    stops.push(async () => server.close());
    const port = (server.address() as AddressInfo).port;
    // Time stands still: it is their size that ends it.
    await expect(outgoing({ clock: new ManualClock() }).request(get(port))).rejects.toMatchObject({
      reason: 'connection',
    });
  });

  it('ends after its time, whether the answer never begins or never ends', async () => {
    const clock = new ManualClock();
    let reached = 0;
    const port = await serve((request, response) => {
      reached += 1;
      if (request.url === '/endless') response.write('x');
    });
    const http = outgoing({ clock });
    for (const path of ['/silent', '/endless']) {
      const pending = http.request(get(port, { path })).catch((error: unknown) => error);
      const before = reached;
      while (reached === before) await new Promise((resolve) => setImmediate(resolve));
      await clock.advance(5_000);
      expect(await pending).toMatchObject({ reason: 'timeout' });
    }
    expect(clock.pendingCount).toBe(0);
  });

  it('is refused for a literal address that is not public, without a connection', async () => {
    let reached = false;
    const port = await serve((_request, response) => {
      reached = true;
      response.end();
    });
    const http = outgoing({ allowPrivateAddresses: false });
    for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1', '169.254.169.254']) {
      const request = http.request(get(port, { target: { scheme: 'http', host, port } }));
      await expect(request).rejects.toMatchObject({ reason: 'forbidden_address' });
    }
    expect(reached).toBe(false);
  });

  it('is refused for a name whose addresses are all private, and for a name with none', async () => {
    const port = await serve((_request, response) => response.end());
    const dns = dnsOf({ 'inside.example': ['10.0.0.1', '::1', '127.0.0.1'], 'none.example': [] });
    const http = outgoing({ allowPrivateAddresses: false, dns });
    const request = (host: string) => http.request(get(port, { target: { scheme: 'http', host, port } }));
    await expect(request('inside.example')).rejects.toMatchObject({ reason: 'forbidden_address' });
    await expect(request('none.example')).rejects.toMatchObject({ reason: 'no_address' });
  });

  it.each(['2130706433', '0x7f000001', '0x7f.1', '127.1', '99999999999999999999', '1.2.3.4.5', '-', 'a..b'])(
    'never goes to %s, which is no name or is read as an address',
    async (host) => {
      const http = outgoing({ allowPrivateAddresses: false, dns: dnsOf({ '-': [], 'a..b': [] }) });
      const target = { scheme: 'http', host, port: await serve((_, response) => response.end()) } as const;
      await expect(http.request({ ...get(1), target })).rejects.toMatchObject({ reason: 'no_address' });
    },
  );

  it('leaves out the private ones of several addresses', async () => {
    const port = await serve((_request, response) => response.end('reached'));
    const dns = dnsOf({ 'mixed.example': ['10.0.0.1', '127.0.0.1'] });
    const http = outgoing({ allowPrivateAddresses: false, allowedRanges: ['127.0.0.1'], dns });
    const response = await http.request(get(port, { target: { scheme: 'http', host: 'mixed.example', port } }));
    expect(response.body.toString()).toBe('reached');
  });

  it('says when the name cannot be looked up, and when nobody listens', async () => {
    const dns: Dns = { listAddresses: () => Promise.reject(new Error('SERVFAIL')), listServices: async () => [] };
    await expect(outgoing({ dns }).request(get(1))).rejects.toMatchObject({ reason: 'no_address' });
    const server = createServer();
    const port = await listen(server);
    server.close();
    await expect(outgoing().request(get(port))).rejects.toMatchObject({ reason: 'connection' });
  });

  it('fails as busy when too many to one place are under way', async () => {
    const port = await serve(() => {});
    const http = outgoing();
    const waiting = Array.from({ length: 64 }, () => http.request(get(port)).catch((error: unknown) => error));
    await expect(http.request(get(port))).rejects.toMatchObject({ reason: 'busy' });
    await http.stop();
    expect(await waiting[0]).toMatchObject({ reason: 'connection' });
  });

  it('can be given up by its caller', async () => {
    const port = await serve(() => {});
    const abort = new AbortController();
    const pending = outgoing().request(get(port, { signal: abort.signal }));
    abort.abort();
    await expect(pending).rejects.toMatchObject({ reason: 'connection' });
  });
});

describe('an outgoing request over TLS', () => {
  async function serveTls(hosts: string[]) {
    const authority = await createAuthority(Date.now());
    const pair = await createCertificate(hosts, Date.now(), authority);
    const names: unknown[] = [];
    const server = createTlsServer({ cert: pair.certificate, key: pair.key }, (request, response) => {
      names.push(Reflect.get(request.socket, 'servername'));
      response.end('secret');
    });
    return { port: await listen(server), extraCaPem: authority.certificate, names };
  }
  const over = (port: number, host: string, certificateName?: string) =>
    get(port, { target: { scheme: 'https', host, port, ...(certificateName ? { certificateName } : {}) } });

  it('trusts the configured authority, and does not without', async () => {
    const { port, extraCaPem } = await serveTls(['a.example']);
    const response = await outgoing({ extraCaPem }).request(over(port, 'a.example'));
    expect(response.body.toString()).toBe('secret');
    await expect(outgoing().request(over(port, 'a.example'))).rejects.toMatchObject({ reason: 'connection' });
  });

  it('asks for and checks the name it was told, not that of the machine behind it', async () => {
    const { port, extraCaPem, names } = await serveTls(['a.example']);
    const http = outgoing({ extraCaPem });
    await http.request(over(port, 'target.example', 'a.example'));
    expect(names).toEqual(['a.example']);
    await expect(http.request(over(port, 'a.example', 'b.example'))).rejects.toMatchObject({ reason: 'connection' });
    await expect(http.request(over(port, 'target.example'))).rejects.toMatchObject({ reason: 'connection' });
  });

  it('checks the certificate for the address where there is no name', async () => {
    const right = await serveTls(['127.0.0.1']);
    const wrong = await serveTls(['a.example']);
    const request = (port: number, extraCaPem: string) =>
      outgoing({ extraCaPem }).request({ ...over(port, '127.0.0.1', '127.0.0.1'), headers: { host: '127.0.0.1' } });
    expect((await request(right.port, right.extraCaPem)).status).toBe(200);
    expect(right.names).toEqual([false]);
    await expect(request(wrong.port, wrong.extraCaPem)).rejects.toMatchObject({ reason: 'connection' });
  });
});

describe('an answer that is taken while it arrives', () => {
  const take = (port: number, more: Partial<OutgoingRequest> = {}) => {
    const taken: string[] = [];
    const takeBody = async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) taken.push(Buffer.from(chunk).toString());
    };
    return { taken, answer: outgoing().request(get(port, { takeBody, ...more })) };
  };

  it('is handed over piece by piece, and is not kept', async () => {
    let goOn: () => void = () => undefined;
    const port = await serve((_request, response) => {
      response.write('first');
      goOn = () => response.end('last');
    });
    const taken: string[] = [];
    const answer = outgoing().request(
      get(port, {
        async takeBody(chunks) {
          for await (const chunk of chunks) {
            taken.push(Buffer.from(chunk).toString());
            goOn();
          }
        },
      }),
    );
    expect(await answer).toMatchObject({ status: 200, body: Buffer.alloc(0) });
    expect(taken).toEqual(['first', 'last']);
  });

  it('is kept as ever where it is no 200', async () => {
    const port = await serve((_request, response) => response.writeHead(403).end('no'));
    const { taken, answer } = take(port);
    expect(await answer).toMatchObject({ status: 403, body: Buffer.from('no') });
    expect(taken).toEqual([]);
  });

  it('is given with its headers', async () => {
    const port = await serve((_request, response) => response.writeHead(200, { 'X-Kind': 'text' }).end('x'));
    let kind: string | undefined;
    const takeBody: OutgoingRequest['takeBody'] = async (_chunks, headers) => {
      kind = headers['x-kind'];
    };
    await take(port, { takeBody }).answer;
    expect(kind).toBe('text');
  });

  it('has less room where it is no 200, since that is kept', async () => {
    const sizes = { '/small': 256 * 1024, '/large': 256 * 1024 + 1 };
    const port = await serve((request, response) => {
      response.writeHead(404).end('x'.repeat(sizes[request.url === '/small' ? '/small' : '/large']));
    });
    const limits = { responseBytesMax: 1024 * 1024 };
    expect((await take(port, { ...limits, path: '/small' }).answer).body.length).toBe(256 * 1024);
    await expect(take(port, { ...limits, path: '/large' }).answer).rejects.toMatchObject({ reason: 'too_large' });
  });

  it('ends at its limit of size', async () => {
    const port = await serve((_request, response) => {
      response.write('x'.repeat(900));
      setImmediate(() => response.end('x'.repeat(900)));
    });
    await expect(take(port).answer).rejects.toMatchObject({ reason: 'too_large' });
  });

  it('ends at its limit of time', async () => {
    const clock = new ManualClock();
    const port = await serve((_request, response) => void response.write('drip'));
    const answer = outgoing({ clock }).request(
      get(port, {
        async takeBody(chunks) {
          for await (const _ of chunks) void clock.advance(5_000);
        },
      }),
    );
    await expect(answer).rejects.toMatchObject({ reason: 'timeout' });
  });

  it('fails as a connection where it breaks off', async () => {
    const port = await serve((_request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('half');
      setImmediate(() => response.destroy());
    });
    await expect(take(port).answer).rejects.toMatchObject({ reason: 'connection' });
  });

  it('fails with what whoever takes it throws, and nothing more is sent', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    const port = await serve((_request, response) => {
      closed = once(response, 'close');
      response.write('start');
    });
    const failure = new TypeError('not this');
    const takeBody = async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const _ of chunks) throw failure;
    };
    await expect(take(port, { takeBody }).answer).rejects.toBe(failure);
    await closed;
  });

  it('may be left before its end', async () => {
    let closed: Promise<unknown> = Promise.resolve();
    const port = await serve((_request, response) => {
      closed = once(response, 'close');
      response.write('start');
    });
    expect(await take(port, { takeBody: async () => undefined }).answer).toMatchObject({ status: 200 });
    await closed;
  });
});
