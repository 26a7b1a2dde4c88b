import { z } from 'zod';
import { isRoomId, type RoomId } from '../../matrix/ids.ts';
import { isServerName, type ServerName } from '../../matrix/server-name.ts';
import { parseSharingConfig } from '../../presence/sharing-config.ts';
import { importPublicKey } from '../../signing/ed25519.ts';

/**
 * The configuration, key by key, as `lantern.example.yaml` documents it. Every key has a default; an unknown key is an
 * error, so that a typing mistake never passes for a setting.
 */

const port = z.int().min(0).max(65_535);
const path = z.string().min(1);
const milliseconds = z.int().min(0).max(2_147_483_647);

const listener = z.strictObject({
  address: z.string().min(1).default('127.0.0.1'),
  port,
  serves: z.array(z.enum(['client', 'federation'])).min(1),
  /** `false`: plain HTTP, also behind a proxy. `true`: TLS with a certificate that the server makes itself. */
  tls: z.union([z.boolean(), z.strictObject({ certificate: path, key: path })]).default(false),
  /** A proxy of ours stands before it and writes `X-Forwarded-For`; believed only where this says so. */
  behind_proxy: z.boolean().default(false),
});

const log = z.strictObject({
  level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  format: z.enum(['readable', 'json']).default('readable'),
});

const keyId = z.string().regex(/^ed25519:\w{1,128}$/, 'must be a key id such as ed25519:a1');
const publicKey = z
  .string()
  .refine((key) => importPublicKey(key) !== undefined, 'must be a public key, 32 bytes in unpadded base64');

const notaryServer = z.strictObject({
  server_name: z.custom<ServerName>(isServerName, 'must be a server name'),
  /** Null: those that it publishes. */
  verify_keys: z.record(keyId, publicKey).nullable().default(null),
});

/** A key that signed for this server once, good for what was signed up to its end. */
const oldSigningKey = z.strictObject({ key_id: keyId, key: publicKey, expired_ts: z.int().min(0) });

const federation = z.strictObject({
  enabled: z.boolean().default(true),
  ca_file: path.nullable().default(null),
  allow_private_addresses: z.boolean().default(false),
  share_device_names: z.boolean().default(false),
  notary_servers: z.array(notaryServer).max(5).default([]),
  old_signing_keys: z.array(oldSigningKey).max(20).default([]),
});

const metrics = z.strictObject({
  enabled: z.boolean().default(false),
  address: z.string().min(1).default('127.0.0.1'),
  port: port.default(9090),
});

const database = z.strictObject({
  file: path.default('lantern.db'),
  synchronous: z.enum(['normal', 'full']).default('normal'),
});

const rooms = z.strictObject({
  default_version: z.string().min(1).default('11'),
  publishing: z.boolean().default(true),
  list_shown_to_servers: z.boolean().default(true),
});

const tokens = z.strictObject({
  refreshable_ms: milliseconds.nullable().default(300_000),
  non_refreshable_ms: milliseconds.nullable().default(null),
  refresh_token_ms: milliseconds.nullable().default(null),
});

const sync = z.strictObject({
  window_ms: milliseconds.default(50),
  window_busy_ms: milliseconds.default(100),
});

/** A sharing config as a user would write it; null: none. */
const sharingConfig = z
  .record(z.string(), z.unknown())
  .nullable()
  .superRefine((content, context) => {
    const parsed = content === null ? undefined : parseSharingConfig(content);
    if (parsed?.outcome === 'bad') context.addIssue({ code: 'custom', message: parsed.problem });
  })
  .default(null);

const perMinute = z.int().min(0).max(1_000_000);

const rateLimits = z.strictObject({
  enabled: z.boolean().default(true),
  registrations_per_minute: perMinute.default(20),
  logins_per_minute: perMinute.default(60),
  failed_logins_per_minute: perMinute.default(10),
  messages_per_minute: perMinute.default(600),
  to_device_per_minute: perMinute.default(600),
  joins_per_minute: perMinute.default(60),
  invites_per_minute: perMinute.default(60),
  uploads_per_minute: perMinute.default(120),
  previews_per_minute: perMinute.default(60),
});

/** Not a name that somebody could register, who would then speak for the server. */
const reservedLocalpart = z
  .string()
  .regex(
    /^_[a-z0-9._=\-/+]{1,200}$/,
    'must begin with an underscore, which users cannot register, and hold a-z 0-9 . _ = - / + only',
  );

const serverNotices = z.strictObject({
  localpart: reservedLocalpart.default('_server'),
  display_name: z.string().min(1).max(256).default('Server notices'),
  avatar_url: z
    .string()
    .regex(/^mxc:\/\//, 'must be an mxc:// URI')
    .max(1_000)
    .nullable()
    .default(null),
  room_name: z.string().min(1).max(256).default('Server notices'),
  auto_join: z.boolean().default(false),
});

const bytes = z.int().min(0);

const media = z.strictObject({
  folder: path.default('media'),
  upload_max_bytes: bytes.default(52_428_800),
  user_quota_bytes: bytes.nullable().default(null),
  pending_uploads_max: z.int().min(0).max(1_000).default(10),
  pending_upload_ms: milliseconds.default(86_400_000),
  unauthenticated: z.boolean().default(false),
  remote_max_bytes: bytes.default(104_857_600),
  remote_cache_bytes: bytes.nullable().default(10_737_418_240),
  remote_keep_days: z.int().min(1).max(36_500).nullable().default(90),
  thumbnail_sizes: z
    .array(
      z.strictObject({
        width: z.int().min(1).max(10_000),
        height: z.int().min(1).max(10_000),
        method: z.enum(['crop', 'scale']),
      }),
    )
    .max(20)
    .default([
      { width: 32, height: 32, method: 'crop' },
      { width: 96, height: 96, method: 'crop' },
      { width: 320, height: 320, method: 'crop' },
      { width: 320, height: 240, method: 'scale' },
      { width: 640, height: 480, method: 'scale' },
      { width: 800, height: 600, method: 'scale' },
      { width: 1600, height: 1200, method: 'scale' },
    ]),
  thumbnail_max_pixels: z.int().min(1).max(1_000_000_000).default(50_000_000),
  url_previews: z.boolean().default(false),
  url_previews_of_private_addresses: z.boolean().default(false),
});

const presence = z.strictObject({
  enabled: z.boolean().default(true),
  local_only: z.boolean().default(false),
  inbound: z.boolean().default(true),
  outbound: z.boolean().default(true),
  default_config: sharingConfig,
  override_config: sharingConfig,
  excluded_rooms: z.array(z.custom<RoomId>(isRoomId, 'must be a room id')).max(1_000).default([]),
  largest_room: z.int().min(1).nullable().default(null),
  unaware_servers: z.enum(['send', 'whole_server_only', 'withhold']).default('send'),
  currently_active_ms: milliseconds.default(60_000),
  idle_after_ms: milliseconds.default(300_000),
  offline_after_ms: milliseconds.default(30_000),
  restart_grace_ms: milliseconds.default(45_000),
  federation_window_ms: milliseconds.default(1_000),
  federation_window_max_ms: milliseconds.default(30_000),
  keep_alive_min_ms: milliseconds.default(1_200_000),
  keep_alive_max_ms: milliseconds.default(1_500_000),
  copy_expires_ms: milliseconds.default(1_800_000),
  puts_per_minute: z.int().min(0).default(60),
});

export const configShape = z.strictObject({
  server_name: z
    .custom<ServerName>(isServerName, 'must be a server name, such as example.org or localhost:8448')
    .default('localhost:8448' as ServerName),
  /** Where clients reach the server; for `.well-known/matrix/client`. Null: not published. */
  public_base_url: z
    .url({ protocol: /^https?$/ })
    .nullable()
    .default(null),
  data_dir: path.default('data'),
  signing_key: path.default('keys/signing.key'),
  registration: z.enum(['loopback_only', 'open', 'closed']).default('loopback_only'),
  registration_shared_secret: z.string().min(8, 'must have at least 8 characters').nullable().default(null),
  app_service_config_files: z.array(path).max(1_000).default([]),
  listeners: z
    .array(listener)
    .min(1)
    .max(16)
    .default([
      { address: '127.0.0.1', port: 8008, serves: ['client'], tls: false, behind_proxy: false },
      { address: '127.0.0.1', port: 8448, serves: ['federation'], tls: true, behind_proxy: false },
    ]),
  log: log.prefault({}),
  metrics: metrics.prefault({}),
  database: database.prefault({}),
  federation: federation.prefault({}),
  media: media.prefault({}),
  rooms: rooms.prefault({}),
  tokens: tokens.prefault({}),
  rate_limits: rateLimits.prefault({}),
  sync: sync.prefault({}),
  server_notices: serverNotices.prefault({}),
  presence: presence.prefault({}),
});

export type Config = z.infer<typeof configShape>;
export type ListenerConfig = Config['listeners'][number];

/** Addresses that only programs of this machine can reach. */
export function isLoopback(address: string): boolean {
  return address === 'localhost' || address === '::1' || /^127(?:\.\d{1,3}){3}$/.test(address);
}

/** `loopback_only` means: open while nobody else can reach any listener (see "registration" in lantern.example.yaml). */
export function isRegistrationOpen(config: Config): boolean {
  if (config.registration === 'open') return true;
  return config.registration === 'loopback_only' && config.listeners.every(({ address }) => isLoopback(address));
}
