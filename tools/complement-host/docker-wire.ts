import type { Container } from './container.ts';
import type { ContainerRequest, Labels } from './engine.ts';
import { EngineError } from './engine-error.ts';
import { publishedAddress } from './published-port.ts';

/** What the Docker Engine API has in its bodies and queries, as far as Complement writes and reads it (API version 1.45). */

/** `POST /containers/create`. Where Docker knows more, Complement sends no more, or what has no meaning for a process. */
export function parseContainerRequest(name: string | null, body: unknown): ContainerRequest {
  const request = objectAt(body, 'the body');
  const endpoints = Object.entries(
    objectAt(objectAt(request.NetworkingConfig, 'NetworkingConfig').EndpointsConfig, 'EndpointsConfig'),
  );
  const [network, settings] = endpoints[0] ?? [];
  if (name === null || network === undefined) throw new EngineError(400, 'a container needs a name and a network');
  const hostConfig = request.HostConfig === undefined ? {} : objectAt(request.HostConfig, 'HostConfig');
  return {
    name,
    network,
    imageName: stringAt(request.Image, 'Image'),
    labels: labelsAt(request.Labels),
    environment: Object.fromEntries(stringsAt(request.Env ?? [], 'Env').map((entry) => splitAt(entry, '='))),
    aliases: stringsAt(objectAt(settings, 'the network').Aliases ?? [], 'Aliases'),
    extraHosts: new Map(stringsAt(hostConfig.ExtraHosts ?? [], 'ExtraHosts').map((entry) => splitAt(entry, ':'))),
  };
}

/** `POST /networks/create` */
export function parseNetworkRequest(body: unknown): { name: string; labels: Labels } {
  const request = objectAt(body, 'the body');
  return { name: stringAt(request.Name, 'Name'), labels: labelsAt(request.Labels) };
}

/** `t` of `POST /containers/{id}/stop`: what Docker waits if nothing is said is ten seconds. */
export function parseSeconds(text: string | null): number {
  const seconds = Number(text ?? 10);
  if (!Number.isInteger(seconds) || seconds < 0) throw new EngineError(400, `${text} is no number of seconds`);
  return seconds;
}

/** `GET /containers/{id}/json` */
export function describeContainer(container: Container) {
  const { id, name, imageName, labels } = container.properties;
  return {
    Id: id,
    Name: `/${name}`,
    Created: container.createdAt.toISOString(),
    State: {
      Status: container.status,
      Running: container.isRunning,
      Paused: container.status === 'paused',
      Pid: container.processId,
      ExitCode: container.exitCode ?? 0,
    },
    Config: { Image: imageName, Labels: labels },
    NetworkSettings: {
      Ports: Object.fromEntries(
        container.ports.map(({ containerPort, port }) => [
          `${containerPort}/tcp`,
          [{ HostIp: publishedAddress, HostPort: String(port) }],
        ]),
      ),
    },
  };
}

/** The filter `{"label":{"key":true,"key=value":true}}` of a query: every one of these labels must be there. */
export function parseLabelFilter(filters: string | null): (labels: Labels) => boolean {
  const { label } = objectAt(parseJson(filters ?? '{}'), 'filters');
  // Older clients write a list of the same strings.
  const wanted = Array.isArray(label) ? stringsAt(label, 'label') : Object.keys(objectAt(label ?? {}, 'label'));
  const conditions = wanted.map((condition) => splitPair(condition, '='));
  return (labels) =>
    conditions.every(([key, value]) => Object.hasOwn(labels, key) && (value === undefined || labels[key] === value));
}

/** Reads `LABEL "key"="value"` as Complement writes it: what looks like an escape is meant literally. */
export function parseLabelInstruction(instruction: string): [key: string, value: string] {
  const [, key, value] = /^LABEL "([^"]*)"="(.*)"$/s.exec(instruction) ?? [];
  if (key === undefined || value === undefined) throw new EngineError(400, `not understood: ${instruction}`);
  return [key, value];
}

/** A log as Docker frames it: the stream's number (1 is stdout), three zero bytes, the length, the bytes. */
export async function* frameLog(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    const header = Buffer.alloc(8);
    header[0] = 1;
    header.writeUInt32BE(chunk.length, 4);
    yield header;
    yield chunk;
  }
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new EngineError(400, 'not JSON');
  }
}

function objectAt(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new EngineError(400, `${what} must be an object`);
  return value as Record<string, unknown>; // what JSON calls an object
}

function labelsAt(value: unknown): Labels {
  return Object.fromEntries(
    Object.entries(objectAt(value ?? {}, 'Labels')).map(([key, label]) => [key, stringAt(label, key)]),
  );
}

function stringAt(value: unknown, what: string): string {
  if (typeof value !== 'string') throw new EngineError(400, `${what} must be a string`);
  return value;
}

function stringsAt(value: unknown, what: string): string[] {
  if (!Array.isArray(value)) throw new EngineError(400, `${what} must be a list`);
  return value.map((item: unknown) => stringAt(item, what));
}

/** `name=value` or `name:address`; without the separator the second is empty. */
function splitAt(text: string, separator: string): [string, string] {
  const [first, second = ''] = splitPair(text, separator);
  return [first, second];
}

function splitPair(text: string, separator: string): [string, string | undefined] {
  const at = text.indexOf(separator);
  return at === -1 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}
