import { afterAll, describe, it } from 'vitest';
import { TestServer } from '../support/server.ts';
import { playStory } from './story.ts';

const server = await TestServer.start();
afterAll(() => server.stop());

describe('two people with matrix-js-sdk on one server', () => {
  it('register, meet, talk, type, read, see each other come and go, and find all of it again after a reload', async () => {
    await playStory({ alicesServer: server, bobsServer: server });
  });
});
