import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isMap, isScalar, LineCounter, parseDocument, parse as parseYaml } from 'yaml';
import type { z } from 'zod';
import { reasonOf, StartError } from '../start-error.ts';
import { type Config, configShape } from './shape.ts';

export interface ConfigSources {
  /** File named by `--config`; undefined: `lantern.yaml` in the working directory if there is one. */
  file: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  /** `key.path=value` of every `--set`, and what the short flags stand for. */
  overrides: readonly string[];
  workingDirectory: string;
}

export interface LoadedConfig {
  config: Config;
  /** The file that was read, or undefined: nothing but defaults, environment and flags. */
  file: string | undefined;
  placeOf: PlaceOf;
}

/** Where a setting came from, as a person would look for it: `/etc/lantern.yaml:12`, `LANTERN_DATA_DIR`, `--set log.level`. */
export type PlaceOf = (path: readonly PropertyKey[]) => string;

/** What a file says and on which line; undefined where it does not say it. */
interface ConfigFile {
  value: Record<string, unknown>;
  lineOf(path: readonly PropertyKey[]): number | undefined;
}

const envPrefix = 'LANTERN_';

/**
 * Defaults, then the file, then the environment, then flags. Relative paths are seen from the file's folder, or from the
 * working directory where there is no file. Throws StartError with one line that says what, where and how to mend it.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const file = findFile(sources);
  const { value, lineOf } = file === undefined ? { value: {}, lineOf: () => undefined } : readFile(file);
  const origins = new Map<string, string>();
  applyEnvironment(value, sources.env, origins);
  for (const override of sources.overrides) applyOverride(value, override, origins);
  const result = configShape.safeParse(value);
  const placeOf: PlaceOf = (path) => {
    const origin = origins.get(path.slice(0, 2).join('.')) ?? origins.get(String(path[0]));
    const line = lineOf(path);
    return origin ?? (line === undefined ? 'built-in default' : `${file}:${line}`);
  };
  if (!result.success) throw describe(result.error, placeOf);
  return { config: withAbsolutePaths(result.data, file ? dirname(file) : sources.workingDirectory), file, placeOf };
}

function findFile({ file, workingDirectory }: ConfigSources): string | undefined {
  if (file !== undefined) {
    const path = resolve(workingDirectory, file);
    if (!existsSync(path)) throw new StartError(`${path}: no such file. Name an existing one with --config.`);
    return path;
  }
  const usual = resolve(workingDirectory, 'lantern.yaml');
  return existsSync(usual) ? usual : undefined;
}

function readFile(file: string): ConfigFile {
  const lines = new LineCounter();
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StartError(`${file}: cannot be read (${reasonOf(error)}). Check its permissions.`);
  }
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problem = document.errors[0];
  if (problem) {
    const line = lines.linePos(problem.pos[0]).line;
    throw new StartError(`${file}:${line}: not valid YAML: ${problem.message}. Mend that line.`);
  }
  const value: unknown = document.toJS() ?? {};
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new StartError(`${file}:1: must be a mapping of settings, as in lantern.example.yaml.`);
  const lineOf = (path: readonly PropertyKey[]): number | undefined => {
    for (let length = path.length; length > 0; length--) {
      const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true);
      const key = path[length - 1];
      const pair = isMap(parent)
        ? parent.items.find((item) => isScalar(item.key) && item.key.value === key)
        : undefined;
      const node = pair?.key ?? document.getIn(path.slice(0, length), true);
      const range =
        typeof node === 'object' && node !== null && 'range' in node ? (node.range as [number] | null) : null;
      if (range) return lines.linePos(range[0]).line;
    }
    return undefined;
  };
  return { value: value as Record<string, unknown>, lineOf };
}

/** `LANTERN_FEDERATION_CA_FILE` is `federation.ca_file`: every setting has its variable. Values are read as YAML. */
function applyEnvironment(
  value: Record<string, unknown>,
  env: ConfigSources['env'],
  origins: Map<string, string>,
): void {
  const byName = new Map(settingPaths().map((path) => [envPrefix + path.join('_').toUpperCase(), path]));
  for (const [name, text] of Object.entries(env)) {
    if (text === undefined || !name.startsWith(envPrefix)) continue;
    const path = byName.get(name);
    if (!path) throw new StartError(`${name}: no such setting. The settings stand in lantern.example.yaml.`);
    assign(value, path, parseValue(text, name), name);
    origins.set(path.join('.'), name);
  }
}

function applyOverride(value: Record<string, unknown>, override: string, origins: Map<string, string>): void {
  const equals = override.indexOf('=');
  const key = equals === -1 ? override : override.slice(0, equals);
  if (equals === -1) throw new StartError(`--set ${override}: write it as --set key=value.`);
  const path = settingPaths().find((candidate) => candidate.join('.') === key);
  if (!path) throw new StartError(`--set ${key}: no such setting. The settings stand in lantern.example.yaml.`);
  assign(value, path, parseValue(override.slice(equals + 1), `--set ${key}`), `--set ${key}`);
  origins.set(key, `--set ${key}`);
}

/** Every setting by its path: the top level, and the keys of each section. */
export function settingPaths(): string[][] {
  const defaults = configShape.parse({});
  return Object.entries(defaults).flatMap(([key, value]) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.keys(value).map((inner) => [key, inner])
      : [[key]],
  );
}

function parseValue(text: string, origin: string): unknown {
  try {
    return parseYaml(text) ?? null;
  } catch {
    throw new StartError(`${origin}: not a valid value. Quote it as YAML would want it.`);
  }
}

function assign(value: Record<string, unknown>, path: readonly string[], leaf: unknown, origin: string): void {
  const [first, second] = path;
  if (first === undefined) return;
  if (second === undefined) {
    value[first] = leaf;
    return;
  }
  const section = value[first] ?? {};
  if (typeof section !== 'object' || Array.isArray(section))
    throw new StartError(`${origin}: "${first}" is not a section in the configuration file. Make it one.`);
  value[first] = { ...section, [second]: leaf };
}

function describe(error: z.ZodError, placeOf: PlaceOf): StartError {
  const issue = error.issues[0];
  const unknown = issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined;
  const path = [...(issue?.path ?? []), ...(unknown === undefined ? [] : [unknown])];
  const name = path.map(String).join('.');
  const what = unknown === undefined ? `${name}: ${issue?.message ?? 'not valid'}` : `"${name}" is not a setting`;
  return new StartError(`${placeOf(path)}: ${what}. See lantern.example.yaml.`);
}

function withAbsolutePaths(config: Config, base: string): Config {
  const at = (path: string): string => resolve(base, path);
  const caFile = config.federation.ca_file;
  return {
    ...config,
    data_dir: at(config.data_dir),
    signing_key: at(config.signing_key),
    app_service_config_files: config.app_service_config_files.map(at),
    database: { ...config.database, file: resolve(at(config.data_dir), config.database.file) },
    federation: { ...config.federation, ca_file: caFile === null ? null : at(caFile) },
    listeners: config.listeners.map((listener) =>
      typeof listener.tls === 'boolean'
        ? listener
        : { ...listener, tls: { certificate: at(listener.tls.certificate), key: at(listener.tls.key) } },
    ),
  };
}
