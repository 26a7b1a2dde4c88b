import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  certificateHosts,
  createAuthority,
  createCertificate,
  ensureAuthority,
  ensureCertificate,
} from '../../../src/app/certificates.ts';

const nowMs = 1_700_000_000_000;
const yearMs = 365 * 86_400_000;
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lantern-certificates-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('certificates', () => {
  it('are signed by the authority they were made with, and by no other', async () => {
    const authority = await createAuthority(nowMs);
    const other = await createAuthority(nowMs);
    const leaf = new X509Certificate((await createCertificate(['hs1'], nowMs, authority)).certificate);
    expect(leaf.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
    expect(leaf.verify(new X509Certificate(other.certificate).publicKey)).toBe(false);
    expect(leaf.ca).toBe(false);
    expect(new X509Certificate(authority.certificate).ca).toBe(true);
  });

  it('carry names and addresses', async () => {
    const leaf = new X509Certificate((await createCertificate(certificateHosts('localhost:8448'), nowMs)).certificate);
    expect(leaf.checkHost('localhost')).toBe('localhost');
    expect(leaf.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(leaf.checkIP('::1')).toBe('::1');
    expect(leaf.checkHost('example.org')).toBeUndefined();
    expect(certificateHosts('[2001:db8::1]:1')).toEqual(['2001:db8::1']);
  });

  it('stay as they are while they are good, and are made anew when they end or lack a name', async () => {
    const request = { folder, name: 'hs1', hosts: ['hs1'] };
    const first = await ensureCertificate(request, nowMs);
    expect(await ensureCertificate(request, nowMs)).toEqual(first);
    const renewed = await ensureCertificate(request, nowMs + yearMs);
    expect(renewed.certificate).not.toBe(first.certificate);
    const other = await ensureCertificate({ ...request, hosts: ['hs1', 'hs2'] }, nowMs + yearMs);
    expect(other.certificate).not.toBe(renewed.certificate);
    expect(readFileSync(join(folder, 'hs1.crt'), 'utf8')).toBe(other.certificate);
  });

  it('keep their keys for their owner, and an authority stays the same', async () => {
    const authority = await ensureAuthority(folder, 'ca', nowMs);
    expect(await ensureAuthority(folder, 'ca', nowMs)).toEqual(authority);
    expect(statSync(join(folder, 'ca.key')).mode & 0o777).toBe(0o600);
  });
});
