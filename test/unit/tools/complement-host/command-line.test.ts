import { describe, expect, it } from 'vitest';
import { parseCommandLine, UsageError } from '../../../../tools/complement-host/command-line.ts';
import { hostsFor } from '../../../../tools/complement-host/hosts.ts';

const here = import.meta.filename;

describe('the command line', () => {
  it('takes a driver for every image, and one for an image of its own', () => {
    const { drivers } = parseCommandLine(['--driver', here, '--driver', `synapse=${here}`]);
    expect([...drivers]).toEqual([
      ['', here],
      ['synapse', here],
    ]);
  });

  it('takes what stands behind -- as the command, options and all', () => {
    const { command, commandDirectory } = parseCommandLine(['--driver', here, '--in', '/', '--', 'go', 'test', '-v']);
    expect(command).toEqual(['go', 'test', '-v']);
    expect(commandDirectory).toBe('/');
  });

  it('makes paths absolute, because the command runs elsewhere', () => {
    const { logDirectory, dataDirectory } = parseCommandLine(['--driver', here, '--logs', 'logs', '--data', 'x']);
    expect(logDirectory).toBe(`${process.cwd()}/logs`);
    expect(dataDirectory).toBe(`${process.cwd()}/x`);
  });

  it('gives help without a driver', () => {
    expect(parseCommandLine(['--help']).help).toBe(true);
  });

  it.each([
    ['no driver', [], /--driver is missing/],
    ['a driver that is not there', ['--driver', 'nowhere/start'], /no such file/],
    ['an unknown option', ['--drivers', here], /--drivers/],
  ])('refuses %s', (_what, args, reason) => {
    expect(() => parseCommandLine(args)).toThrow(reason);
    expect(() => parseCommandLine(args)).toThrow(UsageError);
  });
});

describe('the hosts of a container', () => {
  const machine = { hosts: '127.0.0.1 localhost\n', gateway: '127.0.0.1' };
  const container = (alias: string, address: string, extraHosts: [string, string][] = []) => ({
    aliases: [alias],
    address,
    extraHosts: new Map(extraHosts),
  });

  it('are the members of its network, its own further names, and the machine', () => {
    const hs1 = container('hs1', '127.1.1.1', [
      ['complement', 'host-gateway'],
      ['other', '10.0.0.1'],
    ]);
    expect(hostsFor(hs1, [hs1, container('hs2', '127.1.1.2')], machine)).toBe(
      '127.1.1.1 hs1\n127.1.1.2 hs2\n127.0.0.1 complement\n10.0.0.1 other\n127.0.0.1 localhost\n',
    );
  });

  it('mean the newest of several that share a name, but to each of these itself', () => {
    const old = container('hs1', '127.1.1.1');
    const young = container('hs1', '127.1.1.9');
    const other = container('hs2', '127.1.1.2');
    const members = [old, young, other];
    expect(hostsFor(other, members, machine)).toContain('127.1.1.9 hs1\n');
    expect(hostsFor(old, members, machine)).toContain('127.1.1.1 hs1\n');
    expect(hostsFor(young, members, machine)).toContain('127.1.1.9 hs1\n');
  });
});
