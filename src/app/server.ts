import { readFileSync } from 'node:fs';
import type { PasswordCost } from '../accounts/passwords.ts';
import { loopTurn } from '../base/breathe.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { createLog, type Log } from '../base/log.ts';
import { makeFolder } from '../base/make-folder.ts';
import { createMetrics, noMetrics } from '../base/metrics.ts';
import { systemRandom } from '../base/random.ts';
import { createHttpApp, type HttpApp } from '../http/app.ts';
import { ListenError, type Listening, listen } from '../http/listen.ts';
import { serverOfUser } from '../matrix/ids.ts';
import { KeyFileError, loadOrCreateKeyFile } from '../signing/key-file.ts';
import { verifier } from '../signing/verifiers.ts';
import type { Storage } from '../storage/contract/storage.ts';
import { StorageOpenError } from '../storage/sqlite/core/open-error.ts';
import { openSqliteStorage } from '../storage/sqlite/open.ts';
import { certificateHosts, ensureCertificate } from './certificates.ts';
import { loadAppServices } from './config/app-services.ts';
import type { PlaceOf } from './config/load.ts';
import { type Config, isLoopback, isRegistrationOpen, type ListenerConfig } from './config/shape.ts';
import { openMetricsListener } from './metrics-listener.ts';
import { reasonOf, StartError } from './start-error.ts';
import type { Surroundings } from './surroundings.ts';
import { createLantern, type Lantern } from './wiring.ts';

/** Where the server can be reached. */
export interface RunningListener {
  readonly url: string;
  readonly serves: readonly ('client' | 'federation')[];
}

export interface RunningServer {
  readonly listeners: readonly RunningListener[];
  readonly lantern: Lantern;
  /** Where the metrics are read; only where the configuration says so. */
  readonly metricsUrl?: string;
  /** Resolves when nothing that needs no further time is left to do; for tests. */
  idle(): Promise<void>;
  /** Stops accepting, answers what waits, writes down what is in memory, closes the database. */
  stop(): Promise<void>;
}

/** What a test replaces, and what the command line knows. */
export interface StartOptions {
  /** Where a setting came from, for messages about it. */
  readonly placeOf?: PlaceOf;
  readonly clock?: Clock;
  readonly passwordCost?: PasswordCost;
  readonly log?: Log;
}

/** Starts a server. Throws StartError, and leaves nothing open then. */
export async function startServer(config: Config, options: StartOptions = {}): Promise<RunningServer> {
  const clock = options.clock ?? systemClock;
  const random = systemRandom;
  const log = options.log ?? createLog({ level: config.log.level, format: config.log.format });
  const undo: (() => Promise<void>)[] = [];
  try {
    const services = loadAppServices(config);
    makeDataFolder(config.data_dir);
    const key = await loadOrCreateKeyFile({ path: config.signing_key, random, log });
    const storage = await openStorage(config, { clock, log });
    undo.unshift(() => storage.stop());
    await checkServerName(config, storage);
    const metrics = config.metrics.enabled ? createMetrics() : undefined;
    if (metrics) undo.unshift(async () => metrics.stop());
    const { passwordCost } = options;
    const signer = { server: config.server_name, key };
    const surroundings = {
      config,
      clock,
      random,
      log,
      signer,
      services,
      metrics: metrics ?? noMetrics,
      ...(passwordCost ? { passwordCost } : {}),
    };
    const lantern = await createLantern(surroundings, storage);
    undo.unshift(() => lantern.stop());
    await lantern.start();
    const open = await openListeners(surroundings, lantern, undo);
    const metricsUrl = metrics ? await openMetricsListener(config, { metrics, log }, undo) : undefined;
    warnOfOpenDoors(config, log);
    if (verifier.name !== 'libsodium')
      log.info('libsodium does not load here: node:crypto checks signatures, half as fast');
    return {
      listeners: open,
      lantern,
      ...(metricsUrl ? { metricsUrl } : {}),
      idle: () => lantern.idle(),
      stop: () => runAll(undo),
    };
  } catch (error) {
    await runAll(undo);
    throw withPlace(asStartError(error, config), options.placeOf);
  }
}

async function runAll(steps: (() => Promise<void>)[]): Promise<void> {
  for (const step of steps.splice(0)) await step();
}

function makeDataFolder(folder: string): void {
  try {
    makeFolder(folder);
  } catch (error) {
    throw new StartError(
      `${folder}: cannot be made (${reasonOf(error)}). Choose a folder that can be written with data_dir.`,
    );
  }
}

function openStorage(config: Config, { clock, log }: { clock: Clock; log: Log }): Promise<Storage> {
  const { file, synchronous } = config.database;
  // A clock that a test moves says nothing of the loop.
  const turn = clock === systemClock ? { turn: loopTurn } : {};
  return openSqliteStorage({ file, synchronous, clock, log, ...turn });
}

/**
 * A server's name is part of every user id it gave and is signed into its events: a database is of one name for ever. Its first
 * account tells which.
 */
async function checkServerName(config: Config, storage: Storage): Promise<void> {
  const [account] = await storage.accounts.listAccounts(null, 1);
  if (!account || serverOfUser(account.userId) === config.server_name) return;
  throw new StartError(
    `the database ${config.database.file} is of the server ${serverOfUser(account.userId)}, not of ${config.server_name}: a name cannot be changed. Say server_name: ${serverOfUser(account.userId)}, or choose another data_dir.`,
    ['server_name'],
  );
}

/** One application for each listener; all stop accepting before any is waited for. */
async function openListeners(
  surroundings: Surroundings,
  lantern: Lantern,
  undo: (() => Promise<void>)[],
): Promise<RunningListener[]> {
  const opened: { app: HttpApp; listening: Listening }[] = [];
  undo.unshift(async () => {
    for (const { listening } of opened) listening.close();
    lantern.endWaits();
    await Promise.all(opened.map(({ app }) => app.stop()));
    await Promise.all(opened.map(({ listening }) => listening.stop()));
  });
  const result: RunningListener[] = [];
  for (const listener of surroundings.config.listeners) {
    const kind = listener.serves.length > 1 ? 'both' : (listener.serves[0] ?? 'both');
    const app = createHttpApp({ ...lantern.http, listener: kind, trustProxy: listener.behind_proxy });
    const tls = await certificateOf(surroundings, listener);
    const address = { address: listener.address, port: listener.port, listener: app.listener };
    const listening = await listen({ ...address, ...(tls ? { tls } : {}) });
    opened.push({ app, listening });
    result.push({ url: listening.url, serves: [...new Set(listener.serves)] });
  }
  return result;
}

async function certificateOf(
  { config, clock }: Surroundings,
  { tls }: ListenerConfig,
): Promise<{ cert: string; key: string } | undefined> {
  if (tls === false) return undefined;
  if (tls === true) {
    const hosts = certificateHosts(config.server_name);
    const made = await ensureCertificate({ folder: config.data_dir, name: 'tls', hosts }, clock.now());
    return { cert: made.certificate, key: made.key };
  }
  return { cert: readPem(tls.certificate), key: readPem(tls.key) };
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new StartError(`${file}: cannot be read (${reasonOf(error)}). Name a PEM file.`, ['listeners']);
  }
}

function warnOfOpenDoors(config: Config, log: Log): void {
  if (config.metrics.enabled && !isLoopback(config.metrics.address))
    log.warn('anybody who can reach the address of the metrics may read them (metrics.address)');
  const outside = config.listeners.filter(({ address }) => !isLoopback(address));
  if (outside.length === 0) return;
  if (isRegistrationOpen(config))
    log.warn('anybody who can reach this server may register (the setting "registration" is "open")');
  else if (config.registration === 'loopback_only')
    log.warn('registration is closed, because a listener is not on loopback; say "registration: open" to open it');
}

/** What a person can mend becomes one line; anything else is a bug and keeps its stack. */
function asStartError(error: unknown, config: Config): unknown {
  if (error instanceof KeyFileError) return new StartError(error.message, ['signing_key']);
  if (error instanceof StorageOpenError) return new StartError(error.message, ['data_dir']);
  if (error instanceof ListenError) {
    const isMeant = ({ address, port }: { address: string; port: number }) =>
      error.message.includes(`${address}:${port}`);
    const index = config.listeners.findIndex(isMeant);
    const setting = index === -1 && isMeant(config.metrics) ? ['metrics', 'port'] : ['listeners', Math.max(index, 0)];
    return new StartError(`${error.message}. Choose another address or port.`, setting);
  }
  return error;
}

function withPlace(error: unknown, placeOf: PlaceOf | undefined): unknown {
  if (!(error instanceof StartError) || error.setting === undefined || placeOf === undefined) return error;
  return new StartError(`${error.message} (${error.setting.join('.')}: ${placeOf(error.setting)})`);
}
