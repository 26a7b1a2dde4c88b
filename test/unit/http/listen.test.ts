import { request } from 'node:https';
import { generate } from 'selfsigned';
import { describe, expect, it } from 'vitest';
import { ListenError, listen } from '../../../src/http/listen.ts';

const hello = (_: unknown, response: { end(text: string): void }): void => response.end('hello');

describe('listen', () => {
  it('says in one line that a port is taken', async () => {
    const first = await listen({ address: '127.0.0.1', port: 0, listener: hello });
    const error = await listen({ address: '127.0.0.1', port: first.port, listener: hello }).catch((reason) => reason);
    expect(error).toBeInstanceOf(ListenError);
    expect(error.code).toBe('EADDRINUSE');
    expect(error.message).toBe(`Cannot listen on 127.0.0.1:${first.port}: another program already listens there`);
    await first.stop();
  });

  it('says in one line that the machine has no such address', async () => {
    const error = await listen({ address: '192.0.2.1', port: 0, listener: hello }).catch((reason) => reason);
    expect([error.code, error.message]).toEqual([
      'EADDRNOTAVAIL',
      'Cannot listen on 192.0.2.1:0: this machine has no such address',
    ]);
  });

  it('says that a certificate cannot be used', async () => {
    const tls = { cert: 'no certificate', key: 'no key' };
    const error = await listen({ address: '127.0.0.1', port: 0, listener: hello, tls }).catch((reason) => reason);
    expect(error).toBeInstanceOf(ListenError);
    expect(error.code).toBe('TLS');
  });

  it('speaks TLS with the certificate it was given', async () => {
    const pems = await generate([{ name: 'commonName', value: 'localhost' }], { keyType: 'ec', curve: 'P-256' });
    const listening = await listen({
      address: '127.0.0.1',
      port: 0,
      listener: hello,
      tls: { cert: pems.cert, key: pems.private },
    });
    expect(listening.url).toBe(`https://127.0.0.1:${listening.port}`);
    const text = await new Promise((resolve, reject) => {
      const sent = request(listening.url, { rejectUnauthorized: false, agent: false }, (response) => {
        response.on('data', (chunk) => resolve(chunk.toString()));
      });
      sent.on('error', reject);
      sent.end();
    });
    expect(text).toBe('hello');
    await listening.stop();
  });

  it('answers nobody after its stop, and stops once', async () => {
    const listening = await listen({ address: '127.0.0.1', port: 0, listener: hello });
    expect(await (await fetch(listening.url)).text()).toBe('hello');
    await Promise.all([listening.stop(), listening.stop()]);
    await expect(fetch(listening.url)).rejects.toThrow();
  });
});
