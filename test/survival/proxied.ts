import { FaultProxy } from './fault-proxy.ts';
import { ServerProcess } from './server-process.ts';

/** A server that others reach only through its proxy. */
export interface Proxied {
  readonly server: ServerProcess;
  readonly proxy: FaultProxy;
}

export async function startProxied(): Promise<Proxied> {
  const proxy = await FaultProxy.start();
  const server = await ServerProcess.start({ proxyPort: proxy.port });
  proxy.targetPort = server.federationPort;
  return { server, proxy };
}

export async function removeProxied(...all: readonly Proxied[]): Promise<void> {
  await Promise.all(all.map(({ server }) => server.remove()));
  await Promise.all(all.map(({ proxy }) => proxy.stop()));
}
