import { readFileSync } from 'node:fs';

/** What `npm start` tells Node before the name of the program: a server that is measured runs as everybody's does. */
export function optionsOfStart(): string[] {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  return String(scripts.start)
    .split(' ')
    .filter((word) => word.startsWith('--'));
}
