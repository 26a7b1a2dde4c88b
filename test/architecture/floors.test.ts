import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const src = join(root, 'src');

/** Lowest first. Folders of one row are neighbours: they never import each other. */
const floors: readonly (readonly string[])[] = [
  ['base'],
  ['matrix'],
  ['signing'],
  ['engine'],
  ['storage'],
  ['feed', 'roster'],
  ['federation-out', 'appservices'],
  ['accounts', 'rooms', 'directory', 'ephemeral', 'presence', 'e2ee', 'media', 'push'],
  ['sync', 'federation-in', 'operations'],
  ['http'],
  ['app'],
];

/** Packages with one owner: a folder, or one file without its ending. */
const owners: Readonly<Record<string, readonly string[]>> = {
  koa: ['http'],
  '@koa/router': ['http'],
  'better-sqlite3': ['storage/sqlite'],
  undici: ['base/network/outgoing-http'],
  tweetnacl: ['signing/ed25519'],
  'sodium-native': ['signing/verifiers'],
  pino: ['base/log'],
  'prom-client': ['base/metrics'],
  'rate-limiter-flexible': ['base/rate-limit'],
  'canonical-json': ['base/json/canonical-json'],
  '@node-rs/argon2': ['accounts/passwords'],
  sharp: ['media/core/images'],
  'file-type': ['media/core/sniff'],
  htmlparser2: ['media/page'],
  selfsigned: ['app'],
  yaml: ['app'],
  zod: ['http', 'app'],
};

/** Folders whose subfolders import the folder's own files and `core`, never each other. */
const split = ['base', 'http/client', 'presence'];

const sourceLinesMax = 400;
/** Tables of data may be longer. */
const dataTables: ReadonlySet<string> = new Set();

interface Import {
  from: string;
  specifier: string;
  /** Path below src for a relative import. */
  target: string | undefined;
}

function listFiles(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? listFiles(path) : path.endsWith('.ts') ? [path] : [];
  });
}

function importsOf(text: string, path: string): Import[] {
  const pattern =
    /(?:^|\n)\s*(?:import|export)\s(?:[^;'"]*?\sfrom\s)?['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)/g;
  return [...text.matchAll(pattern)].map((match) => {
    const specifier = match[1] ?? match[2] ?? '';
    const target = specifier.startsWith('.') ? relative(src, resolve(dirname(path), specifier)) : undefined;
    return { from: relative(src, path), specifier, target };
  });
}

function floorOf(path: string): number {
  const folder = path.split('/')[0] ?? '';
  if (path === 'main.ts') return floors.length;
  return floors.findIndex((row) => row.includes(folder));
}

function isOwner(path: string, specifier: string): boolean {
  return (owners[specifier] ?? []).some((owner) => path === `${owner}.ts` || path.startsWith(`${owner}/`));
}

/** Both stand in subfolders of one split folder, different ones, and the one that is imported is not its core. */
function isNeighbour(from: string, target: string): boolean {
  return split.some((folder) => {
    const [mine, theirs] = [subfolderOf(folder, from), subfolderOf(folder, target)];
    return mine !== undefined && theirs !== undefined && mine !== theirs && theirs !== 'core';
  });
}

/** Undefined for a file of the folder itself, and of another one. */
function subfolderOf(folder: string, path: string): string | undefined {
  const [subfolder, ...rest] = path.startsWith(`${folder}/`) ? path.slice(folder.length + 1).split('/') : [];
  return rest.length === 0 ? undefined : subfolder;
}

/** Every broken rule in a set of files, as sentences. Exported shape is plain so that the test below can feed it mistakes. */
function findBreaches(files: readonly { path: string; text: string }[]): string[] {
  const breaches: string[] = [];
  const edges = new Map<string, string[]>();
  for (const { path, text } of files) {
    const from = relative(src, path);
    const folder = from.split('/')[0] ?? '';
    const floor = floorOf(from);
    if (floor === -1) breaches.push(`${from} stands on no floor`);
    if (text.split('\n').length > sourceLinesMax + 1 && !dataTables.has(from))
      breaches.push(`${from} is over ${sourceLinesMax} lines`);
    if (from.endsWith('/index.ts')) breaches.push(`${from} is a barrel`);
    if (/^export (?:\*|type \*|\{[^}]*\} from)/m.test(text)) breaches.push(`${from} re-exports`);
    // Under Node 24 the process is aborted when a short-lived object of the database driver is collected.
    if (folder === 'storage' && /\.(?:pragma|iterate)\(/.test(text))
      breaches.push(`${from} lets the driver make objects for a moment`);
    if (/process\.env/.test(text) && folder !== 'app' && from !== 'main.ts') breaches.push(`${from} reads process.env`);
    for (const { specifier, target } of importsOf(text, path)) {
      if (target === undefined) {
        if (specifier in owners && !isOwner(from, specifier)) breaches.push(`${from} imports ${specifier}`);
        continue;
      }
      edges.set(from, [...(edges.get(from) ?? []), target]);
      const other = target.split('/')[0] ?? '';
      if (other === folder) {
        if (isNeighbour(from, target)) breaches.push(`${from} imports ${target}`);
        continue;
      }
      if (floorOf(target) === -1 || floorOf(target) >= floor) breaches.push(`${from} imports ${target}`);
      if (folder === 'http' && (other === 'storage' || other === 'engine')) breaches.push(`${from} imports ${target}`);
      if (target === 'storage/contract/presence.ts' && folder !== 'presence' && !from.startsWith('storage/'))
        if (!/import type \{ MembershipStep \}/.test(text)) breaches.push(`${from} reads the presence store`);
      if (other === 'storage' && !target.startsWith('storage/contract/') && folder !== 'app')
        breaches.push(`${from} imports ${target}`);
    }
  }
  for (const cycle of findCycles(edges)) breaches.push(`cycle: ${cycle}`);
  return breaches;
}

/** Strongly connected components with more than one file (Tarjan), each as one line. */
function findCycles(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const index = new Map<string, number>();
  const low = new Map<string, number>();
  const stack: string[] = [];
  const cycles: string[] = [];
  const visit = (node: string): void => {
    index.set(node, index.size);
    low.set(node, index.get(node) ?? 0);
    stack.push(node);
    for (const next of edges.get(node) ?? []) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(node, Math.min(low.get(node) ?? 0, low.get(next) ?? 0));
    }
    if (low.get(node) === index.get(node)) {
      const component = stack.splice(stack.indexOf(node));
      if (component.length > 1) cycles.push(component.join(' → '));
    }
  };
  for (const node of edges.keys()) if (!index.has(node)) visit(node);
  return cycles;
}

const files = listFiles(src).map((path) => ({ path, text: readFileSync(path, 'utf8') }));
const fake = (path: string, text: string) => ({ path: join(src, path), text });

describe('the floors', () => {
  it('hold for every source file', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(findBreaches(files)).toEqual([]);
  });

  it('are imported by name: every relative import leads to a file', () => {
    const missing = files.flatMap(({ path, text }) =>
      importsOf(text, path).filter(({ target }) => target !== undefined && !existsSync(join(src, target))),
    );
    expect(missing.map(({ from, specifier }) => `${from}: ${specifier}`)).toEqual([]);
  });

  it.each([
    ['a lower floor that imports a higher one', 'engine/x.ts', `import { a } from '../rooms/a.ts';`],
    ['neighbours that import each other', 'rooms/x.ts', `import type { a } from '../presence/a.ts';`],
    [
      'subfolders of presence that import each other',
      'presence/reading/x.ts',
      `import type { a } from '../sending/a.ts';`,
    ],
    [
      'subfolders of a folder within one that import each other',
      'http/client/rooms/x.ts',
      `import { a } from '../media/a.ts';`,
    ],
    ['http that reads storage', 'http/x.ts', `import type { a } from '../storage/contract/storage.ts';`],
    [
      'somebody else who reads the presence store',
      'rooms/x.ts',
      `import type { PresenceReads } from '../storage/contract/presence.ts';`,
    ],
    ['a backend imported past the contract', 'rooms/x.ts', `import { a } from '../storage/sqlite/open.ts';`],
    ['a package outside its owner', 'rooms/x.ts', `import Koa from 'koa';`],
    ['an environment variable read outside app', 'base/x.ts', 'const a = process.env.A;'],
    ['a statement that lives for a moment', 'storage/sqlite/x.ts', `connection.pragma('optimize');`],
    ['an iterator of the driver', 'storage/sqlite/x.ts', 'for (const row of statement.iterate()) {}'],
    ['a barrel', 'rooms/index.ts', ''],
    ['a re-export', 'rooms/x.ts', `export * from './y.ts';`],
    ['an unknown folder', 'misc/x.ts', ''],
    ['a file that grew too long', 'base/x.ts', '\n'.repeat(402)],
  ])('refuse %s', (_what, path, text) => {
    expect(findBreaches([fake(path, text)])).not.toEqual([]);
  });

  it('refuse a cycle, also one made of types', () => {
    const breaches = findBreaches([
      fake('base/a.ts', `import type { b } from './b.ts';`),
      fake('base/b.ts', `import type { a } from './a.ts';`),
    ]);
    expect(breaches).toEqual([expect.stringContaining('cycle')]);
  });

  it('allow what they should', () => {
    expect(
      findBreaches([
        fake(
          'rooms/x.ts',
          `import type { MembershipStep } from '../storage/contract/presence.ts';\nimport { a } from '../base/a.ts';`,
        ),
        fake('http/y.ts', `import Koa from 'koa';`),
        fake('presence/reading/x.ts', `import { a } from '../core/a.ts';\nimport { b } from '../policy.ts';`),
        fake('http/client/rooms/x.ts', `import { a } from '../well-known.ts';\nimport { b } from '../../route.ts';`),
      ]),
    ).toEqual([]);
  });
});
