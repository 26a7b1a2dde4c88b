import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

/** What a Dockerfile copies out of the project. */
function listCopied(dockerfile: string): string[] {
  return [...readFileSync(dockerfile, 'utf8').matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, sources = '']) =>
    sources.split(' '),
  );
}

const ignored = readFileSync('.dockerignore', 'utf8').split('\n');
/** The file lets in what a line with `!` names, and folders whole. */
const isLetIn = (path: string) => ignored.includes(`!${path}`);

describe('the Dockerfiles', () => {
  it.each(['Dockerfile', 'complement/Dockerfile'])(
    '%s copies what is there and what .dockerignore lets in',
    (dockerfile) => {
      const copied = listCopied(dockerfile);
      expect(copied.length).toBeGreaterThan(0);
      expect(copied.filter((path) => !existsSync(path) || !isLetIn(path))).toEqual([]);
    },
  );

  it('copy every script that the build imports', () => {
    const copied = listCopied('Dockerfile');
    const needed = new Set(['scripts/build.mjs']);
    for (const script of needed) {
      const imports = readFileSync(script, 'utf8').matchAll(/ from '\.\/([^']+)'/g);
      for (const [, name] of imports) needed.add(`scripts/${name}`);
    }
    expect([...needed].filter((script) => !copied.includes(script))).toEqual([]);
  });
});

describe('the commands that start the server', () => {
  const textOf = (file: string) => readFileSync(file, 'utf8').replaceAll(/[",]/g, '');
  const options = /"start": "node (--.*) dist\/main\.js"/.exec(readFileSync('package.json', 'utf8'))?.[1] ?? '';

  it('tell Node the same of its heap', () => {
    expect(options).toContain('--no-memory-reducer');
    const commands = [
      ['package.json', `pair: node ${options} dist/main.js pair`],
      ['src/main.ts', `#!/usr/bin/env -S node ${options}\n`],
      ['Dockerfile', `ENTRYPOINT [node ${options} dist/main.js]`],
      ['complement/start', `exec ${'$'}{NODE:-node} ${options} $main start`],
    ] as const;
    expect(commands.filter(([file, command]) => !textOf(file).includes(command))).toEqual([]);
  });
});
