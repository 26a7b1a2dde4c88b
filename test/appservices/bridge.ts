import { TestServer } from '../support/server.ts';
import { StubService } from '../support/stub-service.ts';
import type { TestUser } from '../support/user.ts';

/** Longer than any back-off. */
export const backOffMs = 3_700_000;
const stops: (() => Promise<unknown>)[] = [];

/** Ends all that was started here. After each test. */
export async function stopAll(): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

export async function service(id = 'bridge', changes: Record<string, unknown> = {}): Promise<StubService> {
  const stub = await StubService.start(id, changes);
  stops.push(() => stub.stop());
  return stub;
}

/** A server that knows these services; in the time of another one. */
export async function server(
  services: StubService[],
  config: Record<string, unknown> = {},
  beside?: TestServer,
): Promise<TestServer> {
  const files = services.map(({ file }) => file);
  const started = await TestServer.start({
    config: { app_service_config_files: files, ...config },
    ...(beside && { clock: beside.clock }),
  });
  stops.push(() => started.stop());
  return started;
}

/** Ends it, and starts one on its data that knows the same services, or these. */
export async function restart(before: TestServer, services?: StubService[]): Promise<TestServer> {
  await before.stop({ keepData: true });
  const files = services?.map(({ file }) => file);
  const after = await (files
    ? TestServer.start({ config: { app_service_config_files: files }, resume: before })
    : before.restart());
  stops.push(() => after.stop());
  await after.settle();
  return after;
}

export interface Bridge {
  readonly stub: StubService;
  readonly host: TestServer;
  /** Nobody of the service. */
  readonly alice: TestUser;
  /** One of its users. */
  readonly ghost: TestUser;
}

/** A server with one service. */
export async function bridge(
  changes: Record<string, unknown> = {},
  config: Record<string, unknown> = {},
): Promise<Bridge> {
  const stub = await service('bridge', changes);
  const host = await server([stub], config);
  return { stub, host, alice: await host.register('alice'), ghost: await host.register('bridge_ghost') };
}

/** The same, and a room of the two, of which the service has been told all. */
export async function bridgedRoom(...given: Parameters<typeof bridge>): Promise<Bridge & { readonly roomId: string }> {
  const made = await bridge(...given);
  const roomId = await made.ghost.createRoom({ preset: 'public_chat' });
  await made.alice.join(roomId);
  await made.host.settle();
  made.stub.take();
  return { ...made, roomId };
}

export const eventsOnly = { receive_ephemeral: false };

/** Lets time pass, and what waits for it be done. */
export async function pass(host: TestServer, ms: number): Promise<void> {
  await host.clock.advance(ms);
  await host.settle();
}

/** Bodies of the messages among what came. */
export const words = (stub: StubService): string[] =>
  stub
    .takeAll('events')
    .filter(({ type }) => type === 'm.room.message')
    .map(({ content }) => content.body);
