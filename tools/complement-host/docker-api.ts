import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline, Readable } from 'node:stream';
import { type DockerAnswer, type DockerCall, dockerCalls } from './docker-calls.ts';
import type { Engine } from './engine.ts';
import { EngineError } from './engine-error.ts';

const apiVersion = '1.45';
/** A commit puts all labels of an image into its URL. */
const maxHeaderSize = 1024 * 1024;

/** The HTTP server that answers for an engine. What goes wrong is answered as Docker does, and warned of. */
export function createDockerApi(engine: Engine, warn: (message: string) => void): Server {
  const routes = dockerCalls(engine).map((call) => ({ call, pattern: patternOf(call.path) }));
  const dispatch = async (message: IncomingMessage): Promise<DockerAnswer> => {
    const { pathname, searchParams: query } = new URL(message.url ?? '/', 'http://docker');
    for (const { call, pattern } of routes) {
      const match = call.method === message.method ? pattern.exec(pathname) : null;
      if (match) return call.answer({ message, query, id: decodeURIComponent(match[1] ?? '') });
    }
    throw new EngineError(404, 'not one of the calls that Complement was known to make');
  };
  // Connections stay open as long as the client likes.
  return createServer({ maxHeaderSize, keepAliveTimeout: 0 }, (message, response) => {
    response.setHeader('Api-Version', apiVersion);
    response.setHeader('Ostype', 'linux');
    dispatch(message).then(
      (answer) => send(response, answer),
      (error: unknown) => {
        warn(`${message.method} ${message.url}: ${describe(error)}`);
        send(response, errorAnswer(error));
      },
    );
  });
}

/** The API's version may stand before the path. */
function patternOf(path: DockerCall['path']): RegExp {
  return new RegExp(`^(?:/v[\\d.]+)?${path.replace(':id', '([^/]+)')}$`);
}

function send(response: ServerResponse, { status, body }: DockerAnswer): void {
  response.statusCode = status;
  if (body instanceof Readable) {
    pipeline(body, response, () => {}); // an error cuts the answer short
    return;
  }
  if (body === undefined) {
    response.end();
    return;
  }
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(body));
}

function errorAnswer(error: unknown): DockerAnswer {
  const status = error instanceof EngineError ? error.status : 500;
  return { status, body: { message: error instanceof Error ? error.message : String(error) } };
}

/** A bug keeps its stack. */
function describe(error: unknown): string {
  if (error instanceof EngineError) return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
