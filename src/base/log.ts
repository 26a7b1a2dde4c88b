import { type DestinationStream, type Logger, pino } from 'pino';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';
export type LogFields = Readonly<Record<string, unknown>>;

interface LogMethod {
  (message: string): void;
  (fields: LogFields, message: string): void;
}

/** What the rest of Lantern knows of logging. An error goes into the field `err`. */
export interface Log {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** A log whose every line carries these fields. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  level: LogLevel;
  /** `json`: one object a line. `readable`: one line for people. */
  format: 'json' | 'readable';
  /** Where whole lines go; the standard output if not given. */
  write?: (line: string) => void;
}

const secretKeys = new Set([
  'access_token',
  'accesstoken',
  'authorization',
  'cookie',
  'login_token',
  'new_password',
  'newpassword',
  'password',
  'passwordhash',
  'password_hash',
  'refresh_token',
  'refreshtoken',
  'secret',
  'seed',
  'token',
]);
const redacted = '[redacted]';
const depthMax = 6;
const itemsMax = 50;
const textLengthMax = 4_096;

/** Secrets inside a text: tokens in a query string, bearer tokens, signatures of the federation. */
function redactText(text: string): string {
  const short = text.length > textLengthMax ? `${text.slice(0, textLengthMax)}…` : text;
  return short
    .replace(/((?:access|refresh|login)_?token=)[^&\s"']+/gi, `$1${redacted}`)
    .replace(/(Bearer\s+)[^\s"',]+/gi, `$1${redacted}`)
    .replace(/(\bsig=)("?)[A-Za-z0-9+/=_-]+\2/g, `$1${redacted}`);
}

/** A copy for the log: secrets replaced, errors as plain objects, and never deeper or longer than a log line should be. */
function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= depthMax) return '[deep]';
  if (Array.isArray(value)) return value.slice(0, itemsMax).map((item) => redact(item, depth + 1));
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Error) return redactError(value, depth);
  const copy: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value).slice(0, itemsMax)) {
    copy[key] = secretKeys.has(key.toLowerCase()) ? redacted : redact(member, depth + 1);
  }
  return copy;
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const code: unknown = Reflect.get(error, 'code');
  return {
    type: error.name,
    message: redactText(error.message),
    ...(typeof code === 'string' ? { code } : {}),
    stack: redactText(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}

function wrap(logger: Logger): Log {
  const method =
    (level: Exclude<LogLevel, 'silent'>): LogMethod =>
    (first: LogFields | string, message?: string) => {
      if (!logger.isLevelEnabled(level)) return;
      if (typeof first === 'string') logger[level](redactText(first));
      else logger[level](redact(first), redactText(message ?? ''));
    };
  return {
    trace: method('trace'),
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    child: (fields) => wrap(logger.child(redact(fields) as Record<string, unknown>)),
  };
}

const readableLevels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info ',
  40: 'warn ',
  50: 'ERROR',
  60: 'FATAL',
};

/** `12:34:56.789 info  the message  key=value`; the stack of an error follows on lines of its own. */
function readableLine(line: string): string {
  const { level, time, msg, err, ...rest } = JSON.parse(line) as Record<string, unknown>;
  const clockTime = new Date(Number(time)).toISOString().slice(11, 23);
  const fields = Object.entries(rest)
    .map(([key, value]) => `  ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  return `${clockTime} ${readableLevels[Number(level)] ?? level} ${msg ?? ''}${fields}${readableError(err)}\n`;
}

function readableError(err: unknown): string {
  if (err === undefined) return '';
  if (typeof err !== 'object' || err === null || !('stack' in err)) return `  err=${JSON.stringify(err)}`;
  const cause = 'cause' in err ? `\n  caused by ${readableError(err.cause).trimStart()}` : '';
  return `\n  ${String(err.stack).replaceAll('\n', '\n  ')}${cause}`;
}

/** The log of the process. Access tokens, passwords and authorization headers never reach it, whatever is passed in. */
export function createLog(options: LogOptions): Log {
  const write = options.write ?? ((line: string) => void process.stdout.write(line));
  const destination: DestinationStream =
    options.format === 'readable' ? { write: (line) => write(readableLine(line)) } : { write };
  return wrap(pino({ level: options.level, base: null, serializers: { err: (err: unknown) => err } }, destination));
}

/** Says nothing; for tests and for tools whose output is something else. */
export const silentLog: Log = {
  trace() {},
  debug() {},
  info() {},
  warn() {},
  error() {},
  fatal() {},
  child: () => silentLog,
};
