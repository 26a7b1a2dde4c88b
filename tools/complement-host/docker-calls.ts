import { createReadStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import {
  describeContainer,
  frameLog,
  parseContainerRequest,
  parseJson,
  parseLabelFilter,
  parseLabelInstruction,
  parseNetworkRequest,
  parseSeconds,
} from './docker-wire.ts';
import type { Engine } from './engine.ts';

export interface DockerRequest {
  readonly message: IncomingMessage;
  readonly query: URLSearchParams;
  /** What stands in the path's place for an id; '' where there is none. */
  readonly id: string;
}

/** A body that is a stream is sent as it is, anything else as JSON. */
export interface DockerAnswer {
  readonly status: number;
  readonly body?: unknown;
}

export interface DockerCall {
  readonly method: string;
  /** With `:id` in the place of an id. */
  readonly path: string;
  answer(request: DockerRequest): DockerAnswer | Promise<DockerAnswer>;
}

const done: DockerAnswer = { status: 204 };

/** The calls of the Docker Engine API that Complement makes. */
export function dockerCalls(engine: Engine): readonly DockerCall[] {
  return [...systemCalls(), ...containerCalls(engine), ...imageCalls(engine), ...networkCalls(engine)];
}

function systemCalls(): DockerCall[] {
  return ['HEAD', 'GET'].map((method) => ({ method, path: '/_ping', answer: () => ({ status: 200 }) }));
}

function containerCalls(engine: Engine): DockerCall[] {
  return [
    {
      method: 'GET',
      path: '/containers/json',
      answer: ({ query }) => {
        const isWanted = parseLabelFilter(query.get('filters'));
        const withStopped = ['1', 'true'].includes(query.get('all') ?? '');
        const found = engine
          .listContainers()
          .filter(({ properties, isRunning }) => (isRunning || withStopped) && isWanted(properties.labels));
        const body = found.map(({ properties: { id, name, labels } }) => ({
          Id: id,
          Names: [`/${name}`],
          Labels: labels,
        }));
        return { status: 200, body };
      },
    },
    {
      method: 'POST',
      path: '/containers/create',
      answer: async ({ message, query }) => {
        const request = parseContainerRequest(query.get('name'), parseJson(await text(message)));
        const container = await engine.createContainer(request);
        return { status: 201, body: { Id: container.properties.id, Warnings: [] } };
      },
    },
    {
      method: 'GET',
      path: '/containers/:id/json',
      answer: ({ id }) => ({ status: 200, body: describeContainer(engine.getContainer(id)) }),
    },
    {
      method: 'PUT',
      path: '/containers/:id/archive',
      answer: async ({ id, message, query }) => {
        await engine.getContainer(id).extract(message, query.get('path') ?? '/');
        return { status: 200 };
      },
    },
    {
      method: 'GET',
      path: '/containers/:id/logs',
      answer: ({ id }) => {
        const { logFile } = engine.getContainer(id).properties;
        return { status: 200, body: Readable.from(frameLog(createReadStream(logFile))) };
      },
    },
    ...processCalls(engine),
    {
      method: 'DELETE',
      path: '/containers/:id',
      answer: async ({ id }) => {
        await engine.removeContainer(engine.getContainer(id));
        return done;
      },
    },
  ];
}

function processCalls(engine: Engine): DockerCall[] {
  const call = (verb: string, act: (request: DockerRequest) => void | Promise<void>): DockerCall => ({
    method: 'POST',
    path: `/containers/:id/${verb}`,
    answer: async (request) => {
      await act(request);
      return done;
    },
  });
  return [
    call('start', ({ id }) => engine.getContainer(id).start()),
    call('stop', ({ id, query }) => engine.getContainer(id).stop(parseSeconds(query.get('t')) * 1000)),
    call('kill', ({ id }) => engine.getContainer(id).kill()),
    call('pause', ({ id }) => engine.getContainer(id).pause()),
    call('unpause', ({ id }) => engine.getContainer(id).unpause()),
  ];
}

function imageCalls(engine: Engine): DockerCall[] {
  return [
    {
      method: 'POST',
      path: '/commit',
      answer: async ({ query }) => {
        const labels = Object.fromEntries(query.getAll('changes').map(parseLabelInstruction));
        const tag = `${query.get('repo')}:${query.get('tag')}`;
        const image = await engine.commit(engine.getContainer(query.get('container') ?? ''), { tag, labels });
        return { status: 201, body: { Id: image.id } };
      },
    },
    {
      method: 'GET',
      path: '/images/json',
      answer: ({ query }) => {
        const isWanted = parseLabelFilter(query.get('filters'));
        const found = engine.listImages().filter(({ labels }) => isWanted(labels));
        return { status: 200, body: found.map(({ id, tag, labels }) => ({ Id: id, RepoTags: [tag], Labels: labels })) };
      },
    },
    {
      method: 'DELETE',
      path: '/images/:id',
      answer: async ({ id }) => {
        await engine.removeImage(id);
        return { status: 200, body: [] };
      },
    },
  ];
}

function networkCalls(engine: Engine): DockerCall[] {
  return [
    {
      method: 'GET',
      path: '/networks',
      answer: ({ query }) => {
        const isWanted = parseLabelFilter(query.get('filters'));
        const found = engine.listNetworks().filter(({ labels }) => isWanted(labels));
        return { status: 200, body: found.map(({ id, name, labels }) => ({ Id: id, Name: name, Labels: labels })) };
      },
    },
    {
      method: 'POST',
      path: '/networks/create',
      answer: async ({ message }) => {
        const network = engine.createNetwork(parseNetworkRequest(parseJson(await text(message))));
        return { status: 201, body: { Id: network.id, Warning: '' } };
      },
    },
    {
      method: 'DELETE',
      path: '/networks/:id',
      answer: ({ id }) => {
        engine.removeNetwork(id);
        return done;
      },
    },
  ];
}
