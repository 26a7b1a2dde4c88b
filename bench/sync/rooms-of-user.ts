import { type LoadClient, runConcurrently } from '../support/load-client.ts';

/** A user who made so many rooms; their token. */
export async function registerWithRooms(client: LoadClient, name: string, rooms: number): Promise<string> {
  const { token } = await client.register(name);
  await runConcurrently(rooms, 4, async (n) => {
    const body = { name: `Room ${n}`, topic: 'Something to talk about' };
    await client.json({ method: 'POST', path: '/_matrix/client/v3/createRoom', token, body });
  });
  return token;
}
