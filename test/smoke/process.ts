import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '../..');

/** A command of the README in a process group of its own. */
export class RunningCommand {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  readonly #listeners = new Set<() => void>();
  #isOver = false;
  stdout = '';
  stderr = '';

  constructor(command: readonly string[], env: Record<string, string> = {}) {
    this.#child = spawn(command[0] ?? '', command.slice(1), {
      cwd: root,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      this.stdout += chunk.toString();
      for (const listener of this.#listeners) listener();
    });
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
    this.#ended = new Promise((done) =>
      this.#child.on('close', (code) => {
        this.#isOver = true;
        done(code);
      }),
    );
  }

  /** Resolves when the standard output matches; rejects if the command ends before that. */
  async untilPrinted(pattern: RegExp): Promise<RegExpExecArray> {
    const found = new Promise<RegExpExecArray>((done) => {
      const look = (): void => {
        const match = pattern.exec(this.stdout);
        if (!match) return;
        this.#listeners.delete(look);
        done(match);
      };
      this.#listeners.add(look);
      look();
    });
    const ended = this.#ended.then((code) => {
      throw new Error(`ended with ${code}:\n${this.stdout}\n${this.stderr}`);
    });
    return Promise.race([found, ended]);
  }

  /** The exit status, once the command has ended by itself. */
  ended(): Promise<number | null> {
    return this.#ended;
  }

  /** What Ctrl-C does: SIGINT to the whole group. Resolves when everything in it has ended. */
  async interrupt(): Promise<void> {
    if (this.#child.pid !== undefined && !this.#isOver) process.kill(-this.#child.pid, 'SIGINT');
    await this.#ended;
  }
}

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads whatever the server answered
  body: any;
}

export async function request(
  method: string,
  url: string,
  options: { token?: string; body?: unknown } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: options.token ? { authorization: `Bearer ${options.token}` } : {},
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  return { status: response.status, body: await response.json() };
}
