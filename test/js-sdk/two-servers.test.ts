import { afterAll, describe, it } from 'vitest';
import { startPair } from '../support/server.ts';
import { playStory } from './story.ts';

const [alices, bobs] = await startPair();
afterAll(() => Promise.all([alices.stop(), bobs.stop()]));

describe('two people with matrix-js-sdk on two servers that federate', () => {
  it('do what they would do on one', async () => {
    await playStory({ alicesServer: alices, bobsServer: bobs });
  });
});
